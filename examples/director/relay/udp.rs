//! UDP services: a session per client, or a choice per datagram (one-packet scheduling).

use std::io::{self, ErrorKind};
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use mio::Interest;
use mio::net::UdpSocket;
use vsched::config::ServiceKey;
use vsched::{Connection, Flow, Outcome, ServerId};

use super::event_loop::{DATAGRAMS, EventLoop, REPLIES, token};
use super::recent::Recent;
use super::session::{Attempts, Target};
use super::udp_socket::{Path, ServiceSocket};
use crate::slab::Slab;
use crate::{Event, limits};

/// Datagrams per socket and call, after which other sockets are served.
const TURN: usize = 32;
/// The longest datagram there is.
const DATAGRAM: usize = 65_536;
/// A longer datagram is not kept for another server.
const KEPT: usize = 2_048;
/// At most one line about evictions in this time, per worker.
const INTERVAL: Duration = Duration::from_secs(10);

struct UdpDoor {
    target: Target,
    socket: ServiceSocket,
    /// Each datagram is scheduled by itself.
    one_packet: bool,
    /// Datagrams may be waiting there.
    ready: bool,
}

/// Identifies a session: the service's number and the client. With one-packet scheduling a client has one
/// per server, for that server's replies.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct SessionKey {
    door: usize,
    path: Path,
    server: Option<ServerId>,
}

struct UdpSession<'w> {
    key: SessionKey,
    server: ServerId,
    address: SocketAddr,
    /// Connected to the server: replies and refusals of others do not reach it.
    socket: UdpSocket,
    /// Counts at the server until the session ends. With one-packet scheduling a datagram counts only while
    /// it is scheduled, as in the kernel.
    _connection: Option<Connection<'w>>,
    /// Servers that refused since the last reply.
    tried: Attempts,
    /// The last datagram, unless it is longer than [`KEPT`]: a server that refuses it has not used it.
    last: Vec<u8>,
    /// No reply has come since.
    waiting: bool,
}

/// A datagram on its way to some server.
struct Datagram {
    door: usize,
    path: Path,
    bytes: Vec<u8>,
    tried: Attempts,
}

pub(super) struct Udp<'w> {
    doors: Slab<UdpDoor>,
    sessions: Recent<SessionKey, UdpSession<'w>>,
    /// Sessions with more replies waiting than one call may move.
    again: Vec<usize>,
    /// Datagrams that a server refused.
    refused: Vec<Datagram>,
    buffer: Vec<u8>,
    evictions_told: Option<Instant>,
}

impl Udp<'_> {
    pub(super) fn new() -> Self {
        Udp {
            doors: Slab::new(),
            sessions: Recent::new(),
            again: Vec::new(),
            refused: Vec::new(),
            buffer: vec![0; DATAGRAM],
            evictions_told: None,
        }
    }

    pub(super) fn sessions(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn settle(&mut self) {
        self.doors.settle();
        self.sessions.settle();
    }

    /// True if something is to be done without an event.
    pub(super) fn is_busy(&self) -> bool {
        !self.again.is_empty() || self.doors.iter().any(|(_, door)| door.ready)
    }

    pub(super) fn datagrams_wait(&mut self, door: usize) {
        if let Some(door) = self.doors.get_mut(door) {
            door.ready = true;
        }
    }

    /// When the next session expires, if nothing uses it before.
    pub(super) fn next_expiry(&self, timeout: Duration) -> Option<Instant> {
        self.sessions.oldest().map(|(_, used)| used + timeout)
    }

    pub(super) fn set_one_packet(&mut self, key: &ServiceKey, one_packet: bool) {
        for index in 0..self.doors.bound() {
            if let Some(door) = self.doors.get_mut(index).filter(|door| door.target.key == *key) {
                door.one_packet = one_packet;
            }
        }
    }

    /// Closes the socket of a service, or of all. Its sessions end: replies could not leave from its address.
    pub(super) fn close(&mut self, key: Option<&ServiceKey>) {
        for index in 0..self.doors.bound() {
            let door = self.doors.get(index);
            if door.is_some_and(|door| key.is_none_or(|key| *key == door.target.key)) {
                self.doors.remove(index);
                for session in self.sessions.matching(|key| key.door == index) {
                    self.sessions.remove(session);
                }
            }
        }
    }
}

impl<'w> EventLoop<'w> {
    pub(super) fn open_udp(
        &mut self,
        target: Target,
        one_packet: bool,
        socket: std::net::UdpSocket,
    ) -> io::Result<()> {
        let mut socket = ServiceSocket::new(socket)?;
        let token = token(self.udp.doors.next(), DATAGRAMS);
        self.poll.registry().register(&mut socket.socket, token, Interest::READABLE)?;
        self.udp.doors.insert(UdpDoor { target, socket, one_packet, ready: true });
        Ok(())
    }

    /// Moves waiting datagrams, and those that servers refused; ends idle sessions.
    pub(super) fn relay_udp(&mut self) {
        for index in mem::take(&mut self.udp.again) {
            self.replies(index);
        }
        for door in 0..self.udp.doors.bound() {
            self.receive(door);
        }
        // Each one that is refused again has one more server in `tried`, so this ends.
        while let Some(Datagram { door, path, bytes, tried }) = self.udp.refused.pop() {
            self.dispatch(door, path, &bytes, tried);
        }
        let timeout = self.setting.udp_timeout.get();
        while let Some((index, used)) = self.udp.sessions.oldest() {
            if self.now < used + timeout {
                break;
            }
            self.udp.sessions.remove(index);
        }
    }

    fn receive(&mut self, index: usize) {
        let mut buffer = mem::take(&mut self.udp.buffer);
        for _ in 0..TURN {
            let Some(door) = self.udp.doors.get_mut(index).filter(|door| door.ready) else {
                break;
            };
            match door.socket.receive(&mut buffer) {
                Ok((length, path)) => {
                    let bytes = buffer.get(..length).unwrap_or(&[]);
                    self.dispatch(index, path, bytes, Attempts::new());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => door.ready = false,
                // An error of one datagram.
                Err(_) => {}
            }
        }
        self.udp.buffer = buffer;
    }

    /// Sends a client's datagram to the server of its session, or to one that is picked now.
    fn dispatch(&mut self, door: usize, path: Path, bytes: &[u8], mut tried: Attempts) {
        loop {
            let Some(index) = self.session(door, path, &mut tried) else { return };
            let Some(session) = self.udp.sessions.get_mut(index) else { return };
            match session.socket.send(bytes) {
                Err(error) if is_refusal(&error) => {
                    // It refused an earlier datagram, and this one was not sent.
                    let server = session.server;
                    self.refused(index, &error);
                    if tried.try_push(server).is_err() {
                        return self.lost(door, &NO_SERVER);
                    }
                }
                // Lost otherwise: too long, or the queue is full. That is for the client to repeat.
                _ => {
                    session.waiting = true;
                    session.last.clear();
                    if bytes.len() <= KEPT {
                        session.last.extend_from_slice(bytes);
                    }
                    return self.udp.sessions.touch(index, self.now);
                }
            }
        }
    }

    /// The session for this datagram, begun now if there is none.
    fn session(&mut self, door: usize, path: Path, tried: &mut Attempts) -> Option<usize> {
        let open = self.udp.doors.get(door)?;
        let one_packet = open.one_packet;
        let (Target { key, service, flow }, client) = (open.target, path.client);
        let whole = SessionKey { door, path, server: None };
        if !one_packet {
            if let Some(index) = self.udp.sessions.find(&whole) {
                return Some(index);
            }
        }
        let flow = Flow::udp(client, flow.destination()?);
        loop {
            let connection = match self.worker.connect_excluding(service, &flow, tried.as_slice()) {
                Ok(connection) => connection,
                Err(refused) => {
                    self.setting.failures.unanswered(key, &refused);
                    return None;
                }
            };
            let (server, address) = (connection.server(), connection.address());
            let server_key = one_packet.then_some(server);
            let session_key = SessionKey { server: server_key, ..whole };
            if let Some(index) = self.udp.sessions.find(&session_key) {
                return Some(index);
            }
            self.make_room_for_udp()?;
            match connected(address) {
                Ok(mut socket) => {
                    let index = self.udp.sessions.next();
                    let token = token(index, REPLIES);
                    let registry = self.poll.registry();
                    if registry.register(&mut socket, token, Interest::READABLE).is_err() {
                        self.rest();
                        return None;
                    }
                    let session = UdpSession {
                        key: session_key,
                        server,
                        address,
                        socket,
                        _connection: (!one_packet).then_some(connection),
                        tried: *tried,
                        last: Vec::new(),
                        waiting: false,
                    };
                    self.udp.sessions.insert(session_key, session, self.now);
                    return Some(index);
                }
                Err(error) if limits::is_shortage(&error) => {
                    // The limit may have been lowered from outside.
                    self.evict();
                    self.rest();
                    return None;
                }
                Err(error) => {
                    self.failed(door, server, address, &error);
                    if tried.try_push(server).is_err() {
                        self.setting.failures.unanswered(key, &NO_SERVER);
                        return None;
                    }
                }
            }
        }
    }

    /// A session's server has something: replies, or a refusal.
    pub(super) fn replies(&mut self, index: usize) {
        let mut buffer = mem::take(&mut self.udp.buffer);
        let mut all = false;
        for _ in 0..TURN {
            let Some(session) = self.udp.sessions.get_mut(index) else {
                all = true;
                break;
            };
            match session.socket.recv(&mut buffer) {
                Ok(length) => {
                    if mem::replace(&mut session.waiting, false) {
                        session.tried = Attempts::new();
                        let _ = self.worker.report(session.server, Outcome::Done, None);
                    }
                    let SessionKey { door, path, .. } = session.key;
                    if let Some(door) = self.udp.doors.get(door) {
                        // Lost if the queue is full: that is for the client to repeat.
                        let _ = door.socket.send(buffer.get(..length).unwrap_or(&[]), &path);
                    }
                    self.udp.sessions.touch(index, self.now);
                }
                Err(error) if is_refusal(&error) => self.refused(index, &error),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    all = true;
                    break;
                }
            }
        }
        self.udp.buffer = buffer;
        if !all {
            self.udp.again.push(index);
        }
    }

    /// Ends a session whose server refused a datagram, and gives that to another server.
    fn refused(&mut self, index: usize, error: &io::Error) {
        let Some(session) = self.udp.sessions.remove(index) else { return };
        let UdpSession { key: SessionKey { door, path, .. }, server, mut tried, last, .. } =
            session;
        self.failed(door, server, session.address, error);
        if tried.try_push(server).is_err() {
            return self.lost(door, &NO_SERVER);
        }
        if session.waiting && !last.is_empty() {
            self.udp.refused.push(Datagram { door, path, bytes: last, tried });
        }
    }

    fn failed(&self, door: usize, server: ServerId, address: SocketAddr, error: &io::Error) {
        let _ = self.worker.report(server, Outcome::Failed, None);
        if let Some(door) = self.udp.doors.get(door) {
            self.setting.failures.failed_try(door.target.key, address, error);
        }
    }

    fn lost(&self, door: usize, why: &dyn std::fmt::Display) {
        if let Some(door) = self.udp.doors.get(door) {
            self.setting.failures.unanswered(door.target.key, why);
        }
    }

    /// Makes room for a session. UDP clients need no handshake, so there may be any number: their sessions
    /// never take more than half of the descriptors, and the one idle longest ends for a new one.
    fn make_room_for_udp(&mut self) -> Option<()> {
        let full = self.udp.sessions() >= self.setting.capacity.per_worker() || self.is_full();
        if full && !self.evict() {
            self.setting.capacity.shortage();
            return None;
        }
        Some(())
    }

    fn evict(&mut self) -> bool {
        let Some((oldest, _)) = self.udp.sessions.oldest() else { return false };
        let count = self.udp.sessions();
        self.udp.sessions.remove(oldest);
        if self.udp.evictions_told.is_none_or(|told| self.now >= told + INTERVAL) {
            self.udp.evictions_told = Some(self.now);
            let line = format!(
                "a worker has {count} UDP sessions, all there is room for; for each new one, the one \
                 idle longest ends (--udp-timeout would end them sooner)"
            );
            let _ = self.setting.events.try_send(Event::Note(line));
        }
        true
    }
}

const NO_SERVER: &str = "no server is left";

fn connected(server: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
    socket.connect(server)?;
    Ok(socket)
}

/// An ICMP message said that the server does not take datagrams.
fn is_refusal(error: &io::Error) -> bool {
    use ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
    matches!(error.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable)
}
