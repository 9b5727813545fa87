//! Picks the real server, and the next one if that fails: all use of vsched in a proxy is here.

use std::fmt::Display;
use std::io;

use mio::net::TcpStream;
use vsched::{Connection, Outcome};

use super::direction::INTEREST;
use super::event_loop::{CLIENT, EventLoop, SERVER, token};
use super::session::{Attempts, Session, Target};
use crate::limits;

const NO_SERVER: &str = "no server is left";

impl<'w> EventLoop<'w> {
    /// A client has connected.
    pub(super) fn begin(&mut self, target: Target, mut client: TcpStream) {
        let mut tried = Attempts::new();
        let Some(mut dialled) = self.dial(&target, &mut tried) else {
            return;
        };
        let index = self.sessions.next();
        let registry = self.poll.registry();
        let registered = registry
            .register(&mut client, token(index, CLIENT), INTEREST)
            .and_then(|()| registry.register(&mut dialled.1, token(index, SERVER), INTEREST));
        if registered.is_err() {
            self.rest();
            return;
        }
        let deadline = self.now + self.setting.connect_timeout;
        let dialed = (self.worker, self.now);
        self.sessions.insert(Session::new(target, client, dialled, tried, dialed, deadline));
    }

    /// Switches to the next server; `None` if there is none.
    pub(super) fn retry(&mut self, index: usize, error: &io::Error) -> Option<()> {
        let session = self.sessions.get(index)?;
        let (target, mut tried) = (session.target, session.tried);
        self.exclude(&target, &session.connection, error, &mut tried)?;
        let mut dialled = self.dial(&target, &mut tried)?;
        let registry = self.poll.registry();
        registry.register(&mut dialled.1, token(index, SERVER), INTEREST).ok()?;
        let deadline = self.now + self.setting.connect_timeout;
        self.sessions.get_mut(index)?.turn_to(dialled, tried, (self.now, deadline));
        Some(())
    }

    /// Picks a server and starts to connect to it. `None` if there is none left; then the caller closes the
    /// client's socket. If the client has sent unread bytes, the kernel closes it with a reset; std offers
    /// no other way to send one.
    fn dial(
        &mut self,
        target: &Target,
        tried: &mut Attempts,
    ) -> Option<(Connection<'w>, TcpStream)> {
        loop {
            let picked =
                self.worker.connect_excluding(target.service, &target.flow, tried.as_slice());
            let connection = match picked {
                Ok(connection) => connection,
                Err(refused) => {
                    self.unanswered(target, &refused);
                    return None;
                }
            };
            match TcpStream::connect(connection.address()) {
                Ok(server) => return Some((connection, server)),
                Err(error) if limits::is_shortage(&error) => {
                    // Our fault, not the server's: other servers would fail too.
                    self.rest();
                    self.unanswered(target, &error);
                    return None;
                }
                Err(error) => self.exclude(target, &connection, &error, tried)?,
            }
        }
    }

    /// Records that a server did not accept a connection, and reports it: enough of them eject the server.
    /// `None` if no more attempts are allowed.
    fn exclude(
        &self,
        target: &Target,
        connection: &Connection<'_>,
        error: &io::Error,
        tried: &mut Attempts,
    ) -> Option<()> {
        let address = connection.address();
        self.setting.failures.failed_try(target.key, address, error);
        // Fails only for a server that is gone.
        let _ = self.worker.report(connection.server(), Outcome::Failed, None);
        if tried.try_push(connection.server()).is_ok() {
            return Some(());
        }
        self.unanswered(target, &NO_SERVER);
        None
    }

    fn unanswered(&self, target: &Target, why: &dyn Display) {
        self.setting.failures.unanswered(target.key, why);
    }
}
