//! Something of servers by service and address, whether they are configured or not.

use std::net::SocketAddr;

use crate::config::ServiceKey;
use crate::director::hash_trie::HashTrie;

/// A map by service and address. As those of a [`HashTrie`], copies share what they have in common.
pub(super) struct ByServer<T> {
    services: HashTrie<ServiceKey, HashTrie<SocketAddr, T>>,
    len: usize,
}

impl<T> Default for ByServer<T> {
    fn default() -> Self {
        ByServer { services: HashTrie::default(), len: 0 }
    }
}

impl<T> Clone for ByServer<T> {
    fn clone(&self) -> Self {
        ByServer { services: self.services.clone(), len: self.len }
    }
}

impl<T: Clone> ByServer<T> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// As [`HashTrie::is_copy_of`].
    pub(super) fn is_copy_of(&self, other: &Self) -> bool {
        self.services.is_copy_of(&other.services)
    }

    pub(super) fn get(&self, service: &ServiceKey, server: SocketAddr) -> Option<&T> {
        self.services.get(service)?.get(&server)
    }

    /// Those of one service; `None` if there are none.
    pub(super) fn of(&self, service: &ServiceKey) -> Option<&HashTrie<SocketAddr, T>> {
        self.services.get(service)
    }

    /// By service.
    pub(super) fn services(&self) -> impl Iterator<Item = (&ServiceKey, &HashTrie<SocketAddr, T>)> {
        self.services.iter()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&ServiceKey, SocketAddr, &T)> {
        self.services().flat_map(|(service, servers)| {
            servers.iter().map(move |(server, it)| (service, *server, it))
        })
    }

    /// O(log n), as are those below.
    pub(super) fn insert(&mut self, service: ServiceKey, server: SocketAddr, it: T) {
        let previous = match self.services.get_mut(&service) {
            Some(servers) => servers.insert(server, it),
            None => {
                self.services.insert(service, [(server, it)].into_iter().collect());
                None
            }
        };
        self.len += usize::from(previous.is_none());
    }

    pub(super) fn remove(&mut self, service: &ServiceKey, server: SocketAddr) -> Option<T> {
        // Nothing is copied in vain.
        self.get(service, server)?;
        let servers = self.services.get_mut(service)?;
        let removed = servers.remove(&server)?;
        if servers.is_empty() {
            self.services.remove(service);
        }
        self.len -= 1;
        Some(removed)
    }

    /// Replaces those of one service.
    pub(super) fn replace(&mut self, service: &ServiceKey, servers: HashTrie<SocketAddr, T>) {
        let more = servers.len();
        let previous = if servers.is_empty() {
            self.services.remove(service)
        } else {
            self.services.insert(*service, servers)
        };
        self.len = self.len + more - previous.map_or(0, |servers| servers.len());
    }

    /// Bytes that so many changes in one service allocate, at most.
    pub(super) fn to_change(&self, service: &ServiceKey, changes: usize) -> u64 {
        self.to_change_all([(service, changes)].into_iter())
    }

    /// The same for several services.
    pub(super) fn to_change_all<'a>(
        &self,
        services: impl Iterator<Item = (&'a ServiceKey, usize)>,
    ) -> u64 {
        let none = HashTrie::default();
        let (mut bytes, mut changed) = (0, 0);
        for (service, changes) in services.filter(|(_, changes)| *changes > 0) {
            bytes += self.of(service).unwrap_or(&none).to_change(changes);
            changed += 1;
        }
        bytes + self.services.to_change(changed)
    }
}
