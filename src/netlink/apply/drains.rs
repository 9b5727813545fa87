//! Waiting for connections to end.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::kernel_api::KernelApi;
use super::outcome::Status;
use crate::config::{ObservedServer, ServiceKey};
use crate::netlink::Error;
use crate::netlink::plan::{Action, Drain, Ended, Step};

/// Interval between the first two polls; doubled each time.
const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(1);

/// A server that is being drained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Draining {
    /// The service.
    pub service: ServiceKey,
    /// The server.
    pub server: SocketAddr,
    /// Connections that the drain still waits for, as of the last poll.
    pub connections: u32,
}

#[derive(Debug)]
struct Wait {
    /// The step's place in the pass.
    step: usize,
    draining: Draining,
    drain: Drain,
}

/// The result of one poll.
pub(super) struct DrainStatus {
    /// Steps that ended, with their statuses.
    pub(super) ended: Vec<(usize, Status)>,
    /// When to poll again; `None` if no drain is left.
    pub(super) next: Option<Duration>,
}

#[derive(Debug)]
pub(super) struct Drains {
    begun: Instant,
    interval: Duration,
    waits: Vec<Wait>,
    /// `waits`, in the public form.
    pub(super) draining: Vec<Draining>,
}

impl Drains {
    /// From the steps that wait.
    pub(super) fn new<'s>(steps: impl Iterator<Item = (usize, Cow<'s, Step>)>) -> Self {
        let mut waits: Vec<Wait> = steps
            .filter_map(|(step, waits)| match waits.action {
                Action::AwaitDrain { service, server, drain } => {
                    let draining = Draining { service, server, connections: 0 };
                    Some(Wait { step, draining, drain })
                }
                _ => None,
            })
            .collect();
        // One dump per service, however many of its servers leave.
        waits.sort_by_key(|wait| wait.draining.service);
        Drains { begun: Instant::now(), interval: FIRST, waits, draining: Vec::new() }
    }

    /// Reads the connections once. Returns which drains ended, and how long to wait before the next poll.
    ///
    /// # Errors
    /// An exchange that failed in a way that a retry cannot fix.
    pub(super) fn poll(&mut self, kernel: &mut impl KernelApi) -> Result<DrainStatus, Error> {
        let passed = self.begun.elapsed();
        let (mut ended, mut waits) = (Vec::new(), Vec::new());
        for group in self.waits.chunk_by_mut(|a, b| a.draining.service == b.draining.service) {
            let servers = servers(kernel, group)?;
            for wait in group {
                let server = wait.draining.server;
                let found = servers.as_ref().map(|servers| {
                    servers.iter().find(|observed| observed.server.address == server)
                });
                let status = match found {
                    // This dump did not tell.
                    None => None,
                    Some(None) => Some(Status::AlreadyDone),
                    Some(Some(observed)) if observed.server.weight > 0 => Some(Status::Kept),
                    Some(Some(observed)) => {
                        let connections = connections(observed, wait.drain.until);
                        wait.draining.connections = connections;
                        (connections == 0).then_some(Status::Drained)
                    }
                };
                let overdue = passed >= wait.drain.deadline;
                match status {
                    Some(status) => ended.push((wait.step, status)),
                    None if overdue => {
                        ended.push((wait.step, Status::CutOff(wait.draining.connections)));
                    }
                    None => waits.push(Wait { ..*wait }),
                }
            }
        }
        self.draining = waits.iter().map(|wait| wait.draining).collect();
        self.waits = waits;
        let next = self.waits.iter().map(|wait| wait.drain.deadline.saturating_sub(passed)).min();
        let next = next.map(|deadline| deadline.min(self.interval));
        self.interval = (self.interval * 2).min(LONGEST);
        Ok(DrainStatus { ended, next })
    }
}

fn connections(observed: &ObservedServer, until: Ended) -> u32 {
    let counts = observed.counts;
    match until {
        Ended::Active => counts.active,
        Ended::All => counts.active.saturating_add(counts.inactive),
    }
}

/// The servers of a service; `None` if they cannot be read now. One dump proves that a server exists; only
/// two dumps that agree prove that it does not.
fn servers(
    kernel: &mut impl KernelApi,
    group: &[Wait],
) -> Result<Option<Vec<ObservedServer>>, Error> {
    let Some(first) = group.first() else { return Ok(None) };
    let key = first.draining.service;
    let passing = |read: Result<Vec<ObservedServer>, Error>| match read {
        Ok(servers) => Ok(Some(servers)),
        Err(Error::Lost | Error::Timeout(_) | Error::Unsettled { .. }) => Ok(None),
        Err(error) => Err(error),
    };
    let once = passing(kernel.servers_once(&key))?;
    let has = |servers: &[ObservedServer], wait: &Wait| {
        servers.iter().any(|observed| observed.server.address == wait.draining.server)
    };
    match once {
        Some(servers) if group.iter().all(|wait| has(&servers, wait)) => Ok(Some(servers)),
        _ => passing(kernel.servers(&key)),
    }
}
