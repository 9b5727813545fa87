//! Computes the steps of a plan.

use std::collections::HashSet;
use std::sync::Arc;

use ahash::HashMap;

use super::kernel_view::kernel_view;
use super::steps::{StepRecord, Steps, WANTED};
use super::{Action, Ownership, Phase, Plan, Policy, Removal, Risk, Step};
use crate::config::diff::{self, ServerChange};
use crate::config::{
    Config, Forwarding, Observed, ObservedServer, ObservedService, RealServer, SchedulerFlags,
    ServiceKey, SyncDaemon, SyncRole, Timeouts, VirtualService,
};
use crate::config::{SchedulerKind, Settings};

pub(super) fn plan(wanted: &Arc<Config>, found: &Observed, policy: &Policy) -> Plan {
    let mut builder = Builder::new(wanted, found, policy);
    builder.settings(&found.settings);
    builder.services(found);
    builder.fallbacks(found);
    Plan {
        steps: Steps::new(wanted.clone(), builder.steps),
        foreign: builder.foreign,
        availability: Default::default(),
        removal: policy.removal,
        on_refusal: policy.on_refusal,
    }
}

struct Builder<'a> {
    policy: &'a Policy,
    wanted: &'a Config,
    /// By key.
    wanted_services: HashMap<ServiceKey, &'a VirtualService>,
    /// Our services that run.
    running: HashMap<ServiceKey, &'a ObservedService>,
    foreign: Vec<ServiceKey>,
    steps: Vec<StepRecord>,
}

impl<'a> Builder<'a> {
    fn new(wanted: &'a Config, found: &'a Observed, policy: &'a Policy) -> Self {
        let wanted_services: HashMap<ServiceKey, &VirtualService> =
            wanted.services.iter().map(|service| (service.key, service)).collect();
        let (mut running, mut foreign) = (HashMap::default(), Vec::new());
        for service in &found.services {
            let key = service.settings.key;
            if wanted_services.contains_key(&key) || policy.ownership.covers(&key) {
                running.insert(key, service);
            } else {
                foreign.push(key);
            }
        }
        Builder { policy, wanted, wanted_services, running, foreign, steps: Vec::new() }
    }

    fn push(&mut self, phase: Phase, action: Action, reason: &'static str, risk: Option<Risk>) {
        self.steps.push(StepRecord::Whole(Box::new(Step { phase, action, reason, risk })));
    }

    fn push_addition(&mut self, phase: Phase, service: usize, server: usize) {
        let (service, server) = (service as u32, server as u32);
        self.steps.push(StepRecord::Add { phase, service, server });
    }

    /// Timeouts and daemons. Wanted daemons are started; others are stopped only under `Ownership::All`.
    fn settings(&mut self, found: &Settings) {
        let wanted = self.wanted;
        let differs = |wanted: Option<u32>, found| wanted.filter(|_| wanted != found);
        let (want, have) = (&wanted.timeouts, &found.timeouts);
        let timeouts = Timeouts {
            tcp: differs(want.tcp, have.tcp),
            tcp_fin: differs(want.tcp_fin, have.tcp_fin),
            udp: differs(want.udp, have.udp),
        };
        if timeouts != Timeouts::default() {
            let action = Action::SetTimeouts { before: *have, timeouts };
            self.push(Phase::Settings, action, WANTED, None);
        }
        for role in [SyncRole::Master, SyncRole::Backup] {
            let of =
                |daemons: &[SyncDaemon]| daemons.iter().find(|daemon| daemon.role == role).cloned();
            match (of(&wanted.daemons), of(&found.daemons)) {
                (Some(wanted), Some(found)) if runs_as(&found, &wanted) => {}
                (Some(wanted), found) => {
                    if let Some(found) = found {
                        let stop = Action::StopDaemon(found);
                        self.push(Phase::Settings, stop, "runs with other settings", None);
                    }
                    self.push(Phase::Settings, Action::StartDaemon(wanted), WANTED, None);
                }
                (None, Some(found)) if self.policy.ownership == Ownership::All => {
                    self.push(Phase::Settings, Action::StopDaemon(found), "not wanted", None);
                }
                (None, _) => {}
            }
        }
    }

    fn services(&mut self, found: &'a Observed) {
        let mut leaving = Vec::new();
        for (place, service) in self.wanted.services.iter().enumerate() {
            match self.running.get(&service.key).copied() {
                None => self.steps.push(StepRecord::New { service: place as u32 }),
                Some(found) => self.update(place, service, found, &mut leaving),
            }
        }
        for (service, observed) in leaving {
            self.leave(service, std::slice::from_ref(observed));
            let risk = self.connections(std::slice::from_ref(observed)).map(Risk::Stalls);
            let action = Action::DeleteServer { service, server: observed.server.address };
            self.push(Phase::DeleteServers, action, "not wanted", risk);
        }
        let is_left = |key: &ServiceKey| {
            self.running.contains_key(key) && !self.wanted_services.contains_key(key)
        };
        let mut left: Vec<&ObservedService> =
            found.services.iter().filter(|found| is_left(&found.settings.key)).collect();
        left.sort_by_key(|found| found.settings.key);
        for found in left {
            let key = found.settings.key;
            let oldest_first: Vec<ObservedServer> = found.servers.iter().rev().cloned().collect();
            self.leave(key, &oldest_first);
            let risk = self.connections(&oldest_first).map(Risk::Resets);
            self.push(Phase::DeleteServices, Action::DeleteService(key), "not wanted", risk);
        }
    }

    fn update(
        &mut self,
        place: usize,
        wanted: &VirtualService,
        found: &'a ObservedService,
        leaving: &mut Vec<(ServiceKey, &'a ObservedServer)>,
    ) {
        let (before, service) = (kernel_view(&found.settings), kernel_view(wanted));
        if !diff::same_settings(&before, &service) {
            let rebinds = before.scheduler != service.scheduler && before.scheduler.is_some();
            let risk = rebinds.then_some(Risk::RefusesForAMoment);
            let action = Action::EditService { before, service };
            self.push(Phase::EditServices, action, "has other settings", risk);
        }
        let service = wanted.key;
        let running =
            oldest_first(found.servers.iter().map(|observed| observed.server.clone()), wanted);
        diff::servers(&running, &wanted.servers, |phase, change| match change {
            ServerChange::Add(server) => self.push_addition(phase.into(), place, server),
            ServerChange::Edit { before, server } => {
                let quiesced = before.weight > 0 && server.weight == 0;
                let refuses = quiesced && refuses_when_quiesced(wanted);
                let risk = refuses.then_some(Risk::RefusesItsClients);
                let (before, server) = (before.clone(), server.clone());
                let action = Action::EditServer { service, before, server };
                self.push(phase.into(), action, "described otherwise", risk);
            }
            ServerChange::Delete(place) => {
                leaving.extend(found.servers.iter().rev().nth(place).map(|found| (service, found)));
            }
        });
    }

    /// Quiesces servers before they are deleted, and waits. A server that is quiesced already has been
    /// draining since an earlier plan.
    fn leave(&mut self, service: ServiceKey, servers: &[ObservedServer]) {
        let Removal::Drain(drain) = self.policy.removal else { return };
        for ObservedServer { server: before, .. } in servers {
            let server = before.address;
            if before.weight > 0 {
                let quiesced = before.clone().with_weight(0);
                let action =
                    Action::EditServer { service, before: before.clone(), server: quiesced };
                self.push(Phase::Shrink, action, "leaves", None);
            }
            let action = Action::AwaitDrain { service, server, drain };
            self.push(Phase::Drain, action, "leaves", None);
        }
    }

    /// Connections that an immediate deletion would break.
    fn connections(&self, servers: &[ObservedServer]) -> Option<u32> {
        if self.policy.removal != Removal::Immediate {
            return None;
        }
        let counts = servers.iter().map(|observed| observed.counts);
        let sum = counts.fold(0u32, |sum, counts| {
            sum.saturating_add(counts.active).saturating_add(counts.inactive)
        });
        (sum > 0).then_some(sum)
    }

    /// Services with a temporarily quiesced server: it drains, or it will get weight again after the service
    /// has got a scheduler that would refuse its clients until then.
    fn unsettled(&self) -> HashSet<ServiceKey> {
        let (mut unsettled, mut rebound) = (HashSet::new(), HashSet::new());
        let steps = || self.steps.iter().filter_map(StepRecord::whole);
        for step in steps() {
            match &step.action {
                Action::AwaitDrain { service, .. } => unsettled.insert(*service),
                Action::EditService { before, .. } if !refuses_when_quiesced(before) => {
                    rebound.insert(before.key)
                }
                _ => continue,
            };
        }
        for step in steps() {
            if let Action::EditServer { service, before, server } = &step.action {
                let wakes = before.weight == 0 && server.weight > 0;
                if wakes && rebound.contains(service) {
                    unsettled.insert(*service);
                }
            }
        }
        unsettled
    }

    /// A scheduler that hashes clients to servers refuses the clients of a quiesced server, unless its
    /// fallback flag is set. The plan sets the flag while servers are temporarily quiesced.
    fn fallbacks(&mut self, found: &Observed) {
        let unsettled = self.unsettled();
        if unsettled.is_empty() {
            return;
        }
        let mut edits: HashMap<ServiceKey, usize> = HashMap::default();
        for (place, stored) in self.steps.iter().enumerate() {
            if let Some(Action::EditService { service, .. }) = stored.whole().map(|s| &s.action) {
                edits.entry(service.key).or_insert(place);
            }
        }
        for running in &found.services {
            let key = running.settings.key;
            if !unsettled.contains(&key) {
                continue;
            }
            let running = kernel_view(&running.settings);
            let is_wanted = self.wanted_services.get(&key);
            let wanted = is_wanted.map_or_else(|| running.clone(), |wanted| kernel_view(wanted));
            let is_wanted = is_wanted.is_some();
            if !refuses_when_quiesced(&wanted) {
                continue;
            }
            let flags = wanted.flags.union(SchedulerFlags::FLAG_1);
            let with = VirtualService { flags, ..wanted.clone() };
            let edit = edits.get(&key).and_then(|place| self.steps.get_mut(*place));
            match edit {
                Some(StepRecord::Whole(step)) => {
                    if let Action::EditService { service, .. } = &mut step.action {
                        *service = with.clone();
                    }
                }
                _ if running == with => {}
                _ => {
                    let action = Action::EditService { before: running, service: with.clone() };
                    self.push(Phase::EditServices, action, "falls back while it drains", None);
                }
            }
            if is_wanted {
                let action = Action::EditService { before: with, service: wanted };
                self.push(Phase::Restore, action, "is done with that", None);
            }
        }
        // The flag is set since an earlier plan, and nothing else changes.
        self.steps.retain(|stored| match stored.whole().map(|step| &step.action) {
            Some(Action::EditService { before, service }) => before != service,
            _ => true,
        });
    }
}

impl From<diff::ChangePhase> for Phase {
    fn from(phase: diff::ChangePhase) -> Self {
        match phase {
            diff::ChangePhase::NewServices => Phase::NewServices,
            diff::ChangePhase::EditServices => Phase::EditServices,
            diff::ChangePhase::Grow => Phase::Grow,
            diff::ChangePhase::Modify => Phase::Modify,
            diff::ChangePhase::Shrink => Phase::Shrink,
            diff::ChangePhase::DeleteServers => Phase::DeleteServers,
            diff::ChangePhase::DeleteServices => Phase::DeleteServices,
        }
    }
}

/// Servers as in a config. Old kernels show some servers as local, whatever forwarding method was
/// requested: those count as wanted.
pub(in crate::netlink) fn oldest_first(
    found: impl DoubleEndedIterator<Item = RealServer>,
    wanted: &VirtualService,
) -> Vec<RealServer> {
    let mut servers: Vec<RealServer> = found.rev().collect();
    if servers.iter().any(|server| server.forwarding == Forwarding::Local) {
        let wanted: HashMap<_, Forwarding> =
            wanted.servers.iter().map(|server| (server.address, server.forwarding)).collect();
        for server in &mut servers {
            if let (Forwarding::Local, Some(asked)) =
                (server.forwarding, wanted.get(&server.address))
            {
                server.forwarding = *asked;
            }
        }
    }
    servers
}

/// True if the scheduler hashes clients to servers and does not fall back.
pub(in crate::netlink) fn refuses_when_quiesced<S>(service: &VirtualService<S>) -> bool {
    let hashes = matches!(service.scheduler, Some(SchedulerKind::Sh | SchedulerKind::Mh));
    hashes && !service.flags.contains(SchedulerFlags::FLAG_1)
}

/// True if the running daemon has every setting that the config gives.
fn runs_as(found: &SyncDaemon, wanted: &SyncDaemon) -> bool {
    fn fits<T: PartialEq>(found: &Option<T>, wanted: &Option<T>) -> bool {
        wanted.is_none() || found == wanted
    }
    found.interface == wanted.interface
        && found.sync_id == wanted.sync_id
        && fits(&found.max_len, &wanted.max_len)
        && fits(&found.group, &wanted.group)
        && fits(&found.port, &wanted.port)
        && fits(&found.ttl, &wanted.ttl)
}
