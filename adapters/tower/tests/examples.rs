//! The examples, as processes. `cargo test` builds them; a run of this test alone does not.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

fn example(name: &str) -> Command {
    let test = std::env::current_exe().expect("a program has a path");
    let target = test.parent().and_then(|deps| deps.parent()).expect("target/PROFILE/deps");
    let example: PathBuf = target.join("examples").join(name);
    assert!(example.exists(), "no {}: cargo build --examples", example.display());
    Command::new(example)
}

#[test]
fn a_grpc_client_ejects_the_server_that_is_unavailable() {
    let output = example("tonic").output().expect("it starts");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.starts_with("57 answers, 3 failures\n"), "{text}");
    assert!(text.contains(": 0 done, 3 failed, ejected\n"), "{text}");
}

/// An HTTP/1 server that says its name, once per connection.
fn backend(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut lines = BufReader::new(stream.try_clone().expect("a socket")).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let length = name.len();
            let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}");
            let _ = write!(stream, "{head}\r\n\r\n{name}");
        }
    });
    address
}

/// A gateway that ends with the test.
struct Gateway {
    process: Child,
    output: BufReader<ChildStdout>,
    rules: PathBuf,
    address: String,
}

impl Gateway {
    fn start(rules: &str) -> Self {
        let file = format!("vsched-tower-{}.rules", std::process::id());
        let path = std::env::temp_dir().join(file);
        std::fs::write(&path, rules).expect("a file");
        let mut command = example("hyper");
        let command = command.arg("127.0.0.1:0").arg(&path).stdout(Stdio::piped());
        let mut process = command.spawn().expect("it starts");
        let mut output = BufReader::new(process.stdout.take().expect("piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("a line");
        let address = line.trim().rsplit(' ').next().expect("an address").to_owned();
        Gateway { process, output, rules: path, address }
    }

    fn get(&self) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
        write!(stream, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).expect("a status");
        format!("{status} {body}")
    }

    /// Returns what it says of the new rules.
    fn reload(&mut self, rules: &str) -> String {
        std::fs::write(&self.rules, rules).expect("a file");
        let process = self.process.id().to_string();
        assert!(Command::new("kill").args(["-HUP", &process]).status().expect("kill").success());
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        line
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_file(&self.rules);
    }
}

#[test]
fn a_gateway_passes_dead_servers_over_and_reloads() {
    let (a, b) = (backend("a"), backend("b"));
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port");
    let service = "-A -t 127.0.0.1:80 -s rr\n";
    let server = |address, options| format!("-a -t 127.0.0.1:80 -r {address} -m {options}\n");
    let rules = format!("{service}{}{}", server(a, ""), server(closed, ""));
    let mut gateway = Gateway::start(&rules);
    for _ in 0..6 {
        assert_eq!(gateway.get(), "200 a");
    }
    let rules = format!("{service}{}{}", server(a, "-w 0"), server(b, ""));
    assert!(gateway.reload(&rules).starts_with("reloaded"));
    for _ in 0..6 {
        assert_eq!(gateway.get(), "200 b");
    }
    let rules = format!("{service}{}{}", server(closed, ""), server(b, "-w 0"));
    assert!(gateway.reload(&rules).starts_with("reloaded"));
    assert!(gateway.get().starts_with("502 "), "{}", gateway.get());
}
