//! From what a kernel runs to what a config wants: ordered steps, each with its reason and its risk.
//!
//! Pure: nothing is read or sent here. The order keeps every service available that has a server before
//! and after: additions come first, then reductions, then deletions. So at every moment, even if any steps
//! fail, a service that had an eligible server and is to have one has one, apart from what a step's
//! [`Risk`] says.

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
    Config, Observed, RealServer, ServiceKey, ServiceSettings, SyncDaemon, Timeouts,
};

pub(super) use availability::{Availability, AvailableServers, BeforeOrAfter};
pub(super) use build::{oldest_first, refuses_when_quiesced};
pub use guardrails::{PlanError, Violation};
pub(super) use kernel_view::{for_kernel, kernel_view, without_labels};
pub use policy::{Drain, Ended, Guardrails, OnRefusal, Ownership, Policy, Removal};
pub use steps::Steps;

/// When a step is carried out. All answers of a phase arrive before the next one begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Phase {
    /// Timeouts and synchronization daemons.
    Settings,
    /// New services, each created completely: without a scheduler, then its servers, then its scheduler.
    NewServices,
    /// Settings of services.
    EditServices,
    /// New servers, servers that stop draining, raised upper thresholds.
    Grow,
    /// Servers that stay available.
    Modify,
    /// Servers that are quiesced, lowered upper thresholds. A service shrinks only once one of its wanted
    /// servers is known to be eligible.
    Shrink,
    /// Waits for the connections of servers that leave.
    Drain,
    /// Deleted servers.
    DeleteServers,
    /// Settings that were changed for the duration of a drain.
    Restore,
    /// Deleted services.
    DeleteServices,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Sets the timeouts that are given.
    SetTimeouts {
        /// What they were.
        before: Timeouts,
        /// What they become.
        timeouts: Timeouts,
    },
    /// Starts a synchronization daemon.
    StartDaemon(SyncDaemon),
    /// Stops a synchronization daemon that runs with these settings.
    StopDaemon(SyncDaemon),
    /// Adds a service without servers, with no scheduler bound.
    AddService(ServiceSettings),
    /// Gives a service its scheduler, or new settings; its servers stay.
    EditService {
        /// What it was.
        before: ServiceSettings,
        /// What it becomes.
        service: ServiceSettings,
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
    /// Changes a server's description.
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

/// How clients may be affected although nothing fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Risk {
    /// The kernel unbinds one scheduler before it binds the other: meanwhile (a grace period, about 20 ms on
    /// several processors) it refuses new connections.
    RefusesForAMoment,
    /// This many connections stall, and are reset if `net.ipv4.vs.expire_nodest_conn` is set.
    Stalls(u32),
    /// This many connections are reset.
    Resets(u32),
    /// The scheduler hashes clients to the quiesced server and refuses them: it has no fallback.
    RefusesItsClients,
}

/// A change, with its phase, reason and risk.
///
/// ```
/// use vsched::config::{Config, Observed};
/// use vsched::netlink::plan::{Phase, Plan, Policy, Removal, Risk};
/// let runs: Config = "
///     -A -t 10.0.0.1:80
///     -a -t 10.0.0.1:80 -r 10.0.1.1 -m
///     -a -t 10.0.0.1:80 -r 10.0.1.2 -m
/// ".parse()?;
/// let wanted: Config = "-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.0.1.1 -m".parse()?;
/// let mut found = Observed::from(&runs);
/// found.services[0].servers[0].counts.active = 7;
/// let plan = Plan::new(wanted, &found, &Policy::default().with_removal(Removal::Immediate))?;
/// let last = plan.steps().iter().next_back().expect("a server leaves");
/// assert_eq!((last.phase, last.risk), (Phase::DeleteServers, Some(Risk::Stalls(7))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// Its phase.
    pub phase: Phase,
    /// The change.
    pub action: Action,
    /// The reason.
    pub reason: &'static str,
    /// How clients may be affected.
    pub risk: Option<Risk>,
}

/// The steps from what runs to what is wanted. Prints one step per line.
///
/// ```
/// use vsched::config::{Config, Observed};
/// use vsched::netlink::plan::{Plan, Policy};
/// let runs: Config = "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.1.1 -m".parse()?;
/// let wanted: Config = "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.1.2 -m".parse()?;
/// let plan = Plan::new(wanted, &Observed::from(&runs), &Policy::default())?;
/// assert_eq!(
///     plan.to_string(),
///     "grow: add server 10.0.1.2:80 masq weight 1 to tcp 10.0.0.1:80 (wanted)\n\
///      shrink: quiesce server 10.0.1.1:80 of tcp 10.0.0.1:80 (leaves)\n\
///      drain: wait for server 10.0.1.1:80 of tcp 10.0.0.1:80, at most 300 s (leaves)\n\
///      delete servers: delete server 10.0.1.1:80 of tcp 10.0.0.1:80 (not wanted)\n"
/// );
/// assert!(Plan::new(runs.clone(), &Observed::from(&runs), &Policy::default())?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    pub(super) steps: Steps,
    foreign: Vec<ServiceKey>,
    /// Of services that run and stay.
    pub(super) availability: Availability,
    pub(super) removal: Removal,
    pub(super) on_refusal: OnRefusal,
}

impl Plan {
    /// Computes a plan. O(services + servers), in a stable order. The plan keeps the config: passing an
    /// [`Arc`] saves a copy.
    ///
    /// The comparison ignores what a kernel does not store or report: generation,
    /// seed, `expire_quiescent_template`, `mh_table_index`, `affinity`, `sharing`.
    ///
    /// # Errors
    /// The config breaks limits or says something that Linux does not have, or the plan would break
    /// guardrails.
    pub fn new(
        wanted: impl Into<Arc<Config>>,
        found: &Observed,
        policy: &Policy,
    ) -> Result<Self, PlanError> {
        let wanted = for_kernel(wanted.into())?;
        Plan::of_valid(&wanted, found, policy)
    }

    /// The same for a config known to be valid.
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

    /// Services in the kernel that are not ours and stay unchanged.
    pub fn foreign(&self) -> &[ServiceKey] {
        &self.foreign
    }

    /// True if the config runs.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

impl Action {
    /// The service that the change affects, if any.
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
