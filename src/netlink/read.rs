//! Reading what runs in the kernel.
//!
//! A dump of many objects takes several steps, and other programs can change objects between them. Then
//! the dump can miss unchanged servers or list them twice, and the kernel does not say so. So everything is
//! read until two readings agree that were split into steps at different places. Readings split at the
//! same places can agree on the same wrong result if another program adds and deletes in step with the
//! reading: one in seventy did so next to a busy writer.

use std::collections::HashSet;

use super::error::{Error, Object};
use super::kernel::Kernel;
use super::wire::{Command, DaemonAttributes, Message, ServiceAttributes, WireError};
use crate::config::{
    Config, Observed, ObservedServer, ObservedService, RealServer, ServiceKey, ServiceSettings,
    Settings, SyncDaemon, Timeouts,
};

/// What runs in the kernel, as far as it could be decoded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Reading {
    /// Services in the order of their keys, with their servers; timeouts and daemons.
    pub observed: Observed,
    /// Services and servers that a config cannot express. They run, and stay unchanged.
    pub unreadable: Vec<Unreadable>,
}

/// An object in the kernel that a config cannot express.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unreadable {
    /// The object, or the one that it belongs to, if that could be decoded.
    pub object: Option<Object>,
    /// What could not be decoded.
    pub error: WireError,
}

/// One dump.
struct Dump<T> {
    items: Vec<T>,
    unreadable: Vec<Unreadable>,
    /// Known to be inconsistent.
    torn: bool,
}

impl<T> Dump<T> {
    fn new() -> Self {
        Dump { items: Vec::new(), unreadable: Vec::new(), torn: false }
    }

    fn push(&mut self, object: Option<Object>, item: Result<T, WireError>) {
        match item {
            Ok(item) => self.items.push(item),
            Err(error) => self.unreadable.push(Unreadable { object, error }),
        }
    }

    /// True if no two items have the same `key`.
    fn all_differ<K: Eq + std::hash::Hash>(&self, key: impl Fn(&T) -> K) -> bool {
        let mut seen = HashSet::with_capacity(self.items.len());
        self.items.iter().all(|item| seen.insert(key(item)))
    }
}

impl Kernel {
    /// Reads everything until two readings agree.
    ///
    /// Costs two dumps of the services and two of each service's servers if no other program interferes.
    ///
    /// # Errors
    /// [`Error::Unsettled`] if other programs change objects at every attempt; a failed exchange.
    pub fn read(&mut self) -> Result<Reading, Error> {
        let daemons = self.dump_daemons()?;
        let settings = kernel_settings(self.timeouts()?, daemons.items);
        let mut before: Option<(Vec<ObservedService>, Vec<Unreadable>)> = None;
        for attempt in 0..self.attempts {
            let Some(now) = whole(self.dump_services(attempt))? else {
                before = None;
                continue;
            };
            // This reading confirms the previous one, or replaces it.
            let confirmed =
                before.take().filter(|(services, _)| wanted(services).eq(wanted(&now.items)));
            if let Some((services, mut unreadable)) = confirmed {
                unreadable.extend(daemons.unreadable);
                unreadable.extend(now.unreadable);
                let observed = Observed { settings, services };
                return Ok(Reading { observed, unreadable });
            }
            before = Some(self.with_servers(now.items)?);
        }
        Err(Error::Unsettled { object: Object::Everything, attempts: self.attempts })
    }

    fn with_servers(
        &mut self,
        mut services: Vec<ObservedService>,
    ) -> Result<(Vec<ObservedService>, Vec<Unreadable>), Error> {
        let mut unreadable = Vec::new();
        for service in &mut services {
            let servers = self.servers(&service.settings.key)?;
            service.servers = servers.items;
            unreadable.extend(servers.unreadable);
        }
        Ok((services, unreadable))
    }

    /// Timeouts, daemons and services without their servers, by one dump; `None` if that is inconsistent or
    /// shows anything that a config cannot express.
    pub(super) fn overview(&mut self, attempt: u32) -> Result<Option<Observed>, Error> {
        let daemons = self.dump_daemons()?;
        let timeouts = self.timeouts()?;
        let Some(services) = whole(self.dump_services(attempt))? else { return Ok(None) };
        let settings = kernel_settings(timeouts, daemons.items);
        let known = daemons.unreadable.is_empty() && services.unreadable.is_empty();
        Ok(known.then_some(Observed { settings, services: services.items }))
    }

    /// The running synchronization daemons, master first.
    ///
    /// # Errors
    /// A failed exchange; [`Error::Wire`] if a config cannot express one of them.
    pub fn daemons(&mut self) -> Result<Vec<SyncDaemon>, Error> {
        readable(self.dump_daemons()?)
    }

    /// Reads the services in one dump, in the order of their keys, without their servers.
    ///
    /// # Errors
    /// A failed exchange.
    pub fn read_services_once(&mut self) -> Result<Reading, Error> {
        let Dump { items, unreadable, .. } = self.dump_services(0)?;
        let observed = Observed { services: items, ..Observed::default() };
        Ok(Reading { observed, unreadable })
    }

    /// Reads one service without its servers; `None` if there is none.
    ///
    /// # Errors
    /// A failed exchange; [`Error::Wire`] if a config cannot express the service.
    pub fn read_service(&mut self, key: &ServiceKey) -> Result<Option<ObservedService>, Error> {
        let question = about(Command::GetService, key);
        let mut answer = None;
        let asked = self.ask(&question, Object::Service(*key), None, |payload| {
            answer = Some(Message::decode(payload).and_then(|message| service(&message))?);
            Ok(())
        });
        match asked {
            Err(Error::Refused(refused)) if refused.errno() == libc::ESRCH => Ok(None),
            Err(error) => Err(error),
            Ok(_) => Ok(answer),
        }
    }

    /// Reads the servers of a service, newest first, until two readings agree. The list is empty if the
    /// service does not exist.
    ///
    /// # Errors
    /// [`Error::Unsettled`] if other programs change them at every attempt; [`Error::Wire`] if a config
    /// cannot express one of them; a failed exchange.
    pub fn read_servers(&mut self, key: &ServiceKey) -> Result<Vec<ObservedServer>, Error> {
        readable(self.servers(key)?)
    }

    /// Reads the servers of a service in one dump, which may be inconsistent if other programs change them.
    ///
    /// # Errors
    /// As for [`read_servers`](Self::read_servers), without `Unsettled`.
    pub fn read_servers_once(&mut self, key: &ServiceKey) -> Result<Vec<ObservedServer>, Error> {
        readable(self.dump_servers(key, 0)?)
    }

    /// As [`read_servers_once`](Self::read_servers_once), without those that a config cannot express.
    pub(super) fn known_servers_once(
        &mut self,
        key: &ServiceKey,
    ) -> Result<Vec<ObservedServer>, Error> {
        Ok(self.dump_servers(key, 0)?.items)
    }

    /// As [`read_servers`](Self::read_servers), without those that a config cannot express.
    pub(super) fn known_servers(&mut self, key: &ServiceKey) -> Result<Vec<ObservedServer>, Error> {
        Ok(self.servers(key)?.items)
    }

    /// The servers of a service without statistics, newest first, in one dump; `None` if a config cannot
    /// express one of them.
    pub(super) fn plain_servers(
        &mut self,
        key: &ServiceKey,
        servers: &mut Vec<RealServer>,
    ) -> Result<bool, Error> {
        let (family, mut readable) = (key.family(), true);
        servers.clear();
        let question = about(Command::GetDest, key);
        let interrupted = self.ask(&question, Object::Service(*key), Some(0), |payload| {
            let message = Message::decode_settings(payload);
            let dest = message.as_ref().ok().and_then(|message| message.dest.as_ref());
            match dest.and_then(|dest| dest.server(family).ok()) {
                Some(server) => servers.push(server),
                None => readable = false,
            }
            Ok(())
        })?;
        Ok(readable && !interrupted)
    }

    fn servers(&mut self, key: &ServiceKey) -> Result<Dump<ObservedServer>, Error> {
        let mut before: Option<Dump<ObservedServer>> = None;
        for attempt in 0..self.attempts {
            let Some(now) = whole(self.dump_servers(key, attempt))? else {
                before = None;
                continue;
            };
            let confirmed = before.take().is_some_and(|before| {
                before.unreadable == now.unreadable
                    && configured(&before.items).eq(configured(&now.items))
            });
            if confirmed {
                return Ok(now);
            }
            before = Some(now);
        }
        Err(Error::Unsettled { object: Object::Service(*key), attempts: self.attempts })
    }

    fn dump_daemons(&mut self) -> Result<Dump<SyncDaemon>, Error> {
        let mut dump = Dump::new();
        let question = Message::new(Command::GetDaemon);
        self.ask(&question, Object::Everything, Some(0), |payload| {
            dump.push(None, Message::decode(payload).and_then(|message| daemon(&message)));
            Ok(())
        })?;
        Ok(dump)
    }

    fn dump_services(&mut self, attempt: u32) -> Result<Dump<ObservedService>, Error> {
        let mut dump = Dump::new();
        let question = Message::new(Command::GetService);
        let interrupted = self.ask(&question, Object::Everything, Some(attempt), |payload| {
            let message = Message::decode(payload);
            let key = message.as_ref().ok().and_then(|message| message.service.as_ref());
            let object = key.and_then(|service| service.key().ok()).map(Object::Service);
            dump.push(object, message.and_then(|message| service(&message)));
            Ok(())
        })?;
        dump.torn = interrupted || !dump.all_differ(|service| service.settings.key);
        // The kernel lists them in the order of a hash table with a random key.
        dump.items.sort_by_key(|service| service.settings.key);
        Ok(dump)
    }

    fn dump_servers(
        &mut self,
        key: &ServiceKey,
        attempt: u32,
    ) -> Result<Dump<ObservedServer>, Error> {
        let mut dump = Dump::new();
        let question = about(Command::GetDest, key);
        let interrupted = self.ask(&question, Object::Service(*key), Some(attempt), |payload| {
            let message = Message::decode(payload);
            let dest = message.as_ref().ok().and_then(|message| message.dest.as_ref());
            let address = dest.and_then(|dest| dest.socket_address(key.family()).ok());
            let object = address.map_or(Object::Service(*key), |a| Object::Server(*key, a));
            dump.push(Some(object), message.and_then(|message| server(&message, key)));
            Ok(())
        })?;
        dump.torn = interrupted || !dump.all_differ(|server| server.server.address);
        Ok(dump)
    }
}

/// `None` if the dump is known to be incomplete, and a retry makes sense. The dumps before and after it are
/// split at the same places, so they must not be compared.
fn whole<T>(dump: Result<Dump<T>, Error>) -> Result<Option<Dump<T>>, Error> {
    match dump {
        Ok(dump) if dump.torn => Ok(None),
        Err(Error::Lost) => Ok(None),
        dump => dump.map(Some),
    }
}

fn about(command: Command, key: &ServiceKey) -> Message {
    Message { service: Some(ServiceAttributes::of_key(key)), ..Message::new(command) }
}

fn service(message: &Message) -> Result<ObservedService, WireError> {
    let service = message.service.as_ref().ok_or_else(|| WireError::missing("SERVICE"));
    let service = service.and_then(ServiceAttributes::observed);
    service.map_err(|error| error.of(message.command))
}

fn server(message: &Message, key: &ServiceKey) -> Result<ObservedServer, WireError> {
    let dest = message.dest.as_ref().ok_or_else(|| WireError::missing("DEST"));
    let server = dest.and_then(|dest| dest.observed(key.family()));
    server.map_err(|error| error.of(message.command))
}

fn daemon(message: &Message) -> Result<SyncDaemon, WireError> {
    let daemon = message.daemon.as_ref().ok_or_else(|| WireError::missing("DAEMON"));
    daemon.and_then(DaemonAttributes::daemon).map_err(|error| error.of(message.command))
}

/// What a kernel knows of a config's settings.
fn kernel_settings(timeouts: Timeouts, daemons: Vec<SyncDaemon>) -> Settings {
    Settings { timeouts, daemons, ..Config::default().settings() }
}

fn wanted(services: &[ObservedService]) -> impl Iterator<Item = &ServiceSettings> {
    services.iter().map(|service| &service.settings)
}

fn configured(servers: &[ObservedServer]) -> impl Iterator<Item = &RealServer> {
    servers.iter().map(|server| &server.server)
}

fn readable<T>(dump: Dump<T>) -> Result<Vec<T>, Error> {
    match dump.unreadable.into_iter().next() {
        Some(unreadable) => Err(unreadable.error.into()),
        None => Ok(dump.items),
    }
}
