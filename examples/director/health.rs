//! Active health checks: connects to each server of a TCP service, or also sends an HTTP request.
//!
//! One thread, without blocking; at most [`MOST`] checks at a time, however many servers there are. A server
//! that fails `fall` checks in a row is held down in the name of the health checker, and released after
//! `rise` successes in a row. Other holds, such as an administrator's or an ejection, stay as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};
use vsched::config::{Protocol, ServiceKey};
use vsched::{Config, Director, Holder, ServerId, ServerState};

use crate::limits;
use crate::slab::Slab;

/// Checks at a time, and so file descriptors.
pub(crate) const MOST: usize = 128;
/// The status line of a response is in its first bytes.
const RESPONSE: usize = 1024;
const WAKER: Token = Token(usize::MAX);

/// What a healthy server does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Check {
    /// It accepts a connection.
    #[default]
    Tcp,
    /// It answers GET with this status.
    Http { path: String, status: u16 },
}

impl FromStr for Check {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "tcp, or http:/path, or http:/path=status";
        if text == "tcp" {
            return Ok(Check::Tcp);
        }
        let target = text.strip_prefix("http:").ok_or(EXPECTED)?;
        let (path, status) = match target.rsplit_once('=') {
            // A query such as `?key=value` has the same sign.
            Some((path, status)) if status.len() == 3 && !status.starts_with('0') => {
                (path, status.parse().map_err(|_| EXPECTED)?)
            }
            _ => (target, 200),
        };
        let printable = path.bytes().all(|byte| byte.is_ascii_graphic());
        if !path.starts_with('/') || !printable || !(100..=599).contains(&status) {
            return Err(EXPECTED);
        }
        Ok(Check::Http { path: path.to_owned(), status })
    }
}

/// How servers are checked.
#[derive(Debug, Clone)]
pub(crate) struct Checks {
    pub(crate) check: Check,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    pub(crate) fall: u32,
    pub(crate) rise: u32,
}

impl Default for Checks {
    fn default() -> Self {
        Checks {
            check: Check::Tcp,
            interval: Duration::from_secs(2),
            timeout: Duration::from_secs(1),
            fall: 3,
            rise: 2,
        }
    }
}

/// A server of a service, by its address as configured.
type Name = (ServiceKey, SocketAddr);

/// The main thread's handle.
pub(crate) struct HealthChecker {
    wanted: Sender<BTreeMap<Name, SocketAddr>>,
    waker: Waker,
}

impl HealthChecker {
    /// Starts the thread, which ends with the process.
    pub(crate) fn start(checks: Checks, director: Director) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let (wanted, receiver) = channel();
        let checker = Checker {
            checks,
            director,
            poll,
            wanted: receiver,
            servers: BTreeMap::new(),
            due: BTreeSet::new(),
            probes: Slab::new(),
            random: RandomState::new().hash_one("jitter") | 1,
        };
        thread::Builder::new().name("health".into()).spawn(move || checker.run())?;
        Ok(HealthChecker { wanted, waker })
    }

    /// From now on the servers of this config are checked: new ones soon, removed ones no more.
    pub(crate) fn follow(&self, config: &Config) {
        let tcp = |key: &ServiceKey| key.protocol() == Some(Protocol::Tcp);
        let services = config.services.iter().filter(|service| tcp(&service.key));
        let servers = services.flat_map(|service| {
            service.servers.iter().map(|server| {
                let mut address = server.address;
                if address.port() == 0 {
                    address.set_port(service.key.port().unwrap_or(0));
                }
                ((service.key, server.address), address)
            })
        });
        // Fails only if the thread has ended.
        let _ = self.wanted.send(servers.collect());
        let _ = self.waker.wake();
    }
}

/// What is known of a server.
struct Server {
    /// Where it is checked.
    address: SocketAddr,
    successes: u32,
    failures: u32,
    /// Held down by the health checker.
    held: bool,
}

/// A check that runs.
struct Probe {
    name: Name,
    stream: TcpStream,
    deadline: Instant,
    /// Of the request.
    sent: usize,
    response: Vec<u8>,
}

struct Checker {
    checks: Checks,
    director: Director,
    poll: Poll,
    wanted: Receiver<BTreeMap<Name, SocketAddr>>,
    servers: BTreeMap<Name, Server>,
    /// The servers that wait for their next check.
    due: BTreeSet<(Instant, Name)>,
    probes: Slab<Probe>,
    random: u64,
}

impl Checker {
    fn run(mut self) {
        let mut events = Events::with_capacity(MOST);
        loop {
            let timeout = self.timeout(Instant::now());
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return,
                _ => {}
            }
            while let Ok(wanted) = self.wanted.try_recv() {
                self.follow(wanted, Instant::now());
            }
            for event in events.iter().filter(|event| event.token() != WAKER) {
                self.advance(event.token().0);
            }
            self.end_overdue(Instant::now());
            self.probes.settle();
            self.begin_due(Instant::now());
        }
    }

    /// Until the next check begins, or one has taken too long.
    fn timeout(&self, now: Instant) -> Option<Duration> {
        let due = self.due.first().filter(|_| self.probes.len() < MOST).map(|(due, _)| *due);
        let deadline = self.probes.iter().map(|(_, probe)| probe.deadline).min();
        let next = due.into_iter().chain(deadline).min()?;
        // Rounded up: the poll counts milliseconds.
        Some(next.saturating_duration_since(now) + Duration::from_millis(1))
    }

    fn follow(&mut self, wanted: BTreeMap<Name, SocketAddr>, now: Instant) {
        self.servers.retain(|name, _| wanted.contains_key(name));
        self.due.retain(|(_, name)| wanted.contains_key(name));
        let removed =
            |(index, it): (usize, &Probe)| (!wanted.contains_key(&it.name)).then_some(index);
        let removed: Vec<usize> = self.probes.iter().filter_map(removed).collect();
        for index in removed {
            self.probes.remove(index);
        }
        for (name, address) in wanted {
            if let Some(server) = self.servers.get_mut(&name) {
                server.address = address;
                continue;
            }
            // Spread over the interval. A hold from before the server was removed is still there.
            let due = now + self.checks.interval.mul_f64(self.fraction());
            let held = self.is_held(&name);
            self.due.insert((due, name));
            let server = Server { address, successes: 0, failures: 0, held };
            self.servers.insert(name, server);
        }
    }

    fn is_held(&self, (service, server): &Name) -> bool {
        let holds = id_of(&self.director, service, *server).and_then(|id| self.director.holds(id));
        holds.is_some_and(|holds| holds.iter().any(|it| it.holder == Holder::HealthChecker))
    }

    fn begin_due(&mut self, now: Instant) {
        while self.probes.len() < MOST {
            let Some((due, name)) = self.due.first().copied().filter(|(due, _)| *due <= now) else {
                return;
            };
            self.due.remove(&(due, name));
            let Some(server) = self.servers.get(&name) else { continue };
            let token = Token(self.probes.next());
            let begun = TcpStream::connect(server.address).and_then(|mut stream| {
                let both = Interest::READABLE | Interest::WRITABLE;
                self.poll.registry().register(&mut stream, token, both).map(|()| stream)
            });
            match begun {
                Ok(stream) => self.probes.insert(Probe {
                    name,
                    stream,
                    deadline: now + self.checks.timeout,
                    sent: 0,
                    response: Vec::new(),
                }),
                // Not the server's fault: check again later.
                Err(error) if limits::is_shortage(&error) => self.wait(name, now),
                Err(error) => self.conclude(name, Err(error.to_string()), now),
            }
        }
    }

    fn end_overdue(&mut self, now: Instant) {
        let overdue = |(index, probe): (usize, &Probe)| (probe.deadline <= now).then_some(index);
        let overdue: Vec<usize> = self.probes.iter().filter_map(overdue).collect();
        for index in overdue {
            if let Some(probe) = self.probes.remove(index) {
                self.conclude(probe.name, Err("no answer in time".into()), now);
            }
        }
    }

    fn advance(&mut self, index: usize) {
        let Some(probe) = self.probes.get_mut(index) else { return };
        if let Some(result) = probe.advance(&self.checks.check) {
            let name = probe.name;
            self.probes.remove(index);
            self.conclude(name, result, Instant::now());
        }
    }

    /// A check is over.
    fn conclude(&mut self, name: Name, result: Result<(), String>, now: Instant) {
        let Some(server) = self.servers.get_mut(&name) else { return };
        let change = match result {
            Ok(()) => {
                server.failures = 0;
                server.successes = server.successes.saturating_add(1);
                let released = server.held && server.successes >= self.checks.rise;
                released.then(|| (ServerState::Up, String::new()))
            }
            Err(error) => {
                server.successes = 0;
                server.failures = server.failures.saturating_add(1);
                let held = !server.held && server.failures >= self.checks.fall;
                let reason = format!("{error}; {} failures in a row", server.failures);
                held.then_some((ServerState::Down, reason))
            }
        };
        if let (Some((state, reason)), Some(id)) = (change, id_of(&self.director, &name.0, name.1))
        {
            let holder = Holder::HealthChecker;
            // If it fails, for lack of memory, the next check tries again.
            if self.director.set_state_because(id, holder, state, &reason).is_ok() {
                server.held = state != ServerState::Up;
            }
        }
        self.wait(name, now);
    }

    /// Sets the time of the next check: an interval from now, give or take a tenth, so that checks that
    /// have met drift apart.
    fn wait(&mut self, name: Name, now: Instant) {
        let due = now + self.checks.interval.mul_f64(0.9 + self.fraction() / 5.0);
        self.due.insert((due, name));
    }

    /// A random number from 0 to 1 (xorshift).
    fn fraction(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl Probe {
    /// Continues as far as possible; the result once there is one.
    fn advance(&mut self, check: &Check) -> Option<Result<(), String>> {
        loop {
            match self.try_advance(check) {
                Ok(None) => return None,
                Ok(Some(result)) => return Some(result),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Some(Err(error.to_string())),
            }
        }
    }

    fn try_advance(&mut self, check: &Check) -> io::Result<Option<Result<(), String>>> {
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        match self.stream.peer_addr() {
            Err(error) if error.kind() == ErrorKind::NotConnected => return Ok(None),
            peer => drop(peer?),
        }
        let Check::Http { path, status } = check else { return Ok(Some(Ok(()))) };
        let host = self.stream.peer_addr()?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: vsched-director\r\n\
             Connection: close\r\n\r\n"
        );
        while let Some(rest @ [_, ..]) = request.as_bytes().get(self.sent..) {
            self.sent += self.stream.write(rest)?;
        }
        let mut bytes = [0; 256];
        loop {
            let length = self.stream.read(&mut bytes)?;
            self.response.extend_from_slice(bytes.get(..length).unwrap_or(&[]));
            if self.response.contains(&b'\n') || length == 0 || self.response.len() > RESPONSE {
                return Ok(Some(judge(&self.response, *status)));
            }
        }
    }
}

/// Compares the status line with the expected status.
fn judge(response: &[u8], expected: u16) -> Result<(), String> {
    let line = response.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_ascii_whitespace();
    let version = words.next().is_some_and(|word| word.starts_with("HTTP/"));
    match words.next().and_then(|word| word.parse::<u16>().ok()).filter(|_| version) {
        Some(status) if status == expected => Ok(()),
        Some(status) => Err(format!("status {status}, not {expected}")),
        None => Err("no HTTP response".into()),
    }
}

fn id_of(director: &Director, service: &ServiceKey, server: SocketAddr) -> Option<ServerId> {
    director.server_by_address(director.service_by_key(service)?, server)
}
