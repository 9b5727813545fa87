//! UDP services of the example, with servers of this test's own; `dns.rs` has real ones.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::process::{self, Process};
use crate::servers::{File, free_address};
use crate::{row, service};

/// A server that answers each datagram by this word. Lives as long as the test.
fn answering(word: &'static str) -> SocketAddr {
    let socket = UdpSocket::bind(free_address([127, 0, 0, 11])).expect("a free port");
    let address = socket.local_addr().expect("bound");
    thread::spawn(move || {
        let mut bytes = [0; 2048];
        while let Ok((_, client)) = socket.recv_from(&mut bytes) {
            let _ = socket.send_to(word.as_bytes(), client);
        }
    });
    address
}

/// A client that gets replies from this address only.
fn client(of: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
    socket.connect(of).expect("loopback");
    socket.set_read_timeout(Some(process::PATIENCE)).expect("a timeout");
    socket
}

fn ask(client: &UdpSocket) -> String {
    client.send(b"who?").expect("it listens");
    let mut bytes = [0; 64];
    let length = client.recv(&mut bytes).expect("a reply from the service's address");
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

fn rules(service: SocketAddr, options: &str, servers: &[SocketAddr]) -> String {
    let servers = servers.iter().map(|server| format!("-a -u {service} -r {server} -m\n"));
    format!("-A -u {service} {options}\n{}", servers.collect::<String>())
}

fn counts(inactive: usize) -> Vec<String> {
    ["Masq", "1", "0", &inactive.to_string()].map(str::to_owned).to_vec()
}

fn has(table: &str, server: SocketAddr, inactive: usize) -> bool {
    row(table, server).is_some_and(|row| row == counts(inactive))
}

#[test]
fn refused_datagrams_go_to_another_server() {
    let (address, good, bad) = (service(), answering("good"), free_address([127, 0, 0, 12]));
    for options in ["-s rr", "-s rr -o"] {
        let file = File::new("udp-refused", &rules(address, options, &[good, bad]));
        let process = Process::serving(&["--rules", file.path(), "--workers", "2"]);
        for _ in 0..6 {
            assert_eq!(ask(&client(address)), "good");
        }
        // Every second client begins at the bad server.
        let report = format!("Failed tries: 3, server {bad} of service udp {address}");
        process.wait_for_table("the report", |table| table.contains(&report));
        let sessions = if options.ends_with("-o") { 0 } else { 6 };
        let table = process.table();
        assert!(has(&table, good, sessions) && has(&table, bad, 0), "{table}");
        assert!(!table.contains("Unanswered"), "{table}");
    }
}

#[test]
fn without_any_server_datagrams_are_reported_as_unanswered() {
    let (address, bad) = (service(), free_address([127, 0, 0, 12]));
    let file = File::new("udp-none", &rules(address, "-s rr", &[bad]));
    let process = Process::serving(&["--rules", file.path()]);
    client(address).send(b"who?").expect("it listens");
    let report = format!("Unanswered connections: 1, service udp {address}");
    let table = process.wait_for_table("the report", |table| table.contains(&report));
    assert!(has(&table, bad, 0), "{table}");
}

#[test]
fn the_session_idle_longest_ends_for_a_new_one() {
    let (address, good) = (service(), answering("good"));
    let file = File::new("udp-full", &rules(address, "-s rr", &[good]));
    let process = Process::limited(64, 64, &["--rules", file.path(), "--workers", "1"]);
    process.wait_for("how much room there is", |stdout, _| stdout.contains("room for "));
    let stdout = process.stdout();
    let room = stdout.split_once("room for ").and_then(|(_, rest)| rest.split(' ').next());
    let room: usize = room.and_then(|room| room.parse().ok()).expect("a number");
    assert!((4..32).contains(&room), "{room}");
    let clients: Vec<UdpSocket> = (0..room * 3).map(|_| client(address)).collect();
    assert!(clients.iter().all(|client| ask(client) == "good"));
    let table = process.table();
    assert!(has(&table, good, room), "{room}: {table}");
    process.wait_for("the log", |_, stderr| {
        stderr.matches(&format!("a worker has {room} UDP sessions, all there is room for")).count()
            == 1
    });
    // Clients whose session has ended get another one.
    assert_eq!(ask(&clients[0]), "good");
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", process.id()));
    assert!(descriptors.expect("it runs").count() <= 64);
}

#[test]
fn replies_leave_from_the_address_that_the_client_sent_to() {
    let (port, good) = (service().port(), answering("good"));
    let every = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    let file = File::new("udp-every", &rules(every, "-s rr", &[good]));
    let process = Process::serving(&["--rules", file.path(), "--workers", "2"]);
    for last in [1, 21, 22] {
        assert_eq!(ask(&client((Ipv4Addr::new(127, 0, 0, last), port).into())), "good");
    }
    // One client at two addresses of the service has two sessions.
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
    socket.set_read_timeout(Some(process::PATIENCE)).expect("a timeout");
    let places = [31, 32].map(|last| SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), port)));
    for place in places {
        socket.send_to(b"who?", place).expect("it listens");
    }
    let sources = [(); 2].map(|()| socket.recv_from(&mut [0; 64]).expect("a reply").1);
    assert_eq!(BTreeSet::from(sources), BTreeSet::from(places));
    assert!(has(&process.table(), good, 5));
}

/// Datagrams that arrive while the example starts, before a worker looks at its socket, too.
#[test]
fn early_replies_leave_from_the_address_that_the_client_sent_to() {
    let (port, good) = (service().port(), answering("good"));
    let every = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    let file = File::new("udp-early", &rules(every, "-s rr", &[good]));
    let place = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 31), port));
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
    socket.set_read_timeout(Some(process::PATIENCE)).expect("a timeout");
    let serving = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in (0..200_000).take_while(|_| !serving.load(Ordering::Relaxed)) {
                // Refused until the example has bound the address.
                let _ = socket.send_to(b"who?", place);
                thread::sleep(Duration::from_micros(50));
            }
        });
        let _process = Process::serving(&["--rules", file.path(), "--workers", "2"]);
        let sources = [(); 5].map(|()| socket.recv_from(&mut [0; 64]).map(|(_, from)| from));
        serving.store(true, Ordering::Relaxed);
        assert_eq!(sources.map(|from| from.expect("a reply")), [place; 5]);
    });
}

#[test]
fn replies_leave_from_the_ipv6_address_that_the_client_sent_to() {
    let Ok(socket) = UdpSocket::bind("[::1]:0") else {
        return eprintln!("SKIPPED: there is no IPv6 here");
    };
    socket.set_read_timeout(Some(process::PATIENCE)).expect("a timeout");
    let port = service().port();
    let good = UdpSocket::bind("[::1]:0").expect("loopback");
    let server = good.local_addr().expect("bound");
    thread::spawn(move || {
        while let Ok((_, client)) = good.recv_from(&mut [0; 64]) {
            let _ = good.send_to(b"good", client);
        }
    });
    let every = format!("[::]:{port}").parse().expect("an address");
    let file = File::new("udp-every-6", &rules(every, "-s rr", &[server]));
    let _process = Process::serving(&["--rules", file.path()]);
    socket.connect(("::1", port)).expect("loopback");
    assert_eq!(ask(&socket), "good");
    // An IPv4 client of the same socket.
    assert_eq!(ask(&client((Ipv4Addr::new(127, 0, 0, 33), port).into())), "good");
}

#[test]
fn a_service_is_not_its_own_server() {
    let (address, good) = (service(), answering("good"));
    let port = service().port();
    let every = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    let itself = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let text = rules(address, "-s rr", &[address, good]) + &rules(every, "-s rr", &[itself, good]);
    let file = File::new("udp-itself", &text);
    let process = Process::serving(&["--rules", file.path()]);
    for (service, server) in [(address, address), (every, itself)] {
        let line =
            format!("service udp {service}: server {server}: left out: it is the service itself");
        process.wait_for("the note", |_, stderr| stderr.matches(&line).count() == 1);
    }
    for _ in 0..4 {
        assert_eq!(ask(&client(address)), "good");
    }
}

#[test]
fn a_udp_address_in_use_is_not_shared() {
    let (address, good) = (service(), answering("good"));
    let file = File::new("udp-shared", &rules(address, "-s rr", &[good]));
    let first = Process::serving(&["--rules", file.path(), "--workers", "2"]);
    let second = Process::start(&["--rules", file.path(), "--workers", "2"]).end();
    assert_eq!(second.code, Some(1));
    let line = format!("service udp {address}: left out: cannot listen there");
    assert!(second.stderr.contains(&line), "{}", second.stderr);
    assert_eq!(ask(&client(address)), "good");
    drop(first);
}
