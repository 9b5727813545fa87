//! The client of `--requests`: sends HTTP requests one after the other.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::Duration;

use vsched::config::ServiceKey;

use crate::Event;

const CONNECT: Duration = Duration::from_secs(5);
/// Longer than nine dead servers take with the default connect timeout.
const ANSWER: Duration = Duration::from_secs(30);
/// Only the first line of a response is shown, up to this length.
const SHOWN: usize = 78;
const ANSWER_BYTES: u64 = 1 << 20;

/// Sends the requests from a separate thread, to the services in turn; each response is an event.
pub(crate) fn start(
    services: Vec<(ServiceKey, SocketAddr)>,
    requests: u64,
    events: SyncSender<Event>,
) -> io::Result<()> {
    thread::Builder::new().name("client".into()).spawn(move || {
        let several = services.len() > 1;
        let mut answered = 0;
        for (_, (key, address)) in (0..requests).zip(services.iter().cycle()) {
            let (line, good) = match request(*address) {
                Ok(line) => (line, true),
                Err(error) => (format!("no answer: {error}"), false),
            };
            answered += u64::from(good);
            let line = if several { format!("{key} -> {line}") } else { line };
            if events.send(Event::Answer(line)).is_err() {
                return;
            }
        }
        let _ = events.send(Event::Requested { all_answered: answered == requests });
    })?;
    Ok(())
}

/// Sends one request; returns the first line of the body.
fn request(service: SocketAddr) -> io::Result<String> {
    let address = reachable(service);
    let mut stream = TcpStream::connect_timeout(&address, CONNECT)?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.set_write_timeout(Some(ANSWER))?;
    let request = format!("GET / HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES).read_to_end(&mut answer)?;
    first_line(&String::from_utf8_lossy(&answer))
        .ok_or_else(|| io::Error::new(ErrorKind::UnexpectedEof, "closed without an answer"))
}

/// Where to reach a service: on the loopback address if it listens on every address.
pub(crate) fn reachable(service: SocketAddr) -> SocketAddr {
    let mut address = service;
    match service {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => {
            address.set_ip(Ipv4Addr::LOCALHOST.into())
        }
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => {
            address.set_ip(Ipv6Addr::LOCALHOST.into())
        }
        _ => {}
    }
    address
}

/// The first line of the body, or the status line if that is empty. `None` if this is no response.
fn first_line(answer: &str) -> Option<String> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.lines().next().filter(|line| line.starts_with("HTTP/"))?;
    let line = body.lines().find(|line| !line.trim().is_empty());
    Some(line.unwrap_or(status).trim().chars().take(SHOWN).collect())
}
