//! One client's connection, and the one to its real server.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use vsched::config::ServiceKey;
use vsched::{Connection, Flow, Outcome, ServiceId, Tried, Worker};

use super::direction::{Buffers, Direction};

/// Idle time that ends a connection after a FIN: the kernel's default for TCP, unless the limit for all
/// connections is shorter.
const IDLE_CLOSING: Duration = Duration::from_secs(120);

/// Servers that did not accept a connection. One more may be tried when all places are filled.
pub(crate) type Attempts = Tried<8>;

/// The destination of a client.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    pub(crate) key: ServiceKey,
    pub(crate) service: ServiceId,
    pub(crate) flow: Flow,
}

pub(crate) struct Session<'w> {
    pub(crate) target: Target,
    pub(crate) client: TcpStream,
    pub(crate) server: TcpStream,
    /// Counts at the server until it is dropped.
    pub(crate) connection: Connection<'w>,
    pub(crate) tried: Attempts,
    /// Who reports the connection, and when the attempt began.
    worker: &'w Worker,
    dialed: Instant,
    connected: bool,
    to_server: Direction,
    to_client: Direction,
    deadline: Instant,
}

/// The next action for a session.
pub(crate) enum Step {
    /// Nothing, until the poll reports something.
    Wait,
    /// It reached the limit per call, with bytes left to move.
    Again,
    /// It has ended, normally or by an abort.
    Over,
    /// The server did not accept the connection.
    Refused(io::Error),
}

impl<'w> Session<'w> {
    /// A session whose connection to the server is in progress.
    pub(crate) fn new(
        target: Target,
        client: TcpStream,
        (connection, server): (Connection<'w>, TcpStream),
        tried: Attempts,
        (worker, dialed): (&'w Worker, Instant),
        deadline: Instant,
    ) -> Self {
        Session {
            target,
            client,
            server,
            connection,
            tried,
            worker,
            dialed,
            connected: false,
            to_server: Direction::new(),
            to_client: Direction::new(),
            deadline,
        }
    }

    /// Continues with the next server. Drops the old connection, and with it its count.
    pub(crate) fn turn_to(
        &mut self,
        (connection, server): (Connection<'w>, TcpStream),
        tried: Attempts,
        (dialed, deadline): (Instant, Instant),
    ) {
        self.connection = connection;
        self.tried = tried;
        self.dialed = dialed;
        self.server = server;
        self.deadline = deadline;
    }

    /// Does what can be done now. What the poll reported is only a hint.
    pub(crate) fn advance(&mut self, now: Instant, idle: Duration, buffers: &mut Buffers) -> Step {
        if !self.connected {
            match established(&self.server) {
                Ok(true) => self.connected = true,
                Ok(false) => return Step::Wait,
                Err(error) => return Step::Refused(error),
            }
            let latency = now.saturating_duration_since(self.dialed);
            // Fails only for a server that is gone.
            let _ = self.worker.report(self.connection.server(), Outcome::Done, Some(latency));
            // Avoids the delay of Nagle's algorithm twice. If it fails, things are only slower.
            let _ = self.server.set_nodelay(true);
            let _ = self.client.set_nodelay(true);
        }
        self.relay(now, idle, buffers).unwrap_or(Step::Over)
    }

    fn relay(&mut self, now: Instant, idle: Duration, buffers: &mut Buffers) -> io::Result<Step> {
        let up = self.to_server.relay(&mut self.client, &mut self.server, buffers)?;
        let down = self.to_client.relay(&mut self.server, &mut self.client, buffers)?;
        if self.to_server.is_done() && self.to_client.is_done() {
            return Ok(Step::Over);
        }
        let closing = self.to_server.is_ending() || self.to_client.is_ending();
        if closing {
            self.connection.closing();
        }
        self.deadline = now + if closing { idle.min(IDLE_CLOSING) } else { idle };
        Ok(if up || down { Step::Again } else { Step::Wait })
    }

    /// The client has reset its connection before a server took it.
    pub(crate) fn is_abandoned(&self) -> bool {
        !self.connected && !matches!(self.client.take_error(), Ok(None))
    }

    /// Handles timeouts.
    pub(crate) fn overdue(&self, now: Instant) -> Step {
        if now < self.deadline {
            Step::Wait
        } else if self.connected {
            Step::Over
        } else {
            Step::Refused(io::Error::new(ErrorKind::TimedOut, "no answer in time"))
        }
    }
}

/// True if the connection is established, false if it is still in progress.
fn established(stream: &TcpStream) -> io::Result<bool> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}
