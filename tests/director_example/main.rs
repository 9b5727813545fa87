//! The example `director` works as its users run it: as a process, with real connections and
//! signals.

#[path = "../common/installed.rs"]
mod installed;

mod backend;
mod browser;
mod check;
mod dns;
mod health;
mod limits;
mod log;
mod notify;
mod page;
mod process;
mod removal;
mod servers;
mod status;
mod udp;
mod urgent;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use process::Process;
use servers::{File, ask, free_address, server, silent_server, web_server};

/// The table's line of a server: forwarding, weight, active and inactive connections.
fn row(table: &str, server: SocketAddr) -> Option<Vec<&str>> {
    let server = server.to_string();
    let mut rows = table.lines().filter_map(|line| line.trim().strip_prefix("-> "));
    let row = rows.find(|row| row.split_whitespace().next() == Some(&server))?;
    Some(row.split_whitespace().skip(1).collect())
}

fn service() -> SocketAddr {
    free_address([127, 0, 0, 1])
}

#[test]
fn laboratory_answers_in_the_kernels_order() {
    let ended = Process::start(&["--requests", "30"]).end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let answers: Vec<&str> = ended
        .stdout
        .lines()
        .filter(|line| line.starts_with("127.0.0.1"))
        .filter_map(|line| line.split_once(':').map(|(address, _)| address))
        .collect();
    // The first round visits both servers, the newest first; then weights 2 and 1 take effect.
    let round = ["127.0.0.12", "127.0.0.11", "127.0.0.11"];
    assert_eq!(answers, round.repeat(10));
    let table = ended.stdout.split_once("IP Virtual Server version").expect("the table").1;
    let counts: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("  -> 127"))
        .map(|line| line.split_whitespace().skip(2).collect())
        .collect();
    assert_eq!(counts, [["Masq", "2", "0", "0"], ["Masq", "1", "0", "0"]]);
    assert_eq!(ended.stderr, "");
}

#[test]
fn unreachable_server_is_passed_over_and_reported() {
    let (service, good, bad) = (service(), web_server("good"), free_address([127, 0, 0, 12]));
    let rules = format!(
        "-A -t {service} -s rr\n-a -t {service} -r {good} -m\n-a -t {service} -r {bad} -m\n"
    );
    let file = File::new("unreachable", &rules);
    let ended = Process::start(&["--rules", file.path(), "--requests", "10"]).end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stdout.lines().filter(|line| *line == "good").count(), 10);
    // A retry does not turn the rotation, so every second request begins at the bad server.
    let report = format!("Failed tries: 5, server {bad} of service tcp {service}");
    assert!(ended.stdout.contains(&report), "{}", ended.stdout);
    // Once, not five times.
    assert_eq!(ended.stderr.matches(&bad.to_string()).count(), 1, "{}", ended.stderr);
}

#[test]
fn silent_server_is_given_up_after_the_timeout() {
    let (service, good) = (service(), web_server("good"));
    let (silent, _listener, _waiting) = silent_server();
    let rules = format!(
        "-A -t {service} -s rr\n-a -t {service} -r {good} -m\n-a -t {service} -r {silent} -m\n"
    );
    let file = File::new("silent", &rules);
    let arguments = ["--rules", file.path(), "--requests", "4", "--connect-timeout", "0.2"];
    let ended = Process::start(&arguments).end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stdout.lines().filter(|line| *line == "good").count(), 4);
    let report = format!("Failed tries: 2, server {silent} of service tcp {service}");
    assert!(ended.stdout.contains(&report), "{}", ended.stdout);
    assert!(ended.stderr.contains("no answer in time"), "{}", ended.stderr);
}

#[test]
fn without_any_server_requests_fail() {
    let (service, bad) = (service(), free_address([127, 0, 0, 12]));
    let file = File::new("none", &format!("-A -t {service}\n-a -t {service} -r {bad} -m\n"));
    let ended = Process::start(&["--rules", file.path(), "--requests", "3"]).end();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert_eq!(ended.stdout.matches("no answer: ").count(), 3, "{}", ended.stdout);
    let report = format!("Unanswered connections: 3, service tcp {service}");
    assert!(ended.stdout.contains(&report), "{}", ended.stdout);
}

#[test]
fn wrong_file_or_command_line_is_refused() {
    let service = service();
    let file = File::new("wrong", &format!("-A -t {service}\n-a -t {service} -r nowhere -m\n"));
    let ended = Process::start(&["--rules", file.path()]).end();
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("line 2, column"), "{}", ended.stderr);
    assert!(ended.stderr.contains("nowhere"), "{}", ended.stderr);

    for arguments in [
        &["--nonsense"][..],
        &["--workers", "0"],
        &["--idle-timeout", "0"],
        &["--rules", "no/such/file"],
        &["--rules", "a", "--config", "b"],
    ] {
        let ended = Process::start(arguments).end();
        assert_eq!(ended.code, Some(2), "{arguments:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
    let ended = Process::start(&["--help"]).end();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert!(ended.stdout.contains("--requests N"));
}

#[test]
fn what_a_proxy_cannot_serve_is_left_out_aloud() {
    let (service, good) = (service(), web_server("good"));
    let toml = format!(
        "[[services]]\nkey = 'sctp {service}'\n\
         [[services]]\nkey = 'fwmark 7'\n\
         [[services]]\nkey = 'tcp {service}'\nscheduler = 'rr'\n\
         servers = [{{ address = '{good}' }}, {{ address = '{service}', forwarding = 'masq' }}]\n"
    );
    let file = File::new("left-out.toml", &toml);
    let ended = Process::start(&["--config", file.path(), "--requests", "4"]).end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stdout.lines().filter(|line| *line == "good").count(), 4);
    for left_out in [
        format!("service sctp {service}: left out"),
        "service fwmark 7: left out".to_owned(),
        format!("service tcp {service}: server {service}: left out"),
        format!("service tcp {service}: servers listed as Route or Tunnel"),
    ] {
        assert_eq!(ended.stderr.matches(&left_out).count(), 1, "{}", ended.stderr);
    }
}

/// A real server that sends `one`, and when told so `two`.
fn slow_server() -> (SocketAddr, mpsc::Sender<()>) {
    let (go, gate) = mpsc::channel();
    let gate = Arc::new(Mutex::new(gate));
    let address = server(move |mut stream| {
        let _ = stream.write_all(b"one");
        let _ = gate.lock().expect("no panic").recv();
        let _ = stream.write_all(b"two");
    });
    (address, go)
}

/// A client that has got its `one`.
fn slow_client(service: SocketAddr) -> TcpStream {
    let mut client = TcpStream::connect(service).expect("it listens");
    client.set_read_timeout(Some(process::PATIENCE)).expect("a timeout");
    client.read_exact(&mut [0; 3]).expect("one");
    client
}

#[test]
fn reload_keeps_connections_and_counts() {
    let (first, second, third) = (service(), service(), service());
    let ((slow, go), good) = (slow_server(), web_server("good"));
    let file = File::new(
        "reload",
        &format!("-A -t {first} -s wrr\n-a -t {first} -r {slow} -m\n-A -t {second}\n"),
    );
    let process = Process::serving(&["--rules", file.path()]);
    let mut client = slow_client(first);
    assert_eq!(row(&process.table(), slow), Some(vec!["Masq", "1", "1", "0"]));

    // The slow server is drained, a good one comes; one service goes, another comes.
    file.write(&format!(
        "-A -t {first} -s wrr\n-a -t {first} -r {slow} -m -w 0\n-a -t {first} -r {good} -m -w 3\n\
         -A -t {third} -s rr\n-a -t {third} -r {good} -m\n"
    ));
    let before = process.printed();
    process.signal("HUP");
    let table = process.next_table(before);
    assert_eq!(row(&table, slow), Some(vec!["Masq", "0", "1", "0"]), "{table}");
    assert_eq!(row(&table, good), Some(vec!["Masq", "3", "0", "0"]), "{table}");
    for service in [first, first, first, third] {
        assert_eq!(ask(service), "good");
    }
    let refused = |stdout: &str| !stdout.contains(&second.to_string());
    process.wait_for_table("the service to go", refused);
    assert_eq!(ask(second), "");

    // A bad file changes nothing.
    file.write("-A -t nonsense\n");
    process.signal("HUP");
    process.wait_for("the refusal", |_, stderr| stderr.contains("not reloaded: "));
    assert_eq!(row(&process.table(), slow), Some(vec!["Masq", "0", "1", "0"]));
    assert_eq!(ask(first), "good");

    go.send(()).expect("the server waits");
    let mut rest = String::new();
    client.read_to_string(&mut rest).expect("the connection lives");
    assert_eq!(rest, "two");
    drop(client);
    process.wait_for_table("no connections", |table| {
        row(table, slow) == Some(vec!["Masq", "0", "0", "0"])
    });
    process.signal("TERM");
    assert_eq!(process.end().code, Some(0));
}

#[test]
fn the_table_says_which_server_is_next_and_why() {
    let (service, good, quiesced) = (service(), web_server("good"), free_address([127, 0, 0, 12]));
    let rules = format!(
        "-A -t {service} -s wlc\n-a -t {service} -r {good} -m\n-a -t {service} -r {quiesced} -m -w 0\n"
    );
    let file = File::new("explained", &rules);
    let process = Process::serving(&["--rules", file.path()]);
    process.table();
    let explained = format!(
        "tcp {service}, wlc\nnext: {good}, the least load\n\
         {quiesced}: weight 0, 0 active, 0 inactive, quiesced\n\
         {good}: weight 1, 0 active, 0 inactive, load 0\n"
    );
    process.wait_for("the explanation", |stdout, _| stdout.contains(&explained));
    process.signal("TERM");
    assert_eq!(process.end().code, Some(0));
}

#[test]
fn termination_lets_connections_finish() {
    let (service, (slow, go)) = (service(), slow_server());
    let rules = format!("-A -t {service}\n-a -t {service} -r {slow} -m\n");
    let file = File::new("finish", &rules);
    let process = Process::serving(&["--rules", file.path(), "--grace", "20"]);
    let mut client = slow_client(service);
    process.signal("TERM");
    // No new connections: soon the listeners are closed.
    let end = std::time::Instant::now() + process::PATIENCE;
    while TcpStream::connect(service).is_ok() {
        assert!(std::time::Instant::now() < end, "it still listens");
    }
    // Connections of that loop may have got in, and the first of them to read takes a word.
    drop(go);
    let mut rest = String::new();
    client.read_to_string(&mut rest).expect("the connection lives");
    assert_eq!(rest, "two");
    drop(client);
    let ended = process.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(row(&ended.stdout, slow), Some(vec!["Masq", "1", "0", "0"]));
}

#[test]
fn termination_cuts_connections_after_the_grace() {
    let (service, (slow, _go)) = (service(), slow_server());
    let rules = format!("-A -t {service}\n-a -t {service} -r {slow} -m\n");
    let file = File::new("cut", &rules);
    let process = Process::serving(&["--rules", file.path(), "--grace", "0.1"]);
    let _client = slow_client(service);
    process.signal("INT");
    let ended = process.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("1 connections were still open"), "{}", ended.stderr);
    assert_eq!(row(&ended.stdout, slow), Some(vec!["Masq", "1", "0", "0"]));
}

#[test]
fn large_transfers_wait_for_slow_readers_and_half_closes_pass() {
    // Reads everything, then sends it back: only a FIN that passes tells it where the end is.
    let echo = server(|mut stream| {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let _ = stream.write_all(&bytes);
    });
    let service = service();
    let file = File::new("large", &format!("-A -t {service}\n-a -t {service} -r {echo} -m\n"));
    let process = Process::serving(&["--rules", file.path()]);
    let sent: Vec<u8> = (0..8_000_000_u32).map(|n| (n % 251) as u8).collect();
    let mut client = TcpStream::connect(service).expect("it listens");
    client.set_read_timeout(Some(process::PATIENCE)).expect("a timeout");
    client.write_all(&sent).expect("it takes all");
    client.shutdown(Shutdown::Write).expect("connected");
    // Not read yet, so the director holds a buffer and waits; the FIN has made it inactive.
    process.wait_for_table("the half-close", |table| {
        row(table, echo) == Some(vec!["Masq", "1", "0", "1"])
    });
    let mut received = Vec::new();
    client.read_to_end(&mut received).expect("all of it");
    assert!(received == sent, "{} bytes of {}", received.len(), sent.len());
    drop(client);
    process.wait_for_table("no connections", |table| {
        row(table, echo) == Some(vec!["Masq", "1", "0", "0"])
    });
}

#[test]
fn aborted_connections_leave_no_counts() {
    // Sends forever.
    let endless = server(|mut stream| while stream.write_all(&[7; 65536]).is_ok() {});
    let service = service();
    let file = File::new("abort", &format!("-A -t {service}\n-a -t {service} -r {endless} -m\n"));
    let process = Process::serving(&["--rules", file.path()]);
    let clients: Vec<_> = (0..20).map(|_| thread::spawn(move || slow_client(service))).collect();
    let clients: Vec<TcpStream> = clients.into_iter().flat_map(|client| client.join()).collect();
    assert_eq!(clients.len(), 20);
    process.wait_for_table("the connections", |table| {
        row(table, endless) == Some(vec!["Masq", "1", "20", "0"])
    });
    // With unread bytes: a reset.
    drop(clients);
    process.wait_for_table("no connections", |table| {
        row(table, endless) == Some(vec!["Masq", "1", "0", "0"])
    });
}
