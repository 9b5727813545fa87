//! Endpoints that are made when their server is first picked.

use std::collections::HashMap;
use std::fmt;
use std::sync::{PoisonError, RwLock};

use vsched::{Director, Pick, ServerId};

use crate::endpoints::Endpoints;

/// Makes one inner service per real server, when the server is first picked, and keeps it.
///
/// The usual set where the config says it all: servers that a reload adds get a service at their first
/// pick, and those of removed servers are dropped some time later. Their number is at most twice that of
/// the servers, plus 16.
///
/// Reading takes a lock that is shared among readers.
pub struct PerServer<F, S> {
    director: Director,
    make: F,
    known: RwLock<Known<S>>,
}

struct Known<S> {
    services: HashMap<ServerId, S>,
    /// Number of services at which those of removed servers are dropped.
    prune_at: usize,
}

const SLACK: usize = 16;

impl<F, S> PerServer<F, S>
where
    F: Fn(&Pick) -> S,
{
    /// Returns a set that makes services by this closure. The closure runs under a lock: let it make a
    /// service that connects when it is used.
    pub fn new(director: &Director, make: F) -> Self {
        let known = RwLock::new(Known { services: HashMap::new(), prune_at: SLACK });
        PerServer { director: director.clone(), make, known }
    }
}

impl<F, S> Endpoints for PerServer<F, S>
where
    F: Fn(&Pick) -> S,
    S: Clone,
{
    type Service = S;

    fn service(&self, pick: &Pick) -> Option<S> {
        let server = pick.server();
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(service) = known.services.get(&server) {
            return Some(service.clone());
        }
        drop(known);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let mut pruned = Vec::new();
        if known.services.len() >= known.prune_at {
            let is_gone = |server: &ServerId| self.director.counts(*server).is_none();
            let gone: Vec<_> = known.services.keys().copied().filter(is_gone).collect();
            pruned.extend(gone.iter().filter_map(|server| known.services.remove(server)));
            known.prune_at = 2 * known.services.len() + SLACK;
        }
        let service = known.services.entry(server).or_insert_with(|| (self.make)(pick)).clone();
        drop(known);
        // Their destructors run without the lock.
        drop(pruned);
        Some(service)
    }
}

impl<F, S> fmt::Debug for PerServer<F, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let services = self.known.read().unwrap_or_else(PoisonError::into_inner).services.len();
        f.debug_struct("PerServer").field("services", &services).finish_non_exhaustive()
    }
}
