//! Real servers, ports and files for these tests.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;

/// An unused port of this address, below those of outgoing connections; never twice the
/// same one in a process.
fn bind(ip: Ipv4Addr) -> TcpListener {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test processes that run side by side begin at different places.
    let first = 12_000 + (std::process::id() % 200) as u16 * 100;
    loop {
        let tried = NEXT.fetch_add(1, Ordering::Relaxed);
        assert!(tried < 700, "no free port");
        if let Ok(listener) = TcpListener::bind((ip, first + tried)) {
            return listener;
        }
    }
}

/// An address to be listened on, or not, by others.
pub(crate) fn free_address(ip: [u8; 4]) -> SocketAddr {
    bind(ip.into()).local_addr().expect("bound")
}

/// A real server: each connection is handled in a thread of its own. Lives as long as the test.
pub(crate) fn server(handle: impl Fn(TcpStream) + Send + Sync + Clone + 'static) -> SocketAddr {
    let listener = bind(Ipv4Addr::new(127, 0, 0, 11));
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let handle = handle.clone();
            thread::spawn(move || handle(stream));
        }
    });
    address
}

/// A real server that answers requests by this word.
pub(crate) fn web_server(word: &'static str) -> SocketAddr {
    server(move |mut stream| {
        let mut request = [0; 4096];
        let _ = stream.read(&mut request);
        let length = word.len();
        let _ = write!(stream, "HTTP/1.0 200 OK\r\nContent-Length: {length}\r\n\r\n{word}");
    })
}

/// A real server that takes no connection and refuses none: its queue is full.
pub(crate) fn silent_server() -> (SocketAddr, TcpListener, Vec<TcpStream>) {
    let listener = bind(Ipv4Addr::new(127, 0, 0, 12));
    let address = listener.local_addr().expect("bound");
    let mut waiting = Vec::new();
    let patience = std::time::Duration::from_millis(200);
    while let Ok(stream) = TcpStream::connect_timeout(&address, patience) {
        waiting.push(stream);
        assert!(waiting.len() < 10_000, "the queue has no end");
    }
    (address, listener, waiting)
}

/// One request; what came until the end, or an empty text if nothing did.
pub(crate) fn ask(service: SocketAddr) -> String {
    let mut answer = String::new();
    if let Ok(mut stream) = TcpStream::connect(service) {
        let _ = stream.write_all(b"GET / HTTP/1.0\r\n\r\n");
        let _ = stream.read_to_string(&mut answer);
    }
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    body.unwrap_or_default()
}

/// A file that is gone when the test is over.
pub(crate) struct File(PathBuf);

impl File {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        let name = format!("director-{}-{name}", std::process::id());
        let file = File(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name));
        file.write(text);
        file
    }

    pub(crate) fn write(&self, text: &str) {
        fs::write(&self.0, text).expect("the test's directory is writable");
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().expect("a path in UTF-8")
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
