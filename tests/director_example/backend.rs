//! Real servers that tests stop and start again, and what the example says of them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::process::{PATIENCE, Process};
use crate::servers::free_address;

/// A web server that can be stopped: then its address refuses connections.
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    status: Arc<AtomicU16>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Backend {
    pub(crate) fn start(ip: [u8; 4]) -> Self {
        Backend::start_at(free_address(ip))
    }

    pub(crate) fn start_at(address: SocketAddr) -> Self {
        let (status, stop) = (Arc::new(AtomicU16::new(200)), Arc::default());
        let mut backend = Backend { address, status, stop, thread: None };
        backend.start_again();
        backend
    }

    pub(crate) fn start_again(&mut self) {
        let listener = TcpListener::bind(self.address).expect("its own address");
        self.stop.store(false, Ordering::SeqCst);
        let (status, stop) = (Arc::clone(&self.status), Arc::clone(&self.stop));
        self.thread = Some(thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let status = status.load(Ordering::SeqCst);
                thread::spawn(move || answer(stream, status));
            }
        }));
    }

    pub(crate) fn stop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the thread.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("no panic");
        }
    }

    /// What it answers from now on.
    pub(crate) fn answer_with(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.stop();
    }
}

fn answer(mut stream: TcpStream, status: u16) {
    let _ = stream.set_read_timeout(Some(PATIENCE));
    if matches!(stream.read(&mut [0; 4096]), Ok(1..)) {
        let _ = write!(stream, "HTTP/1.1 {status} Word\r\nContent-Length: 4\r\n\r\ngood");
    }
}

/// Where the status page is.
pub(crate) fn page(process: &Process) -> SocketAddr {
    process.wait_for("the status page", |stdout, _| stdout.contains("status: http://"));
    let stdout = process.stdout();
    let line = stdout.lines().find_map(|line| line.strip_prefix("status: http://"));
    line.expect("just seen").trim_end_matches('/').parse().expect("an address")
}

/// Sends this text; returns what comes until the end.
pub(crate) fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let _ = stream.write_all(request.as_bytes());
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// The head and the body of a response.
pub(crate) fn get(address: SocketAddr, path: &str) -> (String, String) {
    let answer = exchange(address, &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n"));
    let (head, body) = answer.split_once("\r\n\r\n").expect("a response");
    (head.to_owned(), body.to_owned())
}

pub(crate) fn json(address: SocketAddr, path: &str) -> Value {
    serde_json::from_str(&get(address, path).1).expect("JSON")
}

/// What `/status.json` says of a server.
pub(crate) fn server_of(status: &Value, server: SocketAddr) -> Option<&Value> {
    let services = status["services"].as_array().expect("services").iter();
    let mut servers = services.flat_map(|service| service["servers"].as_array().expect("servers"));
    servers.find(|it| it["address"] == server.to_string())
}

/// Waits until `/status.json` is like this.
pub(crate) fn wait_for_status(
    page: SocketAddr,
    what: &str,
    seen: impl Fn(&Value) -> bool,
) -> Value {
    let end = Instant::now() + PATIENCE;
    loop {
        let status = json(page, "/status.json");
        if seen(&status) {
            return status;
        }
        assert!(Instant::now() < end, "waited for {what} in vain: {status:#}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until a server is in this state; returns who holds it and why.
pub(crate) fn wait_for_state(page: SocketAddr, server: SocketAddr, state: &str) -> Vec<String> {
    let is = |status: &Value| server_of(status, server).is_some_and(|it| it["state"] == state);
    let status = wait_for_status(page, &format!("{server} to be {state}"), is);
    let holds = server_of(&status, server).expect("just seen")["holds"].as_array().expect("holds");
    let text = |hold: &Value| {
        let word = |name: &str| hold[name].as_str().expect("a text").to_owned();
        format!("{}: {}", word("holder"), word("reason"))
    };
    holds.iter().map(text).collect()
}
