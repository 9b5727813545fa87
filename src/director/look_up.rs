//! Look-ups and picks for callers without a worker: from the current table, without a lock.

use std::net::SocketAddr;

use crate::arena::id::{ServerId, ServiceId};
use crate::config::{ServerCounts, ServiceKey, ServiceRef};
use crate::director::Director;
use crate::director::observe::counts_of;
use crate::director::table::ServiceTable;
use crate::error::{Refused, ServerError, ServiceError};
use crate::flow::Flow;
use crate::pool::endpoint::{Endpoint, Pick};
use crate::service::Service;
use crate::sync::{Ordering, fence};

impl Director {
    /// Returns the id of the service with this key, such as `tcp 192.168.4.5:80` or `fwmark 7`, or with
    /// this [name](crate::config::Name), such as `web`. Lock-free; O(1).
    ///
    /// # Errors
    /// The text is neither a key nor a name, or there is no such service.
    pub fn service(&self, key: &str) -> Result<ServiceId, ServiceError> {
        let found = match ServiceRef::read(key)? {
            ServiceRef::Key(key) => self.service_by_key(&key),
            ServiceRef::Name(name) => {
                self.inner.publication.read(|table| table.index().by_name(name))
            }
        };
        found.ok_or_else(|| ServiceError::Unknown(key.to_owned()))
    }

    /// Returns the id of the service with this key; `None` if there is none. Lock-free; O(1).
    pub fn service_by_key(&self, key: &ServiceKey) -> Option<ServiceId> {
        self.inner.publication.read(|table| table.index().by_key(key))
    }

    /// Returns the service that takes this flow; see
    /// [`Worker::service_for`](crate::Worker::service_for). Lock-free; O(1).
    pub fn service_for(&self, flow: &Flow) -> Option<ServiceId> {
        self.inner.publication.read(|table| table.by_flow(flow))
    }

    /// Returns the id of a service's server with this address and port, such as `192.168.5.11:80`, or
    /// with this [name](crate::config::Name). Lock-free; O(servers of the service).
    ///
    /// # Errors
    /// The service was deleted, or it has no such server.
    ///
    /// ```
    /// use vsched::{Config, Director};
    /// let config: Config = "-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.0.1.1".parse()?;
    /// let director = Director::new(&config)?;
    /// let service = director.service("tcp 10.0.0.1:80")?;
    /// let server = director.server(service, "10.0.1.1:80")?;
    /// assert_eq!(director.server_by_address(service, "10.0.1.1:80".parse()?), Some(server));
    /// assert_eq!(
    ///     director.server(service, "10.0.1.2:80").unwrap_err().to_string(),
    ///     "service tcp 10.0.0.1:80: server 10.0.1.2:80: no such server"
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn server(&self, service: ServiceId, server: &str) -> Result<ServerId, ServerError> {
        self.view(|view| {
            let Some((record, _)) = view.service(service) else {
                return Err(ServerError::no_service(service, server));
            };
            let place = record.service.place_of(server);
            place
                .and_then(|place| record.claims.get(place))
                .map(|claim| claim.id)
                .ok_or_else(|| ServerError::no_server(record.service.key, server))
        })
    }

    /// Returns the id of a service's server with this address and port; `None` if there is none.
    /// Lock-free; O(servers of the service).
    pub fn server_by_address(&self, service: ServiceId, server: SocketAddr) -> Option<ServerId> {
        self.inner.publication.read(|table| {
            let servers = &table.service(service)?.servers;
            let mut endpoints = (0..servers.len()).filter_map(|at| servers.endpoint(at));
            endpoints.find(|it| it.pick().address() == server).map(Endpoint::server)
        })
    }

    /// The same by the service's key.
    #[cfg(feature = "capi")]
    pub(crate) fn server_of(&self, service: &ServiceKey, server: SocketAddr) -> Option<ServerId> {
        self.service_by_key(service).and_then(|service| self.server_by_address(service, server))
    }

    /// The key of the service with this name.
    #[cfg(feature = "capi")]
    pub(crate) fn key_of(&self, name: &str) -> Option<ServiceKey> {
        self.view(|view| {
            let (record, _) = view.service(view.table.index().by_name(name)?)?;
            Some(record.service.key)
        })
    }

    /// The address of the service's server with this name.
    #[cfg(feature = "capi")]
    pub(crate) fn address_of(&self, service: &ServiceKey, name: &str) -> Option<SocketAddr> {
        self.view(|view| {
            let (record, _) = view.service(view.table.index().by_key(service)?)?;
            record.service.server(name).map(|server| server.address)
        })
    }

    /// Picks a server for a caller without a worker, and counts nothing, not even a refusal. Lock-free. A
    /// data plane uses a [`Worker`](crate::Worker) or a [`Handle`](crate::Handle), which cost less.
    ///
    /// # Errors
    /// As for [`Worker::pick_server`](crate::Worker::pick_server).
    pub fn pick_server(&self, service: ServiceId, flow: &Flow) -> Result<Pick, Refused> {
        let pick = |table: &ServiceTable| {
            let compiled = table.scheduling(service, flow)?;
            let twin = |key: &ServiceKey| table.service_of(key);
            match compiled.pick_general(flow, &[], None, None, twin) {
                Ok(Some(pick)) => Ok(Some(pick)),
                Ok(None) => Err(compiled.why_refused(&[])),
                // A reload has superseded the table.
                Err(_) => Ok(None),
            }
        };
        loop {
            // Repeated only if a newer table was published meanwhile.
            if let Some(pick) = self.inner.publication.read(pick)? {
                return Ok(pick);
            }
        }
    }

    /// Returns the present counts of a server; `None` if the id is stale. Lock-free; O(1), or O(templates)
    /// in a persistent service; O(workers) more if workers count connections by themselves
    /// ([`Sharing::PerWorker`](crate::config::Sharing::PerWorker) with lc, wlc, sed or nq).
    ///
    /// ```
    /// use vsched::{Activity, Director};
    /// let director = Director::new(&"-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.0.1.1".parse()?)?;
    /// let server = director.server(director.service("tcp 10.0.0.1:80")?, "10.0.1.1:80")?;
    /// let worker = director.worker();
    /// let lease = worker.open(server, Activity::Active)?;
    /// assert_eq!(director.counts(server).expect("it runs").active, 1);
    /// worker.close(lease)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn counts(&self, server: ServerId) -> Option<ServerCounts> {
        let slot = self.inner.arena.servers.get(server.slot)?;
        let templates = self.inner.publication.read(|table| {
            let templates = table.service_at(slot.service()).and_then(Service::templates)?;
            Some(templates.of_server(server.slot))
        });
        let counts = self.inner.arena.all_connections(server.slot)?;
        // Acquire: if the slot has got another owner, that is seen below.
        fence(Ordering::Acquire);
        slot.is(server.generation).then(|| counts_of(counts, templates))
    }
}

#[cfg(test)]
#[path = "look_up_tests.rs"]
mod tests;
