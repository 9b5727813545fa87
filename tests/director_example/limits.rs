//! The example's capacity for connections, its behavior above that, and its idle timeouts.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::process::{self, Process};
use crate::servers::{File, ask, server};
use crate::{row, service, slow_client};

fn rules(name: &str, service: SocketAddr, server: SocketAddr) -> File {
    File::new(name, &format!("-A -t {service}\n-a -t {service} -r {server} -m\n"))
}

/// The numbers of the line that says how much room there is.
fn room(process: &Process) -> (usize, usize) {
    process.wait_for("how much room there is", |stdout, _| stdout.contains("room for "));
    let stdout = process.stdout();
    let line = stdout.lines().find_map(|line| line.strip_prefix("room for ")).expect("just seen");
    let mut numbers = line.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok());
    (numbers.next().expect("connections"), numbers.next().expect("descriptors"))
}

/// A real server that says one word and waits for the other side to close.
fn silent_after_one_word() -> SocketAddr {
    server(|mut stream| {
        let _ = stream.write_all(b"one");
        let _ = stream.read_to_end(&mut Vec::new());
    })
}

#[test]
fn the_soft_limit_of_descriptors_is_raised_and_the_room_is_stated() {
    let (address, good) = (service(), server(drop));
    let file = rules("room", address, good);
    let arguments = ["--rules", file.path(), "--workers", "2"];
    let process = Process::limited(64, 256, &arguments);
    let (connections, descriptors) = room(&process);
    assert_eq!(descriptors, 256);
    // Two each, and little besides.
    assert!((200 / 2..256 / 2).contains(&connections), "{connections}");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", process.id()));
    let limits = limits.expect("it runs");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("the limit");
    assert_eq!(line.split_whitespace().nth(3), Some("256"), "{line}");
    assert!(process.stdout().contains("; silent ones end after 900 s\n"));
}

#[test]
fn saturation_is_logged_when_it_begins_and_when_it_ends() {
    let (address, slow) = (service(), silent_after_one_word());
    let file = rules("saturated", address, slow);
    let process = Process::limited(64, 64, &["--rules", file.path(), "--workers", "2"]);
    let (connections, _) = room(&process);
    assert!((4..30).contains(&connections), "{connections}");

    let clients: Vec<TcpStream> = (0..connections).map(|_| slow_client(address)).collect();
    let line = format!(
        "saturated: {connections} connections are open, all there is room for; \
                        new clients wait\n"
    );
    process.wait_for("saturation", |_, stderr| stderr == line);
    let full = ["Masq".into(), "1".into(), connections.to_string(), "0".into()];
    process.wait_for_table("all of them", |table| row(table, slow).is_some_and(|row| row == full));
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", process.id()));
    assert!(descriptors.expect("it runs").count() <= 64);

    // A new client now waits in the listener's queue, and is served once there is capacity.
    let mut waiting = TcpStream::connect(address).expect("the queue has room");
    waiting.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
    assert!(waiting.read_exact(&mut [0; 3]).is_err(), "it is not served");
    assert!(row(&process.table(), slow).is_some_and(|row| row == full));
    drop(clients);
    waiting.set_read_timeout(Some(process::PATIENCE)).expect("a timeout");
    waiting.read_exact(&mut [0; 3]).expect("it is served");
    process.wait_for("the end of it", |_, stderr| {
        let end = stderr.strip_prefix(&line);
        end.is_some_and(|end| end.starts_with("no longer saturated, after "))
    });
    drop(waiting);
    process.wait_for_table("no connections", |table| {
        row(table, slow) == Some(vec!["Masq", "1", "0", "0"])
    });
    assert!(!process.stdout().contains("Unanswered"), "nobody was turned away");
}

/// The limit may be lowered from outside, and memory may be short: what is stated is not all there
/// is to it.
#[cfg(target_os = "linux")]
#[test]
fn a_shortage_of_descriptors_is_logged_when_it_begins_and_when_it_ends() {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};

    let (address, good) = (service(), crate::servers::web_server("good"));
    let file = rules("short", address, good);
    let process = Process::serving(&["--rules", file.path(), "--workers", "1"]);
    let pid = Pid::from_raw(process.id().cast_signed());
    let usual = prlimit(pid, Resource::Nofile, Rlimit { current: Some(1), maximum: Some(4096) });
    let usual = usual.expect("our own process");
    let waiting = std::thread::spawn(move || ask(address));
    let line = "saturated: the system has no file descriptor or memory for another one; new \
                clients wait\n";
    process.wait_for("the shortage", |_, stderr| stderr == line);
    let enough = Rlimit { current: Some(4096), maximum: Some(4096) };
    prlimit(pid, Resource::Nofile, enough).expect("our own process");
    assert!(usual.current.is_some());
    assert_eq!(waiting.join().expect("no panic"), "good");
    process.wait_for("the end of it", |_, stderr| {
        let end = stderr.strip_prefix(line);
        end.is_some_and(|end| end.starts_with("no longer saturated, after "))
    });
}

#[test]
fn silence_ends_a_connection_after_the_idle_timeout() {
    let (address, silent) = (service(), silent_after_one_word());
    let file = rules("idle", address, silent);
    let process = Process::serving(&["--rules", file.path(), "--idle-timeout", "0.5"]);
    assert!(process.stdout().contains("; silent ones end after 0.5 s\n"));
    let mut client = slow_client(address);
    let end = client.read(&mut [0]);
    assert!(matches!(end, Ok(0)) || end.is_err_and(|e| e.kind() != std::io::ErrorKind::WouldBlock));
    process.wait_for_table("no connections", |table| {
        row(table, silent) == Some(vec!["Masq", "1", "0", "0"])
    });
}
