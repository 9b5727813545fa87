//! Real servers on loopback whose behavior a test controls.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::runtime;

/// An address that no other socket uses. Linux has the whole of 127.0.0.0/8 on loopback, so servers can
/// stop and come back without a race for their port.
pub(crate) fn unused_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, SeqCst);
    let ip = if cfg!(target_os = "linux") {
        let [_, _, high, low] = std::process::id().to_be_bytes();
        Ipv4Addr::new(127, high | 1, low, (number % 250 + 2) as u8)
    } else {
        Ipv4Addr::LOCALHOST
    };
    let listener = std::net::TcpListener::bind((ip, 0)).expect("a port");
    listener.local_addr().expect("an address")
}

/// What a backend does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Answers at once.
    Answer,
    /// Answers when the mode changes.
    Wait,
    /// Sends the head and a part of the body, and answers no more.
    Stall,
    /// Closes a connection when its second request arrives.
    CloseOnReuse,
    /// Closes a connection when its first request arrives.
    Close,
}

pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    task: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    connections: AtomicUsize,
    requests: AtomicUsize,
    waiting: AtomicUsize,
    status: AtomicU16,
    mode: watch::Sender<Mode>,
}

impl Backend {
    /// A backend that does not listen yet.
    pub(crate) fn dead() -> Self {
        let shared = Shared {
            connections: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            status: AtomicU16::new(200),
            mode: watch::Sender::new(Mode::Answer),
        };
        Backend { address: unused_address(), shared: Arc::new(shared), task: Mutex::new(None) }
    }

    pub(crate) fn start() -> Self {
        let backend = Backend::dead();
        backend.listen();
        backend
    }

    pub(crate) fn many<const N: usize>() -> [Self; N] {
        std::array::from_fn(|_| Backend::start())
    }

    pub(crate) fn listen(&self) {
        let listener = std::net::TcpListener::bind(self.address).expect("the port is free");
        listener.set_nonblocking(true).expect("a socket");
        let shared = Arc::clone(&self.shared);
        let task = runtime().spawn(async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            // Dropped, and so aborted, with this task.
            let mut open = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                shared.connections.fetch_add(1, SeqCst);
                open.spawn(serve(Arc::clone(&shared), stream));
            }
        });
        *self.task.lock().expect("no panic") = Some(task);
    }

    /// Closes the listener and all connections.
    pub(crate) fn stop(&self) {
        if let Some(task) = self.task.lock().expect("no panic").take() {
            task.abort();
        }
    }

    pub(crate) fn set_mode(&self, mode: Mode) {
        self.shared.mode.send_replace(mode);
    }

    pub(crate) fn set_status(&self, status: u16) {
        self.shared.status.store(status, SeqCst);
    }

    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(SeqCst)
    }

    /// Requests that arrived.
    pub(crate) fn requests(&self) -> usize {
        self.shared.requests.load(SeqCst)
    }

    /// Requests that are not answered yet.
    pub(crate) fn waiting(&self) -> usize {
        self.shared.waiting.load(SeqCst)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn serve(shared: Arc<Shared>, mut stream: TcpStream) {
    let address = stream.local_addr().expect("an address");
    let mut mode = shared.mode.subscribe();
    for number in 0.. {
        if read_request(&mut stream).await.is_none() {
            return;
        }
        shared.requests.fetch_add(1, SeqCst);
        let now = *mode.borrow_and_update();
        match now {
            Mode::CloseOnReuse if number == 0 => {}
            Mode::CloseOnReuse | Mode::Close => return,
            Mode::Answer | Mode::Stall => {}
            Mode::Wait => {
                let _count = Waiting::new(&shared);
                let mut byte = [0];
                tokio::select! {
                    _ = mode.wait_for(|mode| *mode != Mode::Wait) => {}
                    // The proxy has closed the connection.
                    _ = stream.read(&mut byte) => return,
                }
            }
        }
        let (status, body) = (shared.status.load(SeqCst), address.to_string());
        // Part of it is more than the proxy keeps in its buffers.
        let body = if now == Mode::Stall { "x".repeat(200_000) } else { body };
        let length = if now == Mode::Stall { 1_000_000 } else { body.len() };
        let answer = format!("HTTP/1.1 {status} Any\r\nContent-Length: {length}\r\n\r\n{body}");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        if now == Mode::Stall {
            let _count = Waiting::new(&shared);
            let _ = stream.read(&mut [0]).await;
            return;
        }
    }
}

struct Waiting<'shared>(&'shared Shared);

impl<'shared> Waiting<'shared> {
    fn new(shared: &'shared Shared) -> Self {
        shared.waiting.fetch_add(1, SeqCst);
        Waiting(shared)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, SeqCst);
    }
}

/// Reads a head and the body that its `Content-Length` announces; `None` at the end.
pub(crate) async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = stream.read_u8().await.ok()?;
        head.push(byte);
    }
    let text = String::from_utf8(head).ok()?;
    let mut body = vec![0; length(&text)];
    stream.read_exact(&mut body).await.ok()?;
    Some(text)
}

pub(crate) fn length(head: &str) -> usize {
    let line = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    line.unwrap_or(0)
}
