//! States in which servers are held, by name: they outlive slots, removal and return.

use std::fmt;
use std::net::SocketAddr;

use ahash::HashSet;

use crate::config::{ServerState, ServiceKey};
use crate::director::ask::ask;
use crate::director::by_server::ByServer;
use crate::director::shape::Condition;
use crate::sync::Arc;

/// Who holds a server in a state. Each releases only what it holds itself: a server is up when no
/// holder holds it draining or down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
#[repr(u8)]
pub enum Holder {
    /// A person, or a tool on a person's behalf.
    Administrator = 0,
    /// A health checker.
    HealthChecker = 1,
    /// The proxy that embeds this crate, by what it sees of connections.
    Host = 2,
    /// The service's [passive ejection](crate::config::Ejection). No other caller holds a server in its name;
    /// releasing one in its name ends the ejection.
    Ejector = 3,
}

impl Holder {
    /// All holders.
    pub const ALL: &'static [Holder] =
        &[Holder::Administrator, Holder::HealthChecker, Holder::Host, Holder::Ejector];

    /// Returns the name, as in every text.
    pub const fn name(self) -> &'static str {
        match self {
            Holder::Administrator => "administrator",
            Holder::HealthChecker => "health-checker",
            Holder::Host => "host",
            Holder::Ejector => "ejector",
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One holder's hold on a server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Hold {
    /// Who holds it.
    pub holder: Holder,
    /// In which state: draining or down.
    pub state: ServerState,
    /// Why, as the holder said; empty if it did not.
    pub reason: String,
}

/// Of servers that are not configured this number may be held beside all that are; beyond it those held
/// longest are released.
const MAX_ABSENT: usize = 4096;

/// All but the ejector, whose holds are in the servers' count words.
pub(super) const HOLDERS: usize = Holder::ALL.len() - 1;

/// One holder's state of a server, and why.
#[derive(Clone, Default)]
struct HolderState {
    state: ServerState,
    reason: Option<Arc<str>>,
}

/// The states in which a server is held.
#[derive(Clone, Default)]
pub(super) struct Holds {
    by_holder: [HolderState; HOLDERS],
    /// Number of the latest change.
    changed: u64,
}

impl Holds {
    /// Those of all owners of a block, who hold the server in these states. Reasons are known of one's own.
    pub(super) fn shared(states: [ServerState; HOLDERS], own: Option<&Holds>) -> Self {
        let mut holds = Holds::default();
        for (place, (hold, state)) in holds.by_holder.iter_mut().zip(states).enumerate() {
            let known = own.and_then(|own| own.by_holder.get(place));
            let known = known.filter(|known| known.state == state);
            *hold = known.cloned().unwrap_or(HolderState { state, reason: None });
        }
        holds
    }

    /// True if the same holders hold the server in the same states.
    pub(super) fn are(&self, states: [ServerState; HOLDERS]) -> bool {
        self.by_holder.iter().map(|hold| hold.state).eq(states)
    }

    /// The state that results: the most severe.
    pub(super) fn state(&self) -> ServerState {
        self.by_holder.iter().map(|hold| hold.state).max().unwrap_or_default()
    }

    /// What the server counts for among the others of its service.
    pub(super) fn condition(&self) -> Condition {
        let [administrator, ..] = &self.by_holder;
        let draining = self.by_holder.iter().any(|hold| hold.state == ServerState::Draining);
        if draining || administrator.state == ServerState::Down {
            Condition::Out
        } else if self.state() == ServerState::Down {
            Condition::Down
        } else {
            Condition::Up
        }
    }

    /// The state in which the server takes part, apart from an ejection.
    pub(super) fn taking_part(&self, panics: bool) -> ServerState {
        if panics && self.condition() == Condition::Down { ServerState::Up } else { self.state() }
    }

    /// Every holder that holds the server draining or down.
    pub(super) fn iter(
        &self,
    ) -> impl Iterator<Item = (Holder, ServerState, Option<&Arc<str>>)> + '_ {
        let holds = Holder::ALL.iter().copied().zip(&self.by_holder);
        holds
            .filter(|(_, hold)| hold.state != ServerState::Up)
            .map(|(holder, hold)| (holder, hold.state, hold.reason.as_ref()))
    }

    /// The same with another state of this holder.
    pub(super) fn with(mut self, holder: Holder, state: ServerState, reason: &str) -> Self {
        let reason = (!reason.is_empty() && state != ServerState::Up).then(|| reason.into());
        if let Some(hold) = self.by_holder.get_mut(holder as usize) {
            *hold = HolderState { state, reason };
        }
        self
    }
}

/// All servers that are held, whether they are configured or not.
#[derive(Default)]
pub(super) struct HeldServers {
    servers: ByServer<Holds>,
    changes: u64,
}

impl HeldServers {
    /// A copy is O(1).
    pub(super) fn by_server(&self) -> &ByServer<Holds> {
        &self.servers
    }

    pub(super) fn get(&self, service: &ServiceKey, server: SocketAddr) -> Option<&Holds> {
        self.servers.get(service, server)
    }

    pub(super) fn state(&self, service: &ServiceKey, server: SocketAddr) -> ServerState {
        self.get(service, server).map_or(ServerState::Up, Holds::state)
    }

    /// True if any server of this service is held.
    pub(super) fn any(&self, service: &ServiceKey) -> bool {
        self.servers.of(service).is_some()
    }

    /// Replaces the states of a server; forgets it once no holder holds it. O(log n).
    pub(super) fn set(&mut self, service: ServiceKey, server: SocketAddr, holds: Holds) {
        self.changes += 1;
        if holds.state() == ServerState::Up {
            self.servers.remove(&service, server);
        } else {
            self.servers.insert(service, server, Holds { changed: self.changes, ..holds });
        }
    }

    /// As it was, a copy of [`by_server`](Self::by_server).
    pub(super) fn restore(&mut self, servers: ByServer<Holds>) {
        self.servers = servers;
    }

    /// Releases servers that are not configured, if more are held than so many that are. O(servers held)
    /// then.
    pub(super) fn release_absent(
        &mut self,
        configured: usize,
        servers_of: impl Fn(&ServiceKey) -> HashSet<SocketAddr>,
    ) {
        if self.servers.len() <= configured + MAX_ABSENT {
            return;
        }
        let mut absent: Vec<(u64, ServiceKey, SocketAddr)> = self
            .servers
            .services()
            .flat_map(|(service, servers)| {
                let configured = servers_of(service);
                let absent =
                    servers.iter().filter(move |(server, _)| !configured.contains(*server));
                absent.map(|(server, holds)| (holds.changed, *service, *server))
            })
            .collect();
        absent.sort_unstable();
        let most = absent.len().saturating_sub(MAX_ABSENT);
        for (_, service, server) in absent.into_iter().take(most) {
            // Without memory it is held until the next time.
            if ask(self.servers.to_change(&service, 1), String::new).is_ok() {
                self.set(service, server, Holds::default());
            }
        }
    }
}
