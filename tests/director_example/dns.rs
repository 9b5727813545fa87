//! The classic UDP service: real DNS servers (dnsmasq) behind the example, and a real client (dig).
//!
//! Where the programs are not installed this prints SKIPPED; with `VSCHED_PROGRAMS=required` in the
//! environment that is a failure.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::installed;
use crate::process::{PATIENCE, Process};
use crate::servers::{File, free_address};
use crate::{row, service};

struct Programs {
    dnsmasq: PathBuf,
    dig: PathBuf,
}

impl Programs {
    fn find() -> Option<Self> {
        Some(Programs { dnsmasq: installed::program("dnsmasq")?, dig: installed::program("dig")? })
    }

    /// A DNS server that says this word.
    fn server(&self, word: &str) -> Server {
        let address = free_address([127, 0, 0, 13]);
        let child = Command::new(&self.dnsmasq)
            .args(["--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--user="])
            .args(["--no-resolv", "--no-hosts", "--bind-interfaces", "--log-facility=/dev/null"])
            .arg(format!("--listen-address={}", address.ip()))
            .arg(format!("--port={}", address.port()))
            .arg(format!("--txt-record=who.test,{word}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("dnsmasq starts");
        let server = Server { child, address };
        let end = Instant::now() + PATIENCE;
        while self.dig(address, None, "1") != word {
            assert!(Instant::now() < end, "dnsmasq does not answer");
            thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// What dig prints, without the quotation marks of a text record.
    fn dig(&self, server: SocketAddr, port: Option<u16>, seconds: &str) -> String {
        let mut dig = Command::new(&self.dig);
        dig.arg(format!("@{}", server.ip())).args(["-p", &server.port().to_string()]);
        if let Some(port) = port {
            dig.args(["-b", &format!("127.0.0.1#{port}")]);
        }
        dig.args(["+short", "+tries=1", &format!("+timeout={seconds}"), "who.test", "TXT"]);
        let output = dig.output().expect("dig runs");
        String::from_utf8_lossy(&output.stdout).trim().trim_matches('"').to_owned()
    }

    /// The answer to one query, from this port or from any.
    fn ask(&self, service: SocketAddr, port: Option<u16>) -> String {
        self.dig(service, port, &PATIENCE.as_secs().to_string())
    }
}

struct Server {
    child: Child,
    address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn rules(service: SocketAddr, options: &str, servers: &[&Server]) -> String {
    let servers =
        servers.iter().map(|server| format!("-a -u {service} -r {} -m\n", server.address));
    format!("-A -u {service} {options}\n{}", servers.collect::<String>())
}

fn inactive(table: &str, server: &Server) -> Option<usize> {
    row(table, server.address)?.last()?.parse().ok()
}

fn client_port() -> u16 {
    free_address([127, 0, 0, 1]).port()
}

#[test]
fn a_client_port_stays_with_its_server_until_its_session_expires() {
    let Some(programs) = Programs::find() else { return };
    let (address, one, two) = (service(), programs.server("one"), programs.server("two"));
    let text = rules(address, "-s rr", &[&one, &two]);
    let file = File::new("dns-sessions", &text);
    let process = Process::serving(&["--rules", file.path(), "--workers", "2"]);

    // Client ports alternate, whichever worker serves them.
    let ports: Vec<u16> = (0..6).map(|_| client_port()).collect();
    let first: Vec<String> = ports.iter().map(|port| programs.ask(address, Some(*port))).collect();
    assert_eq!(first.iter().filter(|word| *word == "one").count(), 3, "{first:?}");
    assert!(first.windows(2).all(|pair| pair[0] != pair[1]), "{first:?}");
    let again = || ports.iter().map(|port| programs.ask(address, Some(*port)));
    assert_eq!(again().collect::<Vec<_>>(), first);
    assert_eq!(again().collect::<Vec<_>>(), first);
    let table = process.table();
    assert_eq!([&one, &two].map(|server| inactive(&table, server)), [Some(3), Some(3)], "{table}");

    // A shorter timeout is for sessions that exist already, too.
    file.write(&format!("--set 0 0 1\n{text}"));
    process.signal("HUP");
    process.wait_for_table("expiry", |table| {
        [&one, &two].map(|server| inactive(table, server)) == [Some(0), Some(0)]
    });
    assert!(["one", "two"].contains(&programs.ask(address, Some(ports[0])).as_str()));
}

#[test]
fn one_packet_scheduling_alternates_for_one_client_port() {
    let Some(programs) = Programs::find() else { return };
    let (address, one, two) = (service(), programs.server("one"), programs.server("two"));
    let file = File::new("dns-one-packet", &rules(address, "-s rr -o", &[&one, &two]));
    let process = Process::serving(&["--rules", file.path(), "--workers", "2"]);
    let port = client_port();
    let words: Vec<String> = (0..8).map(|_| programs.ask(address, Some(port))).collect();
    assert!(words.windows(2).all(|pair| pair[0] != pair[1]), "{words:?}");
    assert_eq!(words.iter().filter(|word| *word == "one").count(), 4, "{words:?}");
    let table = process.table();
    assert_eq!([&one, &two].map(|server| inactive(&table, server)), [Some(0), Some(0)], "{table}");

    // Without `-o` from now on: the port has a session.
    file.write(&rules(address, "-s rr", &[&one, &two]));
    let before = process.printed();
    process.signal("HUP");
    process.next_table(before);
    let words: Vec<String> = (0..4).map(|_| programs.ask(address, Some(port))).collect();
    assert!(words.iter().all(|word| !word.is_empty() && *word == words[0]), "{words:?}");
}

#[test]
fn sessions_of_a_server_that_ended_move_to_another() {
    let Some(programs) = Programs::find() else { return };
    let (address, one, two) = (service(), programs.server("one"), programs.server("two"));
    let file = File::new("dns-moved", &rules(address, "-s rr", &[&one, &two]));
    let process = Process::serving(&["--rules", file.path()]);
    let ports: Vec<u16> = (0..4).map(|_| client_port()).collect();
    let words: BTreeSet<String> =
        ports.iter().map(|port| programs.ask(address, Some(*port))).collect();
    assert_eq!(words.len(), 2, "{words:?}");
    let ended = one.address;
    drop(one);
    for port in &ports {
        assert_eq!(programs.ask(address, Some(*port)), "two");
    }
    let table = process.table();
    let report = format!("Failed tries: 2, server {ended} of service udp {address}");
    assert!(table.contains(&report), "{table}");
    assert_eq!(inactive(&table, &two), Some(4), "{table}");
}
