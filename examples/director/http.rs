//! A small HTTP server, for the laboratory's web servers and the status page. One thread serves all of its
//! sites; each connection is for one request.
//!
//! GET and HEAD only. Request heads, connections and time are bounded.

use std::borrow::Cow;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::slab::Slab;

/// Longest head of a request.
const HEAD: usize = 8192;
/// Pause after the system had no descriptor for a connection: no event says that connections still wait.
const REST: Duration = Duration::from_millis(50);
const SWEEP: Duration = Duration::from_secs(1);

pub(crate) struct Request<'r> {
    /// Without a query.
    pub(crate) path: &'r str,
    pub(crate) host: &'r str,
}

pub(crate) struct Response {
    /// Number and words, such as `200 OK`.
    pub(crate) status: &'static str,
    pub(crate) content_type: &'static str,
    /// Lines that each end in CR and LF.
    pub(crate) headers: Cow<'static, str>,
    pub(crate) body: Cow<'static, [u8]>,
}

impl Response {
    pub(crate) fn text(status: &'static str, body: impl Into<String>) -> Self {
        Response {
            status,
            content_type: "text/plain; charset=utf-8",
            headers: "".into(),
            body: body.into().into_bytes().into(),
        }
    }
}

pub(crate) type Respond = Box<dyn Fn(&Request<'_>) -> Response + Send>;

/// A listening socket, and what it answers.
pub(crate) struct Site {
    pub(crate) listener: std::net::TcpListener,
    /// Of every response: lines that each end in CR and LF.
    pub(crate) headers: &'static str,
    pub(crate) respond: Respond,
}

struct Listening {
    listener: TcpListener,
    headers: &'static str,
    respond: Respond,
}

#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// Most connections at a time; others wait in the listener's queue.
    pub(crate) connections: usize,
    /// Time of a connection from its begin to its end.
    pub(crate) time: Duration,
}

struct Exchange {
    stream: TcpStream,
    site: usize,
    head: Vec<u8>,
    /// The rest of the response, once there is one.
    unsent: Option<Vec<u8>>,
    deadline: Instant,
}

struct Server {
    poll: Poll,
    sites: Vec<Listening>,
    exchanges: Slab<Exchange>,
    limits: Limits,
    next_sweep: Instant,
}

/// Serves until the process ends.
pub(crate) fn start(name: &str, sites: Vec<Site>, limits: Limits) -> io::Result<()> {
    let poll = Poll::new()?;
    let mut listening = Vec::new();
    for (index, Site { listener, headers, respond }) in sites.into_iter().enumerate() {
        listener.set_nonblocking(true)?;
        let mut listener = TcpListener::from_std(listener);
        poll.registry().register(&mut listener, Token(index), Interest::READABLE)?;
        listening.push(Listening { listener, headers, respond });
    }
    let next_sweep = Instant::now() + SWEEP;
    let server = Server { poll, sites: listening, exchanges: Slab::new(), limits, next_sweep };
    thread::Builder::new().name(name.into()).spawn(move || server.serve())?;
    Ok(())
}

impl Server {
    fn serve(mut self) {
        let mut events = Events::with_capacity(256);
        let mut rest = None;
        loop {
            match self.poll.poll(&mut events, rest) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return,
                _ => {}
            }
            for event in &events {
                if let Some(index) = event.token().0.checked_sub(self.sites.len()) {
                    self.advance(index);
                }
            }
            let sweep = self.end_overdue(Instant::now());
            self.exchanges.settle();
            rest = if self.accept().is_err() { Some(REST) } else { sweep };
        }
    }

    fn advance(&mut self, index: usize) {
        let Some(exchange) = self.exchanges.get_mut(index) else {
            return;
        };
        let Some(site) = self.sites.get(exchange.site) else {
            return;
        };
        match exchange.advance(site) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Ok(()) | Err(_) => drop(self.exchanges.remove(index)),
        }
    }

    /// Ends connections that took too long, once per second. Returns how long the poll may sleep; `None`
    /// if there is no connection.
    fn end_overdue(&mut self, now: Instant) -> Option<Duration> {
        if now >= self.next_sweep {
            self.next_sweep = now + SWEEP;
            let overdue = |(index, it): (usize, &Exchange)| (it.deadline <= now).then_some(index);
            let overdue: Vec<usize> = self.exchanges.iter().filter_map(overdue).collect();
            for index in overdue {
                self.exchanges.remove(index);
            }
        }
        (!self.exchanges.is_empty()).then(|| self.next_sweep.saturating_duration_since(now))
    }

    /// Accepts waiting connections up to the limit; an error if some are left that cannot be accepted now.
    fn accept(&mut self) -> io::Result<()> {
        for (index, site) in self.sites.iter().enumerate() {
            while self.exchanges.len() < self.limits.connections {
                let mut stream = match site.listener.accept() {
                    Ok((stream, _)) => stream,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                };
                let token = Token(self.sites.len() + self.exchanges.next());
                let both = Interest::READABLE | Interest::WRITABLE;
                self.poll.registry().register(&mut stream, token, both)?;
                self.exchanges.insert(Exchange {
                    stream,
                    site: index,
                    head: Vec::new(),
                    unsent: None,
                    deadline: Instant::now() + self.limits.time,
                });
            }
        }
        Ok(())
    }
}

impl Exchange {
    /// Continues until it would block, which is an error here; `Ok` if the exchange is over.
    fn advance(&mut self, site: &Listening) -> io::Result<()> {
        let mut bytes = [0; 1024];
        while self.unsent.is_none() {
            match self.stream.read(&mut bytes) {
                Ok(0) => return Ok(()),
                Ok(length) => self.head.extend_from_slice(bytes.get(..length).unwrap_or(&[])),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            self.unsent = answer(&self.head, site);
        }
        while let Some(unsent) = self.unsent.as_mut().filter(|unsent| !unsent.is_empty()) {
            match self.stream.write(unsent) {
                Ok(length) => drop(unsent.drain(..length)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if unsent.is_empty() {
                self.stream.shutdown(Shutdown::Write)?;
            }
        }
        // Read and discard what else the client sends until it closes: closing with unread bytes would
        // be a reset, which could discard the response.
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// The whole response, as soon as the head of the request is complete.
fn answer(head: &[u8], site: &Listening) -> Option<Vec<u8>> {
    let end = head.windows(4).position(|end| end == b"\r\n\r\n");
    let response = match end {
        None if head.len() < HEAD => return None,
        None => Response::text("431 Request Header Fields Too Large", "too long\n"),
        Some(end) => {
            let head = String::from_utf8_lossy(head.get(..end).unwrap_or(head));
            response(&head, &site.respond)
        }
    };
    let Response { status, content_type, headers, body } = response;
    let mut answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\
         Connection: close\r\n{}{headers}\r\n",
        body.len(),
        site.headers
    )
    .into_bytes();
    if !head.starts_with(b"HEAD ") {
        answer.extend_from_slice(&body);
    }
    Some(answer)
}

fn response(head: &str, respond: &Respond) -> Response {
    let mut lines = head.split("\r\n");
    let words: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let [method, target, version] = words[..] else {
        return Response::text("400 Bad Request", "not a request\n");
    };
    if !version.starts_with("HTTP/1.") || !target.starts_with('/') {
        return Response::text("400 Bad Request", "not a request\n");
    }
    if !matches!(method, "GET" | "HEAD") {
        let refused = Response::text("405 Method Not Allowed", "GET and HEAD only\n");
        return Response { headers: "Allow: GET, HEAD\r\n".into(), ..refused };
    }
    let host = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("host").then(|| value.trim())
    });
    let path = target.split('?').next().unwrap_or_default();
    respond(&Request { path, host: host.unwrap_or_default() })
}
