//! The example's health checks, and ejection by what its relay reports.

use std::fs;
use std::net::SocketAddr;

use crate::backend::{Backend, page, server_of, wait_for_state, wait_for_status};
use crate::process::Process;
use crate::servers::{File, ask, free_address, silent_server, web_server};
use crate::service;

/// Checks often, so that tests are short.
const OFTEN: [&str; 4] = ["--status", "127.0.0.1:0", "--health-interval", "0.05"];

fn rules(service: SocketAddr, settings: &str, servers: &[SocketAddr]) -> String {
    let rule = |server: &SocketAddr| format!("-a -t {service} -r {server} -m\n");
    format!("-A -t {service} -s rr {settings}\n") + &servers.iter().map(rule).collect::<String>()
}

fn checked(file: &File, arguments: &[&str]) -> Process {
    Process::serving(&[&["--rules", file.path()], &OFTEN[..], arguments].concat())
}

#[test]
fn a_server_that_refuses_connections_is_down_until_it_accepts_them() {
    let (service, mut first) = (service(), Backend::start([127, 0, 0, 11]));
    let second = web_server("good");
    let file = File::new("health-tcp", &rules(service, "", &[first.address, second]));
    let process = checked(&file, &["--health", "tcp", "--fall", "2"]);
    let page = page(&process);
    first.stop();
    let holds = wait_for_state(page, first.address, "down");
    let [hold] = &holds[..] else { panic!("{holds:?}") };
    assert!(hold.starts_with("health-checker: Connection refused"), "{hold}");
    assert!(hold.ends_with("; 2 failures in a row"), "{hold}");
    let line = format!("service tcp {service}: server {}: down: {hold}\n", first.address);
    process.wait_for("the log", |_, stderr| stderr.contains(&line));
    // No client meets it.
    assert_eq!([(); 6].map(|()| ask(service)), ["good"; 6]);
    assert!(!process.table().contains("Failed tries"));

    first.start_again();
    assert!(wait_for_state(page, first.address, "up").is_empty());
    let line = format!("service tcp {service}: server {}: up\n", first.address);
    process.wait_for("the log", |_, stderr| stderr.contains(&line));
}

#[test]
fn an_http_check_wants_its_status() {
    let (service, first) = (service(), Backend::start([127, 0, 0, 11]));
    let (silent, _listener, _waiting) = silent_server();
    let file = File::new("health-http", &rules(service, "", &[first.address, silent]));
    let arguments = ["--health", "http:/health?full=yes=204", "--health-timeout", "0.2"];
    let process = checked(&file, &arguments);
    let page = page(&process);
    let reason = "health-checker: status 200, not 204; 3 failures in a row";
    assert_eq!(wait_for_state(page, first.address, "down"), [reason]);
    let reason = "health-checker: no answer in time; 3 failures in a row";
    assert_eq!(wait_for_state(page, silent, "down"), [reason]);
    first.answer_with(204);
    assert!(wait_for_state(page, first.address, "up").is_empty());
}

#[test]
fn checks_follow_reloads() {
    let (service, dead) = (service(), free_address([127, 0, 0, 12]));
    let (first, second) = (web_server("first"), web_server("second"));
    let file = File::new("health-reload", &rules(service, "", &[first, second]));
    let process = checked(&file, &["--health", "tcp"]);
    let page = page(&process);

    // A new server is checked.
    file.write(&rules(service, "", &[first, second, dead]));
    process.signal("HUP");
    wait_for_state(page, dead, "down");
    // It goes, comes back while it is still held, and is released once it lives.
    file.write(&rules(service, "", &[first, second]));
    process.signal("HUP");
    wait_for_status(page, "the server to go", |status| server_of(status, dead).is_none());
    let _alive = Backend::start_at(dead);
    file.write(&rules(service, "", &[first, second, dead]));
    process.signal("HUP");
    assert!(wait_for_state(page, dead, "up").is_empty());
}

/// A server without a port of its own is reached, and checked, on the service's.
#[test]
fn a_server_of_port_0_is_checked_on_the_services_port() {
    let service = service();
    let mut backend = Backend::start_at(SocketAddr::new([127, 0, 0, 11].into(), service.port()));
    let text = format!(
        "[[services]]\nkey = 'tcp {service}'\n\
         servers = [{{ address = '127.0.0.11:0', forwarding = 'masq' }}]\n"
    );
    let file = File::new("health-port-0.toml", &text);
    let arguments = ["--config", file.path(), "--health", "tcp"];
    let process = Process::serving(&[&arguments[..], &OFTEN[..]].concat());
    let (page, server) = (page(&process), "127.0.0.11:0".parse().expect("an address"));
    assert_eq!(ask(service), "good");
    backend.stop();
    wait_for_state(page, server, "down");
    backend.start_again();
    wait_for_state(page, server, "up");
}

#[test]
fn a_thousand_servers_are_checked_by_one_thread() {
    let (service, port) = (service(), free_address([127, 0, 0, 12]).port());
    // Only the first is there.
    let servers: Vec<SocketAddr> =
        (0..1000_u16).map(|n| ([127, 1, (n >> 8) as u8, n as u8], port).into()).collect();
    let _first = Backend::start_at(servers[0]);
    let file = File::new("health-many", &rules(service, "", &servers));
    let arguments = ["--health", "tcp", "--health-interval", "0.5", "--workers", "1"];
    let process = checked(&file, &arguments);
    let down = |status: &serde_json::Value| {
        let servers = status["services"][0]["servers"].as_array().expect("servers");
        servers.iter().filter(|it| it["state"] == "down").count()
    };
    let page = page(&process);
    let status = wait_for_status(page, "999 to be down", |status| down(status) == 999);
    assert_eq!(server_of(&status, servers[0]).expect("it is listed")["state"], "up");
    let count = |what: &str| {
        let entries = fs::read_dir(format!("/proc/{}/{what}", process.id()));
        entries.expect("it runs").count()
    };
    // Main, signals, worker, health checks, status.
    assert_eq!(count("task"), 5);
    assert!(count("fd") < 256, "{}", count("fd"));
    assert_eq!(ask(service), "good");
}

/// What the relay reports ejects a server, without any check; it comes back by itself, slowly.
#[test]
fn failed_connections_eject_a_server_and_a_success_ends_its_trial() {
    let (service, mut first) = (service(), Backend::start([127, 0, 0, 11]));
    let second = web_server("good");
    let settings = "--vsched-ejection failures=3,base-time=1 --vsched-slow-start duration=600";
    let text = rules(service, settings, &[first.address, second]).replace("-s rr", "-s wrr");
    let file = File::new("ejection", &text);
    let process = Process::serving(&["--rules", file.path(), "--status", "127.0.0.1:0"]);
    let page = page(&process);
    assert_eq!([(); 4].map(|()| ask(service)), ["good"; 4]);
    let status = wait_for_status(page, "four connections", |status| {
        status["services"][0]["connections"] == 4
    });
    for server in [first.address, second] {
        let shown = server_of(&status, server).expect("it is listed");
        assert!(shown["latency_us"].is_u64(), "{shown}");
        assert_eq!((&shown["wanted"], &shown["had"]), (&0.5.into(), &0.5.into()), "{shown}");
    }
    first.stop();
    // A failed attempt goes to the other server: no client notices.
    assert_eq!([(); 6].map(|()| ask(service)), ["good"; 6]);
    let holds = wait_for_state(page, first.address, "ejected");
    assert_eq!(holds, ["ejector: 3 failures in a row; ejection 1"]);
    let failed = |status: &serde_json::Value| {
        let shown = server_of(status, first.address).expect("it is listed");
        (shown["failed"].as_u64(), shown["consecutive_failures"].as_u64())
    };
    assert_eq!(failed(&wait_for_status(page, "status", |_| true)), (Some(3), Some(3)));
    first.start_again();
    let back = |status: &serde_json::Value| {
        let shown = server_of(status, first.address).expect("it is listed");
        ask(service);
        // Not while the answer of its trial is being read: the trial's limit is still there.
        shown["progress"].is_u64()
            && shown["consecutive_failures"] == 0
            && shown["note"] != "overloaded"
    };
    let status = wait_for_status(page, "slow start", back);
    let shown = server_of(&status, first.address).expect("it is listed");
    assert_eq!((&shown["state"], &shown["note"]), (&"up".into(), &"slow start".into()));
    assert!(shown["progress"].as_u64() < Some(50), "{shown}");
}

/// Each holder releases only its own hold.
#[test]
fn a_check_that_passes_does_not_end_an_ejection() {
    let (service, mut first) = (service(), Backend::start([127, 0, 0, 11]));
    let (address, second) = (first.address, web_server("good"));
    let settings = "--vsched-ejection failures=2,base-time=3600,max-time=3600";
    let file = File::new("both", &rules(service, settings, &[first.address, second]));
    // The first checks come late enough for connections to fail before.
    let process = checked(&file, &["--health", "tcp", "--fall", "40"]);
    let page = page(&process);
    first.stop();
    wait_for_status(page, "an ejection", |status| {
        ask(service);
        server_of(status, address).expect("it is listed")["state"] == "ejected"
    });
    let holders = |status: &serde_json::Value| -> Vec<String> {
        let shown = server_of(status, address).expect("it is listed");
        let holds = shown["holds"].as_array().expect("holds").iter();
        holds.map(|it| it["holder"].as_str().expect("a name").to_owned()).collect()
    };
    let both = ["health-checker", "ejector"];
    wait_for_status(page, "both holders", |status| holders(status) == both);
    first.start_again();
    let status = wait_for_status(page, "one holder", |status| holders(status) == ["ejector"]);
    assert_eq!(server_of(&status, address).expect("it is listed")["state"], "ejected");
}
