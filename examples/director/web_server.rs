//! Tiny web servers: each one responds with its own address. One thread serves all of them.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::slab::Slab;

/// Longest head of a request.
const HEAD: usize = 4096;

struct Server {
    listener: TcpListener,
    /// Its response.
    body: String,
}

struct Exchange {
    stream: TcpStream,
    server: usize,
    head: Vec<u8>,
    /// The rest of the response, once there is one.
    answer: Option<Vec<u8>>,
}

struct Servers {
    poll: Poll,
    servers: Vec<Server>,
    exchanges: Slab<Exchange>,
}

/// Serves until the process ends.
pub(crate) fn start(listeners: Vec<std::net::TcpListener>) -> io::Result<()> {
    let poll = Poll::new()?;
    let mut servers = Vec::new();
    for (index, listener) in listeners.into_iter().enumerate() {
        listener.set_nonblocking(true)?;
        let body = format!("{}\n", listener.local_addr()?);
        let mut listener = TcpListener::from_std(listener);
        poll.registry().register(&mut listener, Token(index), Interest::READABLE)?;
        servers.push(Server { listener, body });
    }
    let servers = Servers { poll, servers, exchanges: Slab::new() };
    thread::Builder::new().name("web-servers".into()).spawn(move || servers.serve())?;
    Ok(())
}

impl Servers {
    fn serve(mut self) {
        let mut events = Events::with_capacity(256);
        // Set after a failed accept, when no event reports that connections still wait.
        let mut rest = None;
        loop {
            match self.poll.poll(&mut events, rest) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return,
                _ => {}
            }
            for event in &events {
                if let Some(index) = event.token().0.checked_sub(self.servers.len()) {
                    self.advance(index);
                }
            }
            rest = self.accept().is_err().then_some(Duration::from_millis(50));
            self.exchanges.settle();
        }
    }

    fn advance(&mut self, index: usize) {
        let Some(exchange) = self.exchanges.get_mut(index) else {
            return;
        };
        let body = self.servers.get(exchange.server).map_or("", |server| &server.body);
        match exchange.advance(body) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Ok(()) | Err(_) => drop(self.exchanges.remove(index)),
        }
    }

    /// Accepts all waiting connections; an error if some are left that cannot be accepted now.
    fn accept(&mut self) -> io::Result<()> {
        for (index, server) in self.servers.iter().enumerate() {
            loop {
                let mut stream = match server.listener.accept() {
                    Ok((stream, _)) => stream,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                };
                let token = Token(self.servers.len() + self.exchanges.next());
                let both = Interest::READABLE | Interest::WRITABLE;
                self.poll.registry().register(&mut stream, token, both)?;
                self.exchanges.insert(Exchange {
                    stream,
                    server: index,
                    head: Vec::new(),
                    answer: None,
                });
            }
        }
        Ok(())
    }
}

impl Exchange {
    /// Continues until it would block, which is an error here; `Ok` if the exchange is over.
    fn advance(&mut self, body: &str) -> io::Result<()> {
        let mut bytes = [0; 1024];
        while self.answer.is_none() {
            match self.stream.read(&mut bytes) {
                Ok(0) => return Ok(()),
                Ok(length) => self.head.extend_from_slice(bytes.get(..length).unwrap_or(&[])),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            self.answer = answer(&self.head, body);
        }
        while let Some(unsent) = self.answer.as_mut().filter(|unsent| !unsent.is_empty()) {
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
fn answer(head: &[u8], body: &str) -> Option<Vec<u8>> {
    let complete = head.windows(4).any(|end| end == b"\r\n\r\n");
    let (status, body) = match (complete, head.len()) {
        (true, _) if head.starts_with(b"GET ") || head.starts_with(b"HEAD ") => ("200 OK", body),
        (true, _) => ("405 Method Not Allowed\r\nAllow: GET, HEAD", "GET and HEAD only\n"),
        (false, HEAD..) => ("431 Request Header Fields Too Large", "too long\n"),
        (false, _) => return None,
    };
    let length = body.len();
    let body = if head.starts_with(b"HEAD ") { "" } else { body };
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    );
    Some(answer.into_bytes())
}
