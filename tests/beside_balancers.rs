//! Backups and slow start beside the programs that have them: a real nginx and a real HAProxy get the
//! same servers, of which the same are down.
//!
//! Where the programs are not installed this prints SKIPPED; with `VSCHED_PROGRAMS=required` in the
//! environment that is a failure.
#![cfg(target_os = "linux")]

mod common;
#[path = "common/installed.rs"]
mod installed;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::{config, flow, rip, vip};
use vsched::config::{ServiceKey, SlowStart};
use vsched::error::Refused;
use vsched::{Config, Director, Holder, SchedulerKind, ServerState};

/// Two primaries, then two backups.
const SERVERS: usize = 4;
const REQUESTS: u32 = 12;
/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that ends with the test, and its folder.
struct Running {
    child: Child,
    folder: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn run(name: &str, config: &str, program: impl FnOnce(&Path) -> Command) -> Running {
    let folder = std::env::temp_dir().join(format!("vsched-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(
        folder.join("config"),
        config.replace("FOLDER", &folder.display().to_string()) + "\n",
    )
    .expect("a config");
    let mut program = program(&folder);
    program.stdout(Stdio::null()).stderr(Stdio::null());
    Running { child: program.spawn().expect("it starts"), folder }
}

/// Listens, and answers each request with its number.
fn backend(number: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut request = [0; 1024];
            let _ = stream.read(&mut request);
            let _ = write!(stream, "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n{number}");
        }
    });
    address
}

/// A port where no one listens, at least for now.
fn closed() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    listener.local_addr().expect("bound")
}

/// The number of the server that answers; `None` if the balancer itself does, with an error.
fn request(balancer: SocketAddr) -> Option<usize> {
    let begin = Instant::now();
    let mut stream = loop {
        match TcpStream::connect(balancer) {
            Ok(stream) => break stream,
            // It is starting.
            Err(_) if begin.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(10)),
            Err(error) => panic!("{balancer}: {error}"),
        }
    };
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("it listens");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a response");
    head.contains(" 200 ").then(|| body.parse().expect("a number"))
}

fn answering(balancer: SocketAddr) -> BTreeSet<usize> {
    (0..REQUESTS).filter_map(|_| request(balancer)).collect()
}

fn key() -> ServiceKey {
    ServiceKey::tcp(vip(0))
}

/// Whom we pick, of the same servers.
fn ours(down: &[bool; SERVERS]) -> BTreeSet<usize> {
    let mut config: Config = config(SchedulerKind::Wrr, SERVERS as u16, &[1]);
    for server in config.services[0].servers.iter_mut().skip(2) {
        server.priority = 1;
    }
    let director = Director::new(&config).expect("valid");
    let service = director.service_by_key(&key()).expect("it runs");
    let server =
        |n: usize| common::server_id(&director, &key(), rip(n as u16 + 1)).expect("it runs");
    for n in (0..SERVERS).filter(|n| down[*n]) {
        director.set_state(server(n), Holder::HealthChecker, ServerState::Down).expect("it runs");
    }
    let worker = director.worker();
    let picks = (0..REQUESTS).filter_map(|client| {
        match worker.pick_server_excluding(service, &flow(client), &[]) {
            Ok(pick) => (0..SERVERS).find(|n| server(*n) == pick.server()),
            Err(refused) => {
                assert_eq!(refused, Refused::AllDown);
                None
            }
        }
    });
    picks.collect()
}

fn every_choice() -> impl Iterator<Item = [bool; SERVERS]> {
    (0..1 << SERVERS).map(|bits| std::array::from_fn(|n| bits >> n & 1 == 1))
}

#[test]
fn backups_serve_as_in_nginx() {
    let Some(nginx) = installed::program("nginx") else { return };
    for down in every_choice() {
        let server = |n: usize| {
            let address = if down[n] { closed() } else { backend(n) };
            format!("server {address} max_fails=1 fail_timeout=60s{};", ["", " backup"][n / 2])
        };
        let servers: String = (0..SERVERS).map(server).collect();
        let front = closed();
        let config = format!(
            "daemon off; master_process off; pid FOLDER/pid; error_log /dev/null;
             events {{ }}
             http {{
                 access_log off; client_body_temp_path FOLDER/a; proxy_temp_path FOLDER/b;
                 fastcgi_temp_path FOLDER/c; uwsgi_temp_path FOLDER/d; scgi_temp_path FOLDER/e;
                 upstream all {{ {servers} }}
                 server {{ listen {front}; location / {{ proxy_pass http://all; }} }}
             }}"
        );
        let running = run("nginx", &config, |folder| {
            let mut command = Command::new(&nginx);
            command.arg("-p").arg(folder).arg("-c").arg(folder.join("config"));
            command
        });
        assert_eq!(answering(front), ours(&down), "down: {down:?}");
        drop(running);
    }
}

fn haproxy(program: &Path, name: &str, front: SocketAddr, servers: &str) -> Running {
    let config = format!(
        "global
            stats socket FOLDER/socket mode 600 level admin
         defaults
            mode http
            timeout connect 10s
            timeout client 60s
            timeout server 60s
         listen all
            bind {front}
            option allbackups
            balance roundrobin
            {servers}
        "
    );
    run(name, &config, |folder| {
        let mut command = Command::new(program);
        command.arg("-db").arg("-f").arg(folder.join("config"));
        command
    })
}

fn tell(running: &Running, command: &str) -> String {
    let mut socket = UnixStream::connect(running.folder.join("socket")).expect("a socket");
    writeln!(socket, "{command}").expect("it listens");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn backups_serve_as_in_haproxy() {
    let Some(program) = installed::program("haproxy") else { return };
    let front = closed();
    let server = |n: usize| {
        let option = ["", " backup"][n / 2];
        format!("server s{n} {} weight 1{option}\n            ", backend(n))
    };
    let servers: String = (0..SERVERS).map(server).collect();
    let running = haproxy(&program, "haproxy", front, &servers);
    assert!(request(front).is_some());
    for down in every_choice() {
        for (n, down) in down.iter().enumerate() {
            let state = if *down { "maint" } else { "ready" };
            let answer = tell(&running, &format!("set server all/s{n} state {state}"));
            assert_eq!(answer.trim(), "", "s{n} {state}");
        }
        assert_eq!(answering(front), ours(&down), "down: {down:?}");
    }
}

/// HAProxy tells a server's effective weight and, in whole seconds, when it came back.
#[test]
fn slow_start_grows_as_in_haproxy() {
    const SECONDS: u32 = 8;
    let Some(program) = installed::program("haproxy") else { return };
    let front = closed();
    let servers = format!(
        "server slow {} weight 100 slowstart {SECONDS}s\n            server other {} weight 100",
        backend(0),
        backend(1)
    );
    let running = haproxy(&program, "haproxy-slow", front, &servers);
    assert!(request(front).is_some());
    tell(&running, "set server all/slow state maint");
    tell(&running, "set server all/slow state ready");
    // Weight and age as often as either changes.
    let mut seen: Vec<(u64, u32)> = Vec::new();
    let begin = Instant::now();
    while seen.last().is_none_or(|(_, weight)| *weight < 100) {
        assert!(begin.elapsed() < PATIENCE, "{seen:?}");
        let table = tell(&running, "show stat");
        let mut lines = table.lines();
        let names: Vec<&str> = lines.next().expect("a head").split(',').collect();
        let row: Vec<&str> = lines
            .find(|line| line.starts_with("all,slow,"))
            .expect("a server")
            .split(',')
            .collect();
        let field = |name| row[names.iter().position(|known| *known == name).expect("a field")];
        let now = (
            field("lastchg").parse().expect("seconds"),
            field("weight").parse().expect("a weight"),
        );
        if seen.last() != Some(&now) {
            seen.push(now);
        }
        thread::sleep(Duration::from_millis(50));
    }
    // Ours, at each age.
    let mut config = config(SchedulerKind::Wlc, 2, &[100]);
    let slow_start = SlowStart::default().with_duration(SECONDS).with_least(1);
    config.services[0].slow_start = Some(slow_start);
    let director = Director::new(&config).expect("valid");
    director.tick(Duration::ZERO);
    let server = common::server_id(&director, &key(), rip(1)).expect("it runs");
    for state in [ServerState::Down, ServerState::Up] {
        director.set_state(server, Holder::HealthChecker, state).expect("it runs");
    }
    let mut weights = Vec::new();
    for age in 0..u64::from(SECONDS) + 3 {
        director.tick(Duration::from_secs(age));
        weights.push(director.observe().services[0].servers[1].effective_weight);
    }
    assert!(seen.len() > 4 && seen.first().is_some_and(|(_, weight)| *weight < 30), "{seen:?}");
    assert!(seen.is_sorted_by_key(|(_, weight)| *weight), "{seen:?}");
    // At the end it counts the age anew.
    for (age, weight) in seen.iter().filter(|(_, weight)| *weight < 100) {
        // It rounds the age down, and moves the weight once in a while.
        let at = |age: u64| weights[(age as usize).min(weights.len() - 1)];
        let least = age.checked_sub(2).map_or(1, at);
        assert!((least..=at(age + 2)).contains(weight), "{seen:?} beside {weights:?}");
    }
}
