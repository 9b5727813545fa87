//! pingora's health checks, whose results are states of servers.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pingora_load_balancing::Backend;
use pingora_load_balancing::health_check::HealthCheck;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use vsched::config::Protocol;
use vsched::{Director, Holder, ServerId, ServerState};

type Check = dyn HealthCheck + Send + Sync;

/// Checks all TCP servers of a director, and holds those that fail [down](ServerState::Down) in the name of
/// [`Holder::HealthChecker`], so that no pick takes them.
///
/// The check is pingora's own (`TcpHealthCheck`, `HttpHealthCheck`, or any other
/// [`HealthCheck`]); its `health_threshold` says how many results in a row change a server's state. A server
/// is up until it fails. An address that several services have is checked once. A server keeps its state
/// through every reload, and if it is removed and comes back.
///
/// ```
/// use std::time::Duration;
/// use pingora_load_balancing::health_check::TcpHealthCheck;
/// use vsched_pingora::HealthChecks;
/// let mut check = TcpHealthCheck::new();
/// (check.consecutive_failure, check.consecutive_success) = (3, 2);
/// let checks = HealthChecks::new(check).with_interval(Duration::from_secs(2));
/// ```
pub struct HealthChecks {
    check: Arc<Check>,
    interval: Duration,
    timeout: Duration,
    parallel: usize,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    by_address: HashMap<SocketAddr, Condition>,
    /// What was last set.
    states: HashMap<ServerId, ServerState>,
}

/// What the latest checks of an address say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Condition {
    is_down: bool,
    /// Results in a row that contradict it.
    contrary: usize,
}

impl Condition {
    /// Takes a result in; true if that changes the state.
    fn observe(&mut self, healthy: bool, threshold: usize) -> bool {
        if healthy != self.is_down {
            self.contrary = 0;
            return false;
        }
        self.contrary += 1;
        let changes = self.contrary >= threshold;
        if changes {
            *self = Condition { is_down: !self.is_down, contrary: 0 };
        }
        changes
    }
}

impl HealthChecks {
    /// Returns checks by this method: every 5 seconds, each at most 5 seconds long, 64 at a time.
    pub fn new(check: Box<dyn HealthCheck + Send + Sync>) -> Self {
        let interval = Duration::from_secs(5);
        HealthChecks {
            check: check.into(),
            interval,
            timeout: interval,
            parallel: 64,
            known: Mutex::default(),
        }
    }

    /// Returns the checks with this pause between two rounds.
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Returns the checks with this limit: a check that takes longer has failed. The method's own limits
    /// hold too.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Returns the checks with at most this many at a time; at least 1.
    pub fn with_parallel(mut self, checks: usize) -> Self {
        self.parallel = checks.max(1);
        self
    }

    /// Returns the pause between two rounds.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// Checks all servers once and sets their states. A [`ControlLoop`](crate::ControlLoop) calls it.
    /// Dropping the future cancels the round; nothing is set then.
    pub async fn run_once(&self, director: &Director) {
        let mut known = self.known.lock().await;
        let servers = servers(director);
        let addresses: HashSet<SocketAddr> = servers.iter().map(|(address, _)| *address).collect();
        known.by_address.retain(|address, _| addresses.contains(address));
        known.adopt(director, &servers);
        for (address, healthy) in self.check_all(addresses).await {
            let condition = known.by_address.entry(address).or_default();
            if condition.observe(healthy, self.check.health_threshold(healthy)) {
                self.report(address, healthy).await;
            }
        }
        known.set_states(director, &servers);
    }

    async fn check_all(&self, addresses: HashSet<SocketAddr>) -> Vec<(SocketAddr, bool)> {
        let mut results = Vec::with_capacity(addresses.len());
        let mut running = JoinSet::new();
        for address in addresses {
            if running.len() >= self.parallel {
                results.extend(running.join_next().await);
            }
            running.spawn(check_one(Arc::clone(&self.check), address, self.timeout));
        }
        while let Some(result) = running.join_next().await {
            results.push(result);
        }
        // A check that panicked has no result: its server stays as it is.
        results.into_iter().filter_map(Result::ok).collect()
    }

    async fn report(&self, address: SocketAddr, healthy: bool) {
        let target = backend(address);
        let summary = self.check.backend_summary(&target);
        if healthy {
            log::info!("server {address} is up again: {summary}");
        } else {
            log::warn!("server {address} is down: {summary}");
        }
        self.check.health_status_change(&target, healthy).await;
    }
}

impl Known {
    /// Takes in servers that are new, or back: then the director still holds them as it did.
    fn adopt(&mut self, director: &Director, servers: &[(SocketAddr, ServerId)]) {
        for (address, server) in servers {
            if self.states.contains_key(server) {
                continue;
            }
            let holds = director.holds(*server).unwrap_or_default();
            let is_down = holds
                .iter()
                .any(|it| it.holder == Holder::HealthChecker && it.state == ServerState::Down);
            let state = if is_down { ServerState::Down } else { ServerState::Up };
            self.states.insert(*server, state);
            self.by_address.entry(*address).or_insert(Condition { is_down, contrary: 0 });
        }
    }

    /// Sets what differs from what was set last.
    fn set_states(&mut self, director: &Director, servers: &[(SocketAddr, ServerId)]) {
        let mut states = HashMap::with_capacity(servers.len());
        for (address, server) in servers {
            let is_down = self.by_address.get(address).is_some_and(|it| it.is_down);
            let state = if is_down { ServerState::Down } else { ServerState::Up };
            let before = self.states.get(server).copied().unwrap_or_default();
            if before == state {
                states.insert(*server, state);
                continue;
            }
            let reason = if is_down { "health check failed" } else { "" };
            match director.set_state_because(*server, Holder::HealthChecker, state, reason) {
                Ok(_) => drop(states.insert(*server, state)),
                // Removed in the meantime, or no memory: the next round tries again.
                Err(error) => {
                    log::warn!("server {address}: {error}");
                    states.insert(*server, before);
                }
            }
        }
        self.states = states;
    }
}

/// The TCP servers that run, with the addresses to check.
fn servers(director: &Director) -> Vec<(SocketAddr, ServerId)> {
    let mut found = Vec::new();
    for service in director.config().services {
        if !matches!(service.key.protocol(), None | Some(Protocol::Tcp)) {
            continue;
        }
        let id = director.service_by_key(&service.key);
        for (server, observed) in id.and_then(|id| director.servers(id)).unwrap_or_default() {
            let mut address = observed.server.address;
            if address.port() == 0 {
                address.set_port(service.key.port().unwrap_or(0));
            }
            if address.port() != 0 {
                found.push((address, server));
            }
        }
    }
    found
}

fn backend(address: SocketAddr) -> Backend {
    Backend { addr: address.into(), weight: 1, ext: Default::default() }
}

async fn check_one(check: Arc<Check>, address: SocketAddr, limit: Duration) -> (SocketAddr, bool) {
    let target = backend(address);
    let result = tokio::time::timeout(limit, check.check(&target)).await;
    match &result {
        Ok(Ok(())) => {}
        Ok(Err(error)) => log::debug!("health check of {address}: {error}"),
        Err(_) => log::debug!("health check of {address}: no result within {limit:?}"),
    }
    (address, matches!(result, Ok(Ok(()))))
}

impl fmt::Debug for HealthChecks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealthChecks")
            .field("interval", &self.interval)
            .field("timeout", &self.timeout)
            .field("parallel", &self.parallel)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::Condition;

    #[test]
    fn only_results_in_a_row_change_the_state() {
        let mut condition = Condition::default();
        let results = [false, false, true, false, false, false, false, true, false, true, true];
        let changes: Vec<usize> = results
            .into_iter()
            .enumerate()
            .filter(|(_, healthy)| condition.observe(*healthy, if *healthy { 2 } else { 3 }))
            .map(|(index, _)| index)
            .collect();
        // Down at the third failure in a row, up at the second success in a row.
        assert_eq!(changes, [5, 10]);
        assert_eq!(condition, Condition::default());
    }
}
