//! Runs command lines in its network namespace as its standard input directs, and reports the
//! results.

use std::io::Write;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vsched::config::{Observed, ObservedService, ServiceKey, Statistics, Timeouts, VirtualService};
use vsched::netlink::{Kernel, Request};

use super::noise;
use crate::ipvsadm::{self, Streams};

pub(crate) fn work() {
    let mut kernel = Kernel::open().expect("IPVS");
    for request in std::io::stdin().lines() {
        let request: Value = serde_json::from_str(&request.expect("a line")).expect("JSON");
        let words = request["words"].as_array().expect("words").iter();
        let words: Vec<String> =
            words.map(|word| word.as_str().expect("a word").to_owned()).collect();
        let input = request["input"].as_str().expect("an input");
        let program = request["program"].as_str().expect("a name");
        let (status, stdout, stderr) = match words.first().map(String::as_str) {
            Some("!send") => (send(&words), Vec::new(), Vec::new()),
            Some("!settle") => (settle(&mut kernel, &words), Vec::new(), Vec::new()),
            Some("!foreign") => (foreign(&mut kernel), Vec::new(), Vec::new()),
            Some("!reset") => (reset(&mut kernel), Vec::new(), Vec::new()),
            Some("!noise") => (noise::run(), Vec::new(), Vec::new()),
            Some("!connect") => (connect(&words), Vec::new(), Vec::new()),
            _ if request["ours"] == true => ours(program, &words, input),
            _ => real(program, &words, input),
        };
        let state = if request["state"] == true { state(&mut kernel) } else { String::new() };
        println!(
            "{}",
            json!({
                "status": status,
                "stdout": String::from_utf8_lossy(&stdout),
                "stderr": String::from_utf8_lossy(&stderr),
                "state": state,
            })
        );
    }
}

pub(super) fn ours(program: &str, words: &[String], input: &str) -> (i32, Vec<u8>, Vec<u8>) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let streams = Streams { input: &mut input.as_bytes(), out: &mut out, err: &mut err };
    let status = ipvsadm::run(program, words, streams);
    (status.into(), out, err)
}

fn real(program: &str, words: &[String], input: &str) -> (i32, Vec<u8>, Vec<u8>) {
    let mut process = Command::new("ipvsadm")
        .arg0(program)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ipvsadm starts");
    let mut stdin = process.stdin.take().expect("piped");
    // It may have ended without reading.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = process.wait_with_output().expect("its output");
    (output.status.code().unwrap_or(-1), output.stdout, output.stderr)
}

fn state(kernel: &mut Kernel) -> String {
    let reading = kernel.read().expect("a reading");
    let figures = figures(&reading.observed);
    format!("{:?}", (reading.observed.config(), figures, reading.unreadable))
}

/// Totals of services, each with those of its servers.
fn figures(observed: &Observed) -> Vec<(Statistics, Vec<Statistics>)> {
    let service = |service: &ObservedService| {
        let servers = service.servers.iter().map(|server| server.statistics);
        (service.statistics, servers.collect())
    };
    observed.services.iter().map(service).collect()
}

/// As before anything was configured.
fn reset(kernel: &mut Kernel) -> i32 {
    let clear = Request::flush();
    let timeouts = Timeouts::default().with_tcp(900).with_tcp_fin(120).with_udp(300);
    kernel.execute_one(&clear).expect("no services");
    kernel.execute_one(&Request::set_timeouts(timeouts)).expect("timeouts");
    let daemons = kernel.daemons().expect("daemons");
    if !daemons.is_empty() {
        // A kernel that stops a thread before it has run once sends no answer.
        thread::sleep(Duration::from_millis(20));
    }
    for daemon in daemons {
        kernel.execute_one(&Request::stop_daemon(daemon.role)).expect("a daemon ends");
    }
    0
}

/// The kernel brings its statistics up to date every two seconds.
fn settle(kernel: &mut Kernel, words: &[String]) -> i32 {
    let wanted: u64 = words[1].parse().expect("a number");
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let reading = kernel.read().expect("a reading");
        let services = reading.observed.services.iter();
        let connections: u64 = services.map(|service| service.statistics.connections).sum();
        if connections == wanted {
            return 0;
        }
        assert!(Instant::now() < deadline, "{connections} connections, not {wanted}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// A service of another owner, for ICMP.
fn foreign(kernel: &mut Kernel) -> i32 {
    let key: ServiceKey = "tcp 10.0.0.9:80".parse().expect("a key");
    let request = Request::add_service(&VirtualService::new(key));
    let mut message = request.message();
    message.service.as_mut().expect("a service").protocol = Some(1);
    kernel.execute_one(&Request::raw(message, request.object())).expect("the kernel takes it");
    0
}

fn address(words: &[String], place: usize) -> SocketAddr {
    words[place].parse().expect("an address")
}

fn send(words: &[String]) -> i32 {
    let socket = UdpSocket::bind(address(words, 1)).expect("a socket");
    let call = b"OPTIONS sip:x SIP/2.0\r\nCall-ID: one@example.com\r\n\r\n";
    socket.send_to(call, address(words, 2)).expect("sent");
    0
}

/// No reply comes: the connection stays in the state after a SYN.
fn connect(words: &[String]) -> i32 {
    let outcome = TcpStream::connect_timeout(&address(words, 1), Duration::from_millis(20));
    assert!(outcome.is_err(), "who has answered?");
    0
}
