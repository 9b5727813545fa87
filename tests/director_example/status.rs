//! The example's status server: what it answers, and to whom.

use std::io::Read;
use std::net::TcpStream;

use crate::backend::{Backend, exchange, get, json, page, wait_for_status};
use crate::process::{PATIENCE, Process};
use crate::servers::{File, ask, web_server};
use crate::{service, slow_client, slow_server};

const STATUS: [&str; 2] = ["--status", "127.0.0.1:0"];

fn status_of(answer: &str) -> &str {
    answer.split_whitespace().nth(1).unwrap_or_default()
}

#[test]
fn every_path_is_answered_safely() {
    let (service, good) = (service(), web_server("good"));
    let file = File::new("status", &format!("-A -t {service}\n-a -t {service} -r {good} -m\n"));
    let process = Process::serving(&[&["--rules", file.path()], &STATUS[..]].concat());
    let page = page(&process);
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/status.json", "application/json"),
        ("/history.json?x=1", "application/json"),
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8"),
        ("/healthz", "text/plain; charset=utf-8"),
    ] {
        let (head, body) = get(page, path);
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{path}: {head}");
        assert!(head.contains(&format!("\r\nContent-Type: {kind}\r\n")), "{path}: {head}");
        assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{path}");
        let policy = "\r\nContent-Security-Policy: default-src 'none'";
        assert_eq!(head.matches(policy).count(), 1, "{path}: {head}");
        let request = format!("HEAD {path} HTTP/1.0\r\n\r\n");
        let answer = exchange(page, &request);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{path}: {answer}");
        assert!(answer.ends_with("\r\n\r\n"), "{path}: no body: {answer}");
    }
    let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(8192));
    for (request, status) in [
        ("GET /../etc/passwd HTTP/1.1\r\n\r\n", "404"),
        ("GET /metrics/ HTTP/1.1\r\n\r\n", "404"),
        ("POST / HTTP/1.1\r\n\r\n", "405"),
        ("DELETE /status.json HTTP/1.1\r\n\r\n", "405"),
        ("GET /\r\n\r\n", "400"),
        ("GET http://a/ HTTP/1.1\r\n\r\n", "400"),
        ("\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: attacker.example\r\n\r\n", "403"),
        ("GET / HTTP/1.1\r\nhost: 127.0.0.1.attacker.example:80\r\n\r\n", "403"),
        ("GET / HTTP/1.1\r\nHost: localhost:9000\r\n\r\n", "200"),
        ("GET / HTTP/1.1\r\nHost: [::1]:9000\r\n\r\n", "200"),
        (&long, "431"),
    ] {
        let answer = exchange(page, request);
        assert_eq!(status_of(&answer), status, "{request:?}: {answer}");
        for header in ["Cache-Control: no-store", "X-Content-Type-Options: nosniff"] {
            assert!(answer.contains(&format!("\r\n{header}\r\n")), "{request:?}: {answer}");
        }
        assert_eq!(answer.contains("\r\nAllow: GET, HEAD\r\n"), status == "405", "{answer}");
    }
}

/// The page runs its own script and nothing else.
#[test]
fn the_pages_script_is_the_only_one_allowed() {
    let process = Process::serving(&STATUS);
    let page = page(&process);
    let nonce = || {
        let (head, body) = get(page, "/");
        let policy = head.split("Content-Security-Policy: ").nth(1).expect("a policy");
        let policy = policy.lines().next().expect("a line");
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        let nonce = policy.split("script-src 'nonce-").nth(1).expect("a nonce");
        let nonce = nonce.split('\'').next().expect("its end").to_owned();
        assert!(body.contains(&format!("<script nonce=\"{nonce}\">")), "{nonce}");
        assert!(body.contains(&format!("<style nonce=\"{nonce}\">")), "{nonce}");
        assert!(!body.contains("{nonce}") && !body.contains(" style="), "the policy forbids it");
        // Nothing comes from elsewhere.
        assert!(!body.contains("https://") && body.matches("http://").count() == 1, "{body}");
        nonce
    };
    assert_ne!(nonce(), nonce());
}

#[test]
fn counts_shares_and_history_are_those_of_the_connections() {
    let service = service();
    let (first, second) = (Backend::start([127, 0, 0, 11]), Backend::start([127, 0, 0, 12]));
    let (first, second) = (first.address, second.address);
    let rules = format!(
        "-A -t {service} -s wrr\n-a -t {service} -r {first} -m -w 3\n-a -t {service} -r {second} -m\n"
    );
    let file = File::new("counts", &rules);
    let process = Process::serving(&[&["--rules", file.path()], &STATUS[..]].concat());
    let page = page(&process);
    for _ in 0..8 {
        ask(service);
    }
    let key = format!("tcp {service}");
    let sum = |numbers: &serde_json::Value| {
        let numbers = numbers.as_array().expect("numbers").iter();
        numbers.map(|it| it.as_u64().expect("a number")).sum::<u64>()
    };
    // The second in which they came must be over.
    wait_for_status(page, "the history", |_| {
        sum(&json(page, "/history.json")[&key]["service"]) == 8
    });
    let history = json(page, "/history.json");
    assert_eq!(sum(&history[&key][first.to_string()]), 6);
    assert_eq!(sum(&history[&key][second.to_string()]), 2);
    let status = json(page, "/status.json");
    let shown = &status["services"][0];
    assert_eq!((&shown["key"], &shown["connections"]), (&key.clone().into(), &8.into()));
    for (index, (address, share)) in [(first, 0.75), (second, 0.25)].into_iter().enumerate() {
        let server = &shown["servers"][index];
        assert_eq!(server["address"], address.to_string());
        assert_eq!((&server["wanted"], &server["had"]), (&share.into(), &share.into()), "{server}");
    }
    let services = get(page, "/metrics").1;
    let line = format!("vsched_service_connections_total{{service=\"{key}\"}} 8");
    assert!(services.lines().any(|it| it == line), "{services}");
    assert!(!services.contains("server="), "{services}");
    let metrics = get(page, "/metrics/servers").1;
    let line = format!("vsched_server_connections_total{{service=\"{key}\",server=\"{first}\"}} 6");
    assert!(metrics.lines().any(|it| it == line), "{metrics}");
    for line in metrics.lines().filter(|line| !line.starts_with("# ")) {
        let (name, value) = line.rsplit_once(' ').expect("a value");
        assert!(name.starts_with("vsched_") && value.parse::<f64>().is_ok(), "{line}");
    }
    // The terminal says the same.
    let table = process.table();
    let row = |address: String| {
        let row = table.lines().find(|line| line.trim_start().starts_with(&address));
        row.expect("a row").split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(row(first.to_string()), "3 0 0 6 75 % 75 % 0 up", "{table}");
    assert_eq!(row(second.to_string()), "1 0 0 2 25 % 25 % 0 up", "{table}");
}

#[test]
fn healthz_says_when_the_director_stops() {
    let (service, (slow, go)) = (service(), slow_server());
    let file = File::new("healthz", &format!("-A -t {service}\n-a -t {service} -r {slow} -m\n"));
    let arguments = ["--rules", file.path(), "--grace", "60"];
    let process = Process::serving(&[&arguments[..], &STATUS[..]].concat());
    let page = page(&process);
    let client = slow_client(service);
    assert_eq!(get(page, "/healthz").1, "ok\n");
    process.signal("TERM");
    wait_for_status(page, "the end to begin", |status| status["stopping"] == true);
    let (head, body) = get(page, "/healthz");
    assert_eq!((status_of(&head), body.as_str()), ("503", "stopping\n"));
    drop((client, go));
    assert_eq!(process.end().code, Some(0));
}

/// Readers that send nothing have few places and little time.
#[test]
fn silent_readers_do_not_keep_others_out() {
    let process = Process::serving(&STATUS);
    let page = page(&process);
    let mut silent: Vec<TcpStream> =
        (0..40).map(|_| TcpStream::connect(page).expect("it listens")).collect();
    assert_eq!(get(page, "/healthz").1, "ok\n");
    let first = &mut silent[0];
    first.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    assert_eq!(first.read(&mut [0]).expect("its end"), 0);
}

#[test]
fn a_taken_address_is_an_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let ended = Process::start(&["--status", &address]).end();
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains(&format!("--status {address}: ")), "{}", ended.stderr);
}

/// After `--requests`, the last table says what became of them.
#[test]
fn the_last_table_shows_what_has_happened() {
    let (service, good) = (service(), web_server("good"));
    let bad = crate::servers::free_address([127, 0, 0, 12]);
    let rules = format!(
        "-A -t {service} -s wrr\n-a -t {service} -r {good} -m -w 3\n-a -t {service} -r {bad} -m\n"
    );
    let file = File::new("last-table", &rules);
    let ended = Process::start(&["--rules", file.path(), "--requests", "8"]).end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let header = format!("tcp {service} wrr: 10 connections\n");
    assert!(ended.stdout.contains(&header), "{}", ended.stdout);
    for (server, row) in [(good, "3 0 0 8 75 % 80 % 0 up"), (bad, "1 0 0 2 25 % 20 % 2 up")] {
        let server = server.to_string();
        let line = ended.stdout.lines().find(|line| line.trim_start().starts_with(&server));
        let line = line.expect("a row").split_whitespace().skip(1).collect::<Vec<_>>().join(" ");
        assert_eq!(line, row, "{}", ended.stdout);
    }
}
