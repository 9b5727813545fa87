//! How much one change may take away.

use crate::config::{RealServer, ServiceKey};
use crate::error::{GuardrailError, ServiceLoss, Violation};

/// How much one change may take away from what runs. A change that takes more is refused as a whole.
///
/// A config file that was emptied, cut off or generated from nothing is a valid config: only what it
/// removes shows that something is wrong with it.
///
/// What counts as removed:
/// - a server that runs and that its service, by address and port, is not to have any more. All
///   servers of a removed service count.
/// - The share is of the servers of all services together. A service that does not want for servers
///   may lose most of its own.
/// - A server that is replaced by another counts, however many are added: their connections end all
///   the same, and a file for another site replaces everything. To replace more than the limit, add
///   first and remove later.
/// - A new description, weight 0 included, removes nothing.
/// - Small numbers make no difference: 1 of 1 is 100 %, 1 of 2 is 50 %.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guardrails {
    /// A service that stays and has an eligible server (weight above 0) may be left without one. To
    /// remove a service is not to close it; its servers count as removed.
    pub may_close_services: bool,
    /// The most servers, in percent of those that run, that one change may remove. 0: none; from 100
    /// on: all. In a kernel, the servers of services that a plan may not touch do not count.
    pub most_deleted: u8,
}

impl Default for Guardrails {
    /// No service is closed; any number of servers may be removed.
    fn default() -> Self {
        Guardrails { may_close_services: false, most_deleted: 100 }
    }
}

impl Guardrails {
    /// Nothing is refused.
    pub const OFF: Guardrails = Guardrails { may_close_services: true, most_deleted: 100 };

    /// Checks a change that closes these services and removes so many `servers` of those that run;
    /// `losses` names them.
    pub(crate) fn check(
        &self,
        closed: impl Iterator<Item = ServiceKey>,
        servers: usize,
        of: usize,
        losses: impl FnOnce() -> Vec<ServiceLoss>,
    ) -> Result<(), GuardrailError> {
        let mut violations = Vec::new();
        if !self.may_close_services {
            violations.extend(closed.map(|service| Violation::Closes(service.to_string())));
        }
        if servers as u64 * 100 > of as u64 * u64::from(self.most_deleted) {
            let (most, losses) = (self.most_deleted, losses());
            violations.push(Violation::Deletes { servers, of, most, losses });
        }
        GuardrailError::from_violations(violations)
    }
}

/// True if one of the servers is eligible.
pub(crate) fn is_open<'a>(servers: impl IntoIterator<Item = &'a RealServer>) -> bool {
    servers.into_iter().any(|server| server.weight > 0)
}
