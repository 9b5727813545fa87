//! Guardrails: how much one change may remove.

use crate::config::{RealServer, ServiceKey};
use crate::error::{GuardrailError, ServiceLoss, Violation};

/// Limits on what one change may remove from the running config. A change that exceeds a limit is
/// refused as a whole.
///
/// A config file that was emptied, truncated or generated from missing data is a valid config: only what
/// it removes shows that something is wrong with it.
///
/// What counts as removed:
/// - A running server that its service, by address and port, no longer has. All servers of a removed
///   service count.
/// - The percentage is of the servers of all services together. A single service may lose most of its
///   servers, unless that closes it.
/// - A server that is replaced by another counts, no matter how many are added: its connections end
///   nevertheless, and a file for another site replaces everything. To replace more than the limit, add
///   first and remove later.
/// - An edit, even to weight 0, removes nothing.
/// - Small numbers get no special treatment: 1 of 1 is 100 %, 1 of 2 is 50 %.
///
/// ```
/// use vsched::ApplyPolicy;
/// use vsched::config::Guardrails;
/// let policy = ApplyPolicy::new(Guardrails::default().with_most_deleted(20));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Guardrails {
    /// Whether a service that stays and has an eligible server (weight above 0) may be left without one.
    /// Removing a service does not close it; its servers count as removed.
    pub may_close_services: bool,
    /// The most servers, in percent of those running, that one change may remove. 0: none; 100 or more:
    /// all. In a kernel, the servers of services that a plan may not touch do not count.
    pub most_deleted: u8,
}

impl Default for Guardrails {
    /// No service may be closed; any number of servers may be removed.
    fn default() -> Self {
        Guardrails { may_close_services: false, most_deleted: 100 }
    }
}

impl Guardrails {
    /// Returns the guardrails under which a service may be left without an eligible server, or not.
    pub const fn with_may_close_services(mut self, may: bool) -> Self {
        self.may_close_services = may;
        self
    }

    /// Returns the guardrails with this limit on removed servers, in percent.
    pub const fn with_most_deleted(mut self, percent: u8) -> Self {
        self.most_deleted = percent;
        self
    }

    /// No limits: every change is accepted.
    pub const OFF: Guardrails = Guardrails { may_close_services: true, most_deleted: 100 };

    /// Checks a change that closes these services and removes `servers` of the `of` servers running;
    /// `losses` lists them.
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

/// True if at least one of the servers is eligible (weight above 0).
pub(crate) fn is_open<'a>(servers: impl IntoIterator<Item = &'a RealServer>) -> bool {
    servers.into_iter().any(|server| server.weight > 0)
}
