//! The event loop of one worker thread.

use std::io::{self, ErrorKind};
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};
use vsched::config::ServiceKey;
use vsched::{Flow, ServiceId, Worker};

use super::direction::Buffers;
use super::session::{Session, Step, Target};
use super::sockets::Socket;
use super::udp::Udp;
use super::{Door, Order, Setting};
use crate::slab::Slab;

pub(crate) const WAKER: Token = Token(usize::MAX);

/// Connections accepted from one listener before the open ones are served.
const ACCEPTS: usize = 64;
/// Connections that can wait in a listener's queue, as std requests it.
const QUEUE: usize = 128;
/// Pause after the system had no descriptor or memory left for a socket.
const REST: Duration = Duration::from_millis(100);

/// The subject of an event: the number in the slab, and which of its sockets.
pub(super) fn token(index: usize, side: usize) -> Token {
    Token(index * SIDES + side)
}
const LISTENER: usize = 0;
pub(super) const CLIENT: usize = 1;
pub(super) const SERVER: usize = 2;
/// A UDP service's socket, and a UDP session's.
pub(super) const DATAGRAMS: usize = 3;
pub(super) const REPLIES: usize = 4;
const SIDES: usize = 5;

struct OpenDoor {
    key: ServiceKey,
    service: ServiceId,
    address: SocketAddr,
    listener: TcpListener,
    /// Connections may be waiting there.
    ready: bool,
}

pub(crate) struct EventLoop<'w> {
    pub(super) worker: &'w Worker,
    pub(super) setting: &'w Setting,
    pub(super) poll: Poll,
    orders: Receiver<Order>,
    doors: Slab<OpenDoor>,
    pub(super) sessions: Slab<Session<'w>>,
    pub(super) udp: Udp<'w>,
    /// Sessions that reached the limit per call before they moved everything.
    again: Vec<usize>,
    buffers: Buffers,
    pub(super) now: Instant,
    next_sweep: Instant,
    /// Accepts nothing until then.
    resting: Option<Instant>,
    /// The value of [`EventLoop::is_full`] last reported to the other workers.
    full: bool,
    stop: Option<Instant>,
}

impl<'w> EventLoop<'w> {
    pub(crate) fn new(
        worker: &'w Worker,
        setting: &'w Setting,
        poll: Poll,
        orders: Receiver<Order>,
    ) -> Self {
        let now = Instant::now();
        EventLoop {
            worker,
            setting,
            poll,
            orders,
            doors: Slab::new(),
            sessions: Slab::new(),
            udp: Udp::new(),
            again: Vec::new(),
            buffers: Buffers::new(Arc::clone(&setting.capacity)),
            now,
            next_sweep: now,
            resting: None,
            full: false,
            stop: None,
        }
    }

    /// Relays until told to stop. Returns how many connections were still open then.
    pub(crate) fn run(mut self) -> io::Result<usize> {
        let mut events = Events::with_capacity(1024);
        loop {
            let ended = |deadline| self.sessions.is_empty() || self.now >= deadline;
            if self.stop.is_some_and(ended) {
                return Ok(self.sessions.len());
            }
            let timeout = self.timeout();
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
                _ => self.now = Instant::now(),
            }
            for event in &events {
                self.handle(event);
            }
            for index in mem::take(&mut self.again) {
                self.advance(index);
            }
            self.accept();
            self.relay_udp();
            self.sweep();
            self.sessions.settle();
            self.udp.settle();
            self.doors.settle();
            self.tell_if_full();
        }
    }

    fn tell_if_full(&mut self) {
        let full = self.is_full();
        if full != self.full {
            self.full = full;
            self.setting.capacity.worker_is_full(full);
        }
    }

    fn handle(&mut self, event: &Event) {
        if event.token() == WAKER {
            while let Ok(order) = self.orders.try_recv() {
                self.obey(order);
            }
            return;
        }
        let index = event.token().0 / SIDES;
        match event.token().0 % SIDES {
            LISTENER => {
                if let Some(door) = self.doors.get_mut(index) {
                    door.ready = true;
                }
            }
            DATAGRAMS => self.udp.datagrams_wait(index),
            REPLIES => self.replies(index),
            CLIENT if event.is_error() && self.is_abandoned(index) => {
                self.sessions.remove(index);
            }
            side => self.relay_event(index, side, event),
        }
    }

    fn relay_event(&mut self, index: usize, side: usize, event: &Event) {
        let Some(session) = self.sessions.get_mut(index) else { return };
        if side == CLIENT {
            session.client_event(event);
        } else if let Err(error) = session.server_event(event) {
            return self.step(index, Step::Refused(error));
        }
        self.advance(index);
    }

    fn is_abandoned(&self, index: usize) -> bool {
        self.sessions.get(index).is_some_and(Session::is_abandoned)
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Open(door) => self.open(door),
            Order::OnePacket(key, one_packet) => self.udp.set_one_packet(&key, one_packet),
            Order::Close(key) => {
                self.udp.close(Some(&key));
                let known = self.doors.iter().find(|(_, open)| open.key == key);
                if let Some((index, _)) = known {
                    self.close(index);
                }
            }
            Order::Stop(deadline) => {
                // Clients waiting in the queue are connected already, and are served like the rest.
                // Limited to the length of a full queue: more clients may keep arriving.
                for _ in 0..QUEUE / ACCEPTS {
                    self.accept();
                }
                for index in 0..self.doors.bound() {
                    self.close(index);
                }
                self.udp.close(None);
                self.stop = Some(deadline);
            }
        }
    }

    fn open(&mut self, door: Door) {
        let key = door.key;
        if let Err(error) = self.try_open(door) {
            let line = format!("service {key}: a worker cannot listen: {error}");
            let _ = self.setting.events.try_send(crate::Event::Note(line));
        }
    }

    fn try_open(&mut self, door: Door) -> io::Result<()> {
        let Door { key, service, address, one_packet, socket } = door;
        let listener = match socket {
            Socket::Stream(listener) => listener,
            Socket::Datagram(socket) => {
                let target = Target { key, service, flow: Flow::udp(address, address) };
                return self.open_udp(target, one_packet, socket);
            }
        };
        let mut listener = TcpListener::from_std(listener);
        let token = token(self.doors.next(), LISTENER);
        self.poll.registry().register(&mut listener, token, Interest::READABLE)?;
        self.doors.insert(OpenDoor { key, service, address, listener, ready: true });
        Ok(())
    }

    fn close(&mut self, index: usize) {
        if let Some(mut open) = self.doors.remove(index) {
            // Closing does not suffice: the other workers' duplicates keep the socket in this poll.
            let _ = self.poll.registry().deregister(&mut open.listener);
        }
    }

    /// Accepts waiting connections, up to the capacity.
    fn accept(&mut self) {
        if self.resting.is_some_and(|until| self.now >= until) {
            self.resting = None;
        }
        for index in 0..self.doors.bound() {
            for _ in 0..ACCEPTS {
                if self.resting.is_some() || self.is_full() {
                    return;
                }
                let Some(open) = self.doors.get_mut(index).filter(|open| open.ready) else {
                    break;
                };
                match open.listener.accept() {
                    Ok((client, peer)) => {
                        let target = Target {
                            key: open.key,
                            service: open.service,
                            flow: Flow::tcp(peer, open.address),
                        };
                        self.begin(target, client);
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => open.ready = false,
                    // This client is gone; the next one may be waiting.
                    Err(error)
                        if matches!(
                            error.kind(),
                            ErrorKind::Interrupted | ErrorKind::ConnectionAborted
                        ) => {}
                    // EMFILE and similar; whatever it is, the next attempt may succeed.
                    Err(_) => self.rest(),
                }
            }
        }
    }

    fn may_accept(&self) -> bool {
        let waiting = self.doors.iter().any(|(_, open)| open.ready);
        waiting && self.resting.is_none() && !self.is_full()
    }

    /// A UDP session needs half of a connection's descriptors.
    pub(super) fn is_full(&self) -> bool {
        let udp = self.udp.sessions().div_ceil(2);
        self.sessions.len() + udp >= self.setting.capacity.per_worker()
    }

    /// Pauses accepting: the system has no descriptor or memory for a socket.
    pub(super) fn rest(&mut self) {
        self.setting.capacity.shortage();
        self.resting = Some(self.now + REST);
    }

    fn advance(&mut self, index: usize) {
        let Some(session) = self.sessions.get_mut(index) else {
            return;
        };
        let step = session.advance(self.now, self.setting.idle_timeout, &mut self.buffers);
        self.step(index, step);
    }

    fn step(&mut self, index: usize, step: Step) {
        match step {
            Step::Wait => {}
            Step::Again => self.again.push(index),
            Step::Over => {
                self.sessions.remove(index);
            }
            Step::Refused(error) => {
                if self.retry(index, &error).is_none() {
                    self.sessions.remove(index);
                }
            }
        }
    }

    /// Ends overdue sessions. Walks all sessions, a few times per second while there are any.
    fn sweep(&mut self) {
        if self.now < self.next_sweep || self.sessions.is_empty() {
            return;
        }
        self.next_sweep = self.now + self.sweep_interval();
        let overdue = |(index, session): (usize, &Session<'_>)| match session.overdue(self.now) {
            Step::Wait => None,
            step => Some((index, step)),
        };
        let overdue: Vec<(usize, Step)> = self.sessions.iter().filter_map(overdue).collect();
        for (index, step) in overdue {
            self.step(index, step);
        }
    }

    /// Keeps a connect timeout within an eighth.
    fn sweep_interval(&self) -> Duration {
        (self.setting.connect_timeout / 8)
            .clamp(Duration::from_millis(5), Duration::from_millis(250))
    }

    /// How long the poll may sleep; `None` if no timer is active.
    fn timeout(&self) -> Option<Duration> {
        if !self.again.is_empty() || self.udp.is_busy() || self.may_accept() {
            return Some(Duration::ZERO);
        }
        let sweep = (!self.sessions.is_empty()).then_some(self.next_sweep);
        let expiry = self.udp.next_expiry(self.setting.udp_timeout.get());
        [self.resting, sweep, expiry, self.stop]
            .into_iter()
            .flatten()
            .min()
            .map(|moment| moment.saturating_duration_since(self.now))
    }
}
