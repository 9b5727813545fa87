//! From what a kernel runs to what a config wants: ordered steps, each with its reason and its risk.
//!
//! Pure: nothing is read or sent here. The order keeps every service answerable that has a server
//! before and after: what grows comes first, what shrinks later, deletions last. So at every moment,
//! also if any steps fail, a service has an eligible server if it had one and is to have one, apart
//! from what a step's [`Risk`] says.

mod availability;
mod build;
mod guardrails;
mod kernel_view;
mod policy;
mod steps;
mod text;

use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::{
    Config, Observed, RealServer, ServiceKey, SyncDaemon, Timeouts, VirtualService,
};

pub(super) use availability::{Availability, AvailableServers, BeforeOrAfter};
pub(super) use build::{oldest_first, refuses_when_quiesced};
pub use guardrails::{PlanError, Violation};
pub(super) use kernel_view::kernel_view;
pub use policy::{Drain, Ended, Guardrails, OnRefusal, Ownership, Policy, Removal};
pub use steps::Steps;

/// When a step's turn comes. Between two phases all answers are awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// Timeouts and synchronisation daemons.
    Settings,
    /// New services, each created whole: unbound, filled, then given its scheduler.
    NewServices,
    /// Settings of services.
    EditServices,
    /// New servers, servers that leave drain, raised upper thresholds.
    Grow,
    /// Servers that stay available.
    Modify,
    /// Servers that are quiesced, lowered upper thresholds. A service whose eligible servers are not
    /// all of the past is let through only.
    Shrink,
    /// Waiting for the connections of servers that leave.
    Drain,
    /// Deleted servers.
    DeleteServers,
    /// Settings that were changed for the time of a drain.
    Restore,
    /// Deleted services.
    DeleteServices,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Sets those timeouts that are given.
    SetTimeouts {
        /// What they were.
        before: Timeouts,
        /// What they become.
        timeouts: Timeouts,
    },
    /// Starts a synchronisation daemon.
    StartDaemon(SyncDaemon),
    /// Stops a synchronisation daemon, which runs like this.
    StopDaemon(SyncDaemon),
    /// Adds a service without servers, with no scheduler bound.
    AddService(VirtualService),
    /// Gives a service its scheduler, or new settings; its servers stay.
    EditService {
        /// What it was.
        before: VirtualService,
        /// What it becomes.
        service: VirtualService,
    },
    /// Deletes a service with its servers.
    DeleteService(ServiceKey),
    /// Adds a server at the head of the service's list.
    AddServer {
        /// The service.
        service: ServiceKey,
        /// The server.
        server: RealServer,
    },
    /// Describes a server anew.
    EditServer {
        /// The service.
        service: ServiceKey,
        /// What it was.
        before: RealServer,
        /// What it becomes.
        server: RealServer,
    },
    /// Waits until the server's connections have ended, or for the deadline.
    AwaitDrain {
        /// The service.
        service: ServiceKey,
        /// The server.
        server: SocketAddr,
        /// How long, and for which connections.
        drain: Drain,
    },
    /// Deletes a server.
    DeleteServer {
        /// The service.
        service: ServiceKey,
        /// The server.
        server: SocketAddr,
    },
}

/// What may go wrong for clients although nothing fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Risk {
    /// The kernel unbinds one scheduler before it binds the other: for that moment (a grace period,
    /// some 20 ms on several processors) new connections are refused.
    RefusesForAMoment,
    /// So many connections stall, and are reset if `net.ipv4.vs.expire_nodest_conn` is set.
    Stalls(u32),
    /// So many connections are reset.
    Resets(u32),
    /// The scheduler hashes clients to the quiesced server and refuses them: it has no fallback.
    RefusesItsClients,
}

/// A thing to do, when, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// When.
    pub phase: Phase,
    /// What.
    pub action: Action,
    /// Why.
    pub reason: &'static str,
    /// What may go wrong for clients.
    pub risk: Option<Risk>,
}

/// What leads from what runs to what is wanted. Prints one step a line.
///
/// ```
/// use vsched::config::{Config, Observed};
/// use vsched::netlink::plan::{Plan, Policy};
/// let runs: Config = "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.1.1 -m".parse()?;
/// let wanted: Config = "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.1.2 -m".parse()?;
/// let plan = Plan::new(&wanted, &Observed::from(&runs), &Policy::default())?;
/// assert_eq!(
///     plan.to_string(),
///     "grow: add server 10.0.1.2:80 masq weight 1 to tcp 10.0.0.1:80 (wanted)\n\
///      shrink: quiesce server 10.0.1.1:80 of tcp 10.0.0.1:80 (leaves)\n\
///      drain: wait for server 10.0.1.1:80 of tcp 10.0.0.1:80, at most 300 s (leaves)\n\
///      delete servers: delete server 10.0.1.1:80 of tcp 10.0.0.1:80 (not wanted)\n"
/// );
/// assert!(Plan::new(&runs, &Observed::from(&runs), &Policy::default())?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    pub(super) steps: Steps,
    foreign: Vec<ServiceKey>,
    /// For services that run and go on.
    pub(super) availability: Availability,
    pub(super) removal: Removal,
    pub(super) on_refusal: OnRefusal,
}

impl Plan {
    /// Plans. O(services + servers), in a stable order. The plan keeps the config: an [`Arc`] of one
    /// saves a copy.
    ///
    /// What a kernel cannot be told or does not tell is left out of the comparison: generation,
    /// seed, `expire_quiescent_template`, `mh_table_index`, `affinity`, `sharing`.
    ///
    /// # Errors
    /// The config breaks limits, or the plan would break guardrails.
    pub fn new(
        wanted: impl Into<Arc<Config>>,
        found: &Observed,
        policy: &Policy,
    ) -> Result<Self, PlanError> {
        let wanted = wanted.into();
        wanted.validate_for_kernel()?;
        Plan::of_valid(&wanted, found, policy)
    }

    /// The same for a config that is known to be valid.
    pub(super) fn of_valid(
        wanted: &Arc<Config>,
        found: &Observed,
        policy: &Policy,
    ) -> Result<Self, PlanError> {
        let mut plan = build::plan(wanted, found, policy);
        plan.availability = availability::availability(&plan.steps, wanted, found);
        guardrails::check(&plan, wanted, found, &policy.guardrails)?;
        Ok(plan)
    }

    /// The steps, in order.
    pub fn steps(&self) -> &Steps {
        &self.steps
    }

    /// Services in the kernel that are not ours and stay as they are.
    pub fn foreign(&self) -> &[ServiceKey] {
        &self.foreign
    }

    /// True if what is wanted runs.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

impl Action {
    /// The service concerned, if it is about one.
    pub fn service(&self) -> Option<ServiceKey> {
        match self {
            Action::SetTimeouts { .. } | Action::StartDaemon(_) | Action::StopDaemon(_) => None,
            Action::AddService(service) | Action::EditService { service, .. } => Some(service.key),
            Action::DeleteService(key) => Some(*key),
            Action::AddServer { service, .. }
            | Action::EditServer { service, .. }
            | Action::AwaitDrain { service, .. }
            | Action::DeleteServer { service, .. } => Some(*service),
        }
    }
}
