//! The error for a change that would remove too much.

use std::fmt;
use std::net::SocketAddr;

/// Most services, and most servers per service, that a message lists; it counts the rest.
const NAMED: usize = 5;

/// A change refused by [`Guardrails`](crate::config::Guardrails). Nothing was changed.
///
/// ```
/// use vsched::error::{ApplyError, Violation};
/// use vsched::{ApplyPolicy, Config, Director};
/// let config: Config = "-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.0.1.1".parse()?;
/// let director = Director::new(&config)?;
/// let refusal = director.apply_with(&Config::new(), &ApplyPolicy::default());
/// let Err(ApplyError::Guardrails(error)) = refusal else { panic!("{refusal:?}") };
/// let [Violation::Deletes { losses, .. }] = error.violations() else { panic!("{error}") };
/// assert_eq!(losses[0].service, "tcp 10.0.0.1:80");
/// assert_eq!(losses[0].servers, ["10.0.1.1:80".parse()?]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardrailError {
    violations: Vec<Violation>,
}

/// A guardrail that a change would violate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// The service with this key has an eligible server, and would have none.
    Closes(String),
    /// Too many servers would be removed.
    #[non_exhaustive]
    Deletes {
        /// Number of servers that would be removed.
        servers: usize,
        /// Number of running servers.
        of: usize,
        /// The limit, in percent.
        most: u8,
        /// The servers that would be removed, by service. Never empty.
        losses: Vec<ServiceLoss>,
    },
}

/// The servers that one service would lose.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceLoss {
    /// The service's key.
    pub service: String,
    /// The addresses of the servers.
    pub servers: Vec<SocketAddr>,
    /// True if the service itself would be removed too, so that these are all its servers.
    pub removed: bool,
}

impl GuardrailError {
    pub(crate) fn from_violations(violations: Vec<Violation>) -> Result<(), GuardrailError> {
        if violations.is_empty() { Ok(()) } else { Err(GuardrailError { violations }) }
    }

    /// Returns every violation. Never empty.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }
}

impl fmt::Display for GuardrailError {
    /// Writes one line per violation, at most 100: what would be removed, the limit, and the setting
    /// that would allow it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::write_problems(&self.violations, f)
    }
}

impl std::error::Error for GuardrailError {}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Violation::Closes(service) => write!(
                f,
                "service {service}: has eligible servers and would have none; \
                 may_close_services would allow it"
            ),
            Violation::Deletes { servers, of, most, losses } => {
                // Rounded up, so that it is greater than the limit that it exceeds.
                let share = (*servers as u64 * 100).div_ceil((*of as u64).max(1));
                write!(
                    f,
                    "{servers} of {of} servers ({share} %) would be removed, at most {most} % may \
                     be; most_deleted {share} would allow it: "
                )?;
                for (index, loss) in losses.iter().take(NAMED).enumerate() {
                    write!(f, "{}{loss}", if index > 0 { "; " } else { "" })?;
                }
                match losses.len().saturating_sub(NAMED) {
                    0 => Ok(()),
                    more => write!(f, "; and servers of {more} more services"),
                }
            }
        }
    }
}

impl fmt::Display for ServiceLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ServiceLoss { service, servers, removed } = self;
        write!(f, "service {service}{}: ", if *removed { " as a whole" } else { "" })?;
        for (index, server) in servers.iter().take(NAMED).enumerate() {
            write!(f, "{}{server}", if index > 0 { ", " } else { "" })?;
        }
        match servers.len().saturating_sub(NAMED) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
