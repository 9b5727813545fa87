//! Servers behind nginx: threads of this program that count what arrives.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// What a backend does with a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Mode {
    /// 200 after a pause.
    Answer(Duration),
    /// 200 once it is released.
    Waits,
    /// 503.
    Unavailable,
    /// Reads it and closes the connection.
    Close,
    /// Answers the first one of a connection, and closes at the second, as if it had waited too long.
    Once,
}

/// Answers at once.
pub(crate) const FAST: Mode = Mode::Answer(Duration::ZERO);

pub(crate) fn slow(milliseconds: u64) -> Mode {
    Mode::Answer(Duration::from_millis(milliseconds))
}

/// The numbers of the backends, in the order in which requests arrived.
pub(crate) type Log = Arc<Mutex<Vec<usize>>>;

pub(crate) struct Backend {
    pub(crate) port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    number: usize,
    mode: Mode,
    log: Log,
    requests: AtomicU64,
    /// So many of them may be answered.
    released: AtomicU64,
    connections: AtomicU64,
    open: AtomicUsize,
    most: AtomicUsize,
    ends: AtomicBool,
}

impl Backend {
    pub(crate) fn new(listener: TcpListener, number: usize, mode: Mode, log: &Log) -> Self {
        let shared = Arc::new(Shared {
            number,
            mode,
            log: log.clone(),
            requests: AtomicU64::new(0),
            released: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            ends: AtomicBool::new(false),
        });
        let port = listener.local_addr().expect("an address").port();
        let accepts = shared.clone();
        thread::spawn(move || {
            for connection in listener.incoming() {
                if accepts.ends.load(SeqCst) {
                    break;
                }
                let Ok(connection) = connection else { continue };
                let shared = accepts.clone();
                thread::spawn(move || shared.serve(connection));
            }
        });
        Backend { port, shared }
    }

    /// Requests that arrived.
    pub(crate) fn requests(&self) -> u64 {
        self.shared.requests.load(SeqCst)
    }

    /// Requests that have arrived so far are answered.
    pub(crate) fn release(&self) {
        self.shared.released.store(self.requests(), SeqCst);
    }

    /// Connections with at least one request.
    pub(crate) fn connections(&self) -> u64 {
        self.shared.connections.load(SeqCst)
    }

    /// Requests at a time, at most.
    pub(crate) fn most(&self) -> usize {
        self.shared.most.load(SeqCst)
    }

    /// Requests at present.
    pub(crate) fn open(&self) -> usize {
        self.shared.open.load(SeqCst)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.shared.ends.store(true, SeqCst);
        // Wakes the thread that accepts; it need not succeed.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Shared {
    fn serve(&self, connection: TcpStream) {
        let mut reader = BufReader::new(&connection);
        let mut is_first = true;
        while let Some(keeps) = read_request(&mut reader) {
            if self.mode == Mode::Once && !is_first {
                return;
            }
            let request = self.requests.fetch_add(1, SeqCst);
            self.connections.fetch_add(u64::from(is_first), SeqCst);
            is_first = false;
            self.log.lock().expect("the log").push(self.number);
            let open = self.open.fetch_add(1, SeqCst) + 1;
            self.most.fetch_max(open, SeqCst);
            match self.mode {
                Mode::Answer(pause) => thread::sleep(pause),
                Mode::Waits => self.hold(request),
                _ => {}
            }
            // Before the answer: nginx cannot send the next request earlier.
            self.open.fetch_sub(1, SeqCst);
            let status = match self.mode {
                Mode::Answer(_) | Mode::Waits | Mode::Once => "200 OK",
                Mode::Unavailable => "503 Service Unavailable",
                Mode::Close => return,
            };
            let ends = if keeps { "keep-alive" } else { "close" };
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Length: 2\r\nConnection: {ends}\r\n\r\n{}\n",
                self.number
            );
            if (&connection).write_all(answer.as_bytes()).is_err() || !keeps {
                return;
            }
        }
    }
}

impl Shared {
    /// Waits until the request with this number is released, at most as long as a client does.
    fn hold(&self, request: u64) {
        let end = Instant::now() + Duration::from_secs(20);
        let is_held = || self.released.load(SeqCst) <= request && !self.ends.load(SeqCst);
        while is_held() && Instant::now() < end {
            thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Reads a request without a body. `Some(true)` if the connection goes on, `None` at its end.
fn read_request(reader: &mut impl BufRead) -> Option<bool> {
    let (mut line, mut keeps, mut lines) = (String::new(), true, 0);
    loop {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => return (lines > 0).then_some(keeps),
            "Connection: close" => keeps = false,
            _ => {}
        }
        lines += 1;
    }
}
