//! What a plan may touch, how it removes, and what it must never do.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::config::ServiceKey;

pub use crate::config::Guardrails;

/// What a plan may touch, how servers leave, and the guardrails it must keep to.
///
/// The default touches only services that the config wants, lets servers that leave drain for five
/// minutes at most, and refuses to leave a service without an eligible server.
///
/// ```
/// use std::time::Duration;
/// use vsched::netlink::plan::{Drain, Ended, Ownership, Policy, Removal};
/// let drain = Drain::default().with_deadline(Duration::from_secs(60)).with_until(Ended::Active);
/// let policy = Policy::default()
///     .with_ownership(Ownership::All)
///     .with_removal(Removal::Drain(drain));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Policy {
    /// Which services in the kernel are ours.
    pub ownership: Ownership,
    /// How servers and services leave.
    pub removal: Removal,
    /// Limits on the plan. A plan that breaks one is an error of planning: nothing was sent.
    pub guardrails: Guardrails,
    /// What to do if the kernel refuses a step.
    pub on_refusal: OnRefusal,
}

impl Policy {
    /// Returns the policy with this choice of which services are ours.
    pub fn with_ownership(mut self, ownership: Ownership) -> Self {
        self.ownership = ownership;
        self
    }

    /// Returns the policy with this way for servers to leave.
    pub fn with_removal(mut self, removal: Removal) -> Self {
        self.removal = removal;
        self
    }

    /// Returns the policy with these guardrails.
    pub fn with_guardrails(mut self, guardrails: Guardrails) -> Self {
        self.guardrails = guardrails;
        self
    }

    /// Returns the policy with this reaction to a refusal.
    pub fn with_on_refusal(mut self, on_refusal: OnRefusal) -> Self {
        self.on_refusal = on_refusal;
        self
    }
}

/// What to do if the kernel refuses a step that adds, edits or quiesces. A refused deletion never stops
/// the other steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum OnRefusal {
    /// Roll back everything, delete nothing: all or nothing.
    #[default]
    RollBack,
    /// Carry out the other steps. A service shrinks only if a wanted server exists to take its clients; no
    /// service is left without a server.
    GoOn,
}

/// Which services in the kernel are ours, to edit and to delete. All others stay unchanged,
/// whichever program created them.
///
/// ```
/// use vsched::config::{Config, Observed};
/// use vsched::netlink::plan::{Ownership, Plan, Policy};
/// let found = Observed::from(&"-A -t 10.0.0.1:80\n-A -t 10.0.0.2:80".parse::<Config>()?);
/// let wanted: Config = "-A -t 10.0.0.1:80".parse()?;
/// let plan = Plan::new(wanted.clone(), &found, &Policy::default())?;
/// assert!(plan.is_empty());
/// assert_eq!(plan.foreign(), ["tcp 10.0.0.2:80".parse()?]);
/// let plan = Plan::new(wanted, &found, &Policy::default().with_ownership(Ownership::All))?;
/// assert_eq!(plan.to_string(), "delete services: delete service tcp 10.0.0.2:80 (not wanted)\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Ownership {
    /// Those that the config wants. A service that the config no longer wants is not deleted: the kernel
    /// does not say which program created it.
    #[default]
    Wanted,
    /// Those that the config wants, and these, for example those of the previous config.
    Keys(Vec<ServiceKey>),
    /// Those that the config wants, and those for which this returns true.
    Matching(Arc<dyn Fn(&ServiceKey) -> bool + Send + Sync>),
    /// All of them, and the synchronization daemons.
    All,
}

impl Ownership {
    /// True if a service that the config does not want may be deleted.
    pub(super) fn covers(&self, key: &ServiceKey) -> bool {
        match self {
            Ownership::Wanted => false,
            Ownership::Keys(keys) => keys.contains(key),
            Ownership::Matching(matches) => matches(key),
            Ownership::All => true,
        }
    }
}

impl fmt::Debug for Ownership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ownership::Wanted => f.write_str("Wanted"),
            Ownership::Keys(keys) => f.debug_tuple("Keys").field(keys).finish(),
            Ownership::Matching(_) => f.write_str("Matching(..)"),
            Ownership::All => f.write_str("All"),
        }
    }
}

impl PartialEq for Ownership {
    /// Two functions are equal if they are the same object.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Ownership::Wanted, Ownership::Wanted) | (Ownership::All, Ownership::All) => true,
            (Ownership::Keys(a), Ownership::Keys(b)) => a == b,
            (Ownership::Matching(a), Ownership::Matching(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

impl Eq for Ownership {}

/// How servers and services leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Removal {
    /// Immediately: their connections stall or are reset.
    Immediate,
    /// First quiesced, then deleted once their connections have ended.
    Drain(Drain),
}

/// How long to wait for connections to end, and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drain {
    /// Servers are deleted after this time even if connections are left.
    pub deadline: Duration,
    /// Which connections to wait for.
    pub until: Ended,
}

/// Which connections must have ended before the deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Ended {
    /// The active ones. UDP never counts as active.
    Active,
    /// All of them. The kernel keeps an inactive connection for its timeout: a closed TCP connection for two
    /// minutes.
    #[default]
    All,
}

impl Default for Removal {
    fn default() -> Self {
        Removal::Drain(Drain::default())
    }
}

impl Drain {
    /// Returns the drain with this deadline.
    pub const fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Returns the drain that waits for these connections.
    pub const fn with_until(mut self, until: Ended) -> Self {
        self.until = until;
        self
    }
}

impl Default for Drain {
    /// Five minutes, all connections.
    fn default() -> Self {
        Drain { deadline: Duration::from_secs(300), until: Ended::All }
    }
}
