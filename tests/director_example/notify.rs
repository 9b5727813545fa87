//! The example tells a service manager what it does; its unit file is one that systemd takes.
#![cfg(target_os = "linux")]

use std::fs;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::process::Command;

use crate::process::{PATIENCE, Process, example};
use crate::servers::{File, web_server};
use crate::service;

/// What a service manager hears.
struct Manager(UnixDatagram);

impl Manager {
    fn at(address: &SocketAddr) -> Self {
        let socket = UnixDatagram::bind_addr(address).expect("a new name");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Manager(socket)
    }

    /// The next message with this assignment; others are skipped.
    fn wait_for(&self, assignment: &str) -> String {
        let mut bytes = [0; 4096];
        loop {
            let length = self.0.recv(&mut bytes).unwrap_or_else(|e| panic!("{assignment}: {e}"));
            let message = String::from_utf8(bytes[..length].to_vec()).expect("a text");
            if message.lines().any(|line| line == assignment) {
                return message;
            }
        }
    }
}

fn monotonic_microseconds() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1_000
}

#[test]
fn a_service_manager_hears_of_start_reload_and_stop() {
    let id = std::process::id();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("notify-{id}"));
    let path = path.to_str().expect("a path in UTF-8");
    let name = format!("vsched-notify-{id}");
    for (variable, address) in [
        (path.to_owned(), SocketAddr::from_pathname(path)),
        (format!("@{name}"), SocketAddr::from_abstract_name(&name)),
    ] {
        let manager = Manager::at(&address.expect("an address"));
        let (service, good) = (service(), web_server("good"));
        let file = File::new("notify", &format!("-A -t {service}\n-a -t {service} -r {good} -m\n"));
        let environment = [("NOTIFY_SOCKET", variable.as_str()), ("WATCHDOG_USEC", "30000000")];
        let process = Process::start_with(&environment, &["--rules", file.path()]);
        let ready = manager.wait_for("READY=1");
        assert_eq!(
            ready, "READY=1\nSTATUS=services: 1; servers: 1, up: 1; connections: 0",
            "{variable}"
        );
        manager.wait_for("WATCHDOG=1");
        let before = monotonic_microseconds();
        file.write(&format!("-A -t {service}\n-a -t {service} -r {good} -m -w 0\n"));
        process.signal("HUP");
        // systemd refuses a time before its signal.
        let reloading = manager.wait_for("RELOADING=1");
        let time = reloading.split("MONOTONIC_USEC=").nth(1).expect("a time");
        let time: i64 = time.parse().expect("a number");
        assert!((before..=monotonic_microseconds()).contains(&time), "{reloading}");
        let ready = manager.wait_for("READY=1");
        assert!(ready.contains("\nSTATUS="), "{ready}");
        process.wait_for("the refusal", |_, stderr| stderr.contains("not reloaded: "));
        process.signal("TERM");
        manager.wait_for("STOPPING=1");
        assert_eq!(process.end().code, Some(0));
    }
    let _ = fs::remove_file(path);
}

#[test]
fn a_socket_that_cannot_be_reached_is_reported_and_no_more() {
    for name in ["/no/such/socket", "vsock:2:1234"] {
        let process = Process::start_with(&[("NOTIFY_SOCKET", name)], &["--requests", "1"]);
        let ended = process.end();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(ended.stderr.starts_with(&format!("NOTIFY_SOCKET: {name}: ")), "{}", ended.stderr);
    }
}

/// The version of systemd, if there is one.
fn version() -> Option<u32> {
    let output = Command::new("systemd-analyze").arg("--version").output().ok()?;
    String::from_utf8_lossy(&output.stdout).split_whitespace().nth(1)?.parse().ok()
}

/// Where there is no systemd, prints SKIPPED.
#[test]
fn the_unit_file_is_valid() {
    let unit =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/director/vsched-director.service");
    let unit = fs::read_to_string(unit).expect("the unit file");
    for line in ["Type=notify-reload", "NoNewPrivileges=yes", "ProtectSystem=strict"] {
        assert!(unit.lines().any(|it| it == line), "{line}");
    }
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).expect("a command");
    let (program, arguments) = start.split_once(' ').expect("arguments");
    // Every option it names exists.
    let help = Process::start(&["--help"]).end().stdout;
    for option in arguments.split(' ').filter(|word| word.starts_with("--")) {
        assert!(help.contains(option), "{option}");
    }
    // Older ones do not know the type.
    let known = version().is_none_or(|version| version >= 253);
    let installed = if known { unit.clone() } else { unit.replace("notify-reload", "notify") };
    let installed = installed.replace(program, example().to_str().expect("a path in UTF-8"));
    let folder =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("unit-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("vsched-director.service");
    fs::write(&file, installed).expect("a file");
    let verified = Command::new("systemd-analyze").arg("verify").arg(&file).output();
    let _ = fs::remove_dir_all(&folder);
    match verified {
        Err(_) => eprintln!("SKIPPED: systemd-analyze is not installed"),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let about_it: Vec<&str> =
                said.lines().filter(|line| line.contains("vsched-director")).collect();
            assert!(output.status.success() && about_it.is_empty(), "{said}");
        }
    }
}
