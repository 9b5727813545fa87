//! The steps of a plan.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use super::{Action, Ownership, Phase, Plan, Policy, Removal, Risk, Step};
use crate::config::diff::{self, Change};
use crate::config::{
    Affinity, Config, DEFAULT_MH_TABLE_INDEX, Forwarding, Netmask, Observed, ObservedServer,
    Persistence, RealServer, SchedulerFlags, ServerCounts, ServiceKey, Sharing, SyncDaemon,
    SyncRole, Timeouts, VirtualService,
};
use crate::sched::SchedulerKind;

pub(super) fn plan(wanted: &Config, found: &Observed, policy: &Policy) -> Plan {
    let mut builder = Builder::new(wanted, found, policy);
    builder.settings(wanted, &found.settings);
    builder.services(wanted);
    builder.fallbacks();
    builder.steps.sort_by_key(|step| step.phase);
    Plan {
        steps: builder.steps,
        foreign: builder.foreign,
        open: Default::default(),
        removal: policy.removal,
        on_refusal: policy.on_refusal,
    }
}

struct Builder<'a> {
    policy: &'a Policy,
    /// What runs of ours, as a config.
    ours: Vec<VirtualService>,
    counts: HashMap<(ServiceKey, SocketAddr), ServerCounts>,
    /// Ours, with the settings that they are to have.
    wanted: HashMap<ServiceKey, VirtualService>,
    foreign: Vec<ServiceKey>,
    steps: Vec<Step>,
}

impl<'a> Builder<'a> {
    fn new(wanted: &Config, found: &Observed, policy: &'a Policy) -> Self {
        let wanted: HashMap<ServiceKey, VirtualService> =
            wanted.services.iter().map(|service| (service.service, told(service))).collect();
        let is_ours = |key: &ServiceKey| wanted.contains_key(key) || policy.ownership.covers(key);
        let (mut ours, mut counts, mut foreign) = (Vec::new(), HashMap::new(), Vec::new());
        for service in &found.services {
            let key = service.settings.service;
            if !is_ours(&key) {
                foreign.push(key);
                continue;
            }
            let oldest_first = service.servers.iter().rev();
            let as_wanted = |observed: &ObservedServer| {
                let server = &observed.server;
                counts.insert((key, server.address), observed.counts);
                localised(server, wanted.get(&key))
            };
            let servers = oldest_first.map(as_wanted).collect();
            ours.push(VirtualService { servers, ..told(&service.settings) });
        }
        Builder { policy, ours, counts, wanted, foreign, steps: Vec::new() }
    }

    fn push(&mut self, phase: Phase, action: Action, reason: &'static str, risk: Option<Risk>) {
        self.steps.push(Step { phase, action, reason, risk });
    }

    /// Timeouts, and daemons: those that are wanted run; others stop only if everything is ours.
    fn settings(&mut self, wanted: &Config, found: &Config) {
        let differs = |wanted: Option<u32>, found| wanted.filter(|_| wanted != found);
        let (want, have) = (&wanted.timeouts, &found.timeouts);
        let timeouts = Timeouts {
            tcp: differs(want.tcp, have.tcp),
            tcp_fin: differs(want.tcp_fin, have.tcp_fin),
            udp: differs(want.udp, have.udp),
        };
        if timeouts != Timeouts::default() {
            let action = Action::SetTimeouts { before: *have, timeouts };
            self.push(Phase::Settings, action, "wanted", None);
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
                    self.push(Phase::Settings, Action::StartDaemon(wanted), "wanted", None);
                }
                (None, Some(found)) if self.policy.ownership == Ownership::All => {
                    self.push(Phase::Settings, Action::StopDaemon(found), "not wanted", None);
                }
                (None, _) => {}
            }
        }
    }

    fn services(&mut self, wanted: &Config) {
        let new: Vec<VirtualService> =
            wanted.services.iter().map(|service| self.wanted[&service.service].clone()).collect();
        let ours = std::mem::take(&mut self.ours);
        let running = ours.iter().map(|service| (service.service, service)).collect();
        for (phase, change) in diff::phased(ours.iter(), &new) {
            self.change(&running, phase.into(), change);
        }
        self.ours = ours;
    }

    fn change(
        &mut self,
        running: &HashMap<ServiceKey, &VirtualService>,
        phase: Phase,
        change: Change,
    ) {
        match change {
            Change::AddService(service) => {
                self.push(phase, Action::AddService(service), "wanted", None);
            }
            Change::EditService(service) if phase == Phase::NewServices => {
                // Bound when it is full: one step to activate it, and one table to build.
                let before = VirtualService { scheduler: None, ..service.clone() };
                let action = Action::EditService { before, service };
                self.push(phase, action, "has its servers", None);
            }
            Change::EditService(service) => {
                let found = running.get(&service.service);
                let before = found.map_or_else(|| service.clone(), |found| found.settings());
                let rebinds = before.scheduler != service.scheduler && before.scheduler.is_some();
                let risk = rebinds.then_some(Risk::RefusesForAMoment);
                let action = Action::EditService { before, service };
                self.push(phase, action, "has other settings", risk);
            }
            Change::AddServer { service, server } => {
                self.push(phase, Action::AddServer { service, server }, "wanted", None);
            }
            Change::EditServer { service, before, server } => {
                let quiesced = before.weight > 0 && server.weight == 0;
                let refuses = quiesced && refuses_when_quiesced(&self.wanted[&service]);
                let risk = refuses.then_some(Risk::RefusesItsClients);
                let action = Action::EditServer { service, before, server };
                self.push(phase, action, "described otherwise", risk);
            }
            Change::DeleteServer { service, server } => {
                let found = running.get(&service).into_iter().flat_map(|found| &found.servers);
                let found = found.copied().find(|known| known.address == server);
                self.leave(service, found.as_slice());
                let risk = self.connections(service, &[server]).map(Risk::Stalls);
                let action = Action::DeleteServer { service, server };
                self.push(Phase::DeleteServers, action, "not wanted", risk);
            }
            Change::DeleteService(key) => {
                let servers = running.get(&key).map_or(&[][..], |service| &service.servers);
                self.leave(key, servers);
                let addresses: Vec<_> = servers.iter().map(|server| server.address).collect();
                let risk = self.connections(key, &addresses).map(Risk::Resets);
                self.push(Phase::DeleteServices, Action::DeleteService(key), "not wanted", risk);
            }
        }
    }

    /// Quiesces servers before they are deleted, and waits. One that is quiesced already is on its
    /// way out since an earlier plan.
    fn leave(&mut self, service: ServiceKey, servers: &[RealServer]) {
        let Removal::Drain(drain) = self.policy.removal else { return };
        for before in servers {
            let server = before.address;
            if before.weight > 0 {
                let quiesced = before.with_weight(0);
                let action = Action::EditServer { service, before: *before, server: quiesced };
                self.push(Phase::Shrink, action, "leaves", None);
            }
            let action = Action::AwaitDrain { service, server, drain };
            self.push(Phase::Drain, action, "leaves", None);
        }
    }

    /// Connections that a deletion at once would hit.
    fn connections(&self, service: ServiceKey, servers: &[SocketAddr]) -> Option<u32> {
        if self.policy.removal != Removal::Immediate {
            return None;
        }
        let counts = servers.iter().filter_map(|server| self.counts.get(&(service, *server)));
        let sum = counts.fold(0u32, |sum, counts| {
            sum.saturating_add(counts.active).saturating_add(counts.inactive)
        });
        (sum > 0).then_some(sum)
    }

    /// Services of which a server is quiesced for a while only: it drains, or it is to wake up while
    /// the service has just got a scheduler that would refuse its clients until then.
    fn unsettled(&self) -> HashSet<ServiceKey> {
        let (mut unsettled, mut rebound) = (HashSet::new(), HashSet::new());
        for step in &self.steps {
            match &step.action {
                Action::AwaitDrain { service, .. } => unsettled.insert(*service),
                Action::EditService { before, .. } if !refuses_when_quiesced(before) => {
                    rebound.insert(before.service)
                }
                _ => continue,
            };
        }
        for step in &self.steps {
            if let Action::EditServer { service, before, server } = &step.action {
                let wakes = before.weight == 0 && server.weight > 0;
                if wakes && rebound.contains(service) {
                    unsettled.insert(*service);
                }
            }
        }
        unsettled
    }

    /// A scheduler that hashes clients to servers refuses those of a quiesced one, unless it has its
    /// fallback flag: it gets that as long as servers are quiesced for a while only.
    fn fallbacks(&mut self) {
        let unsettled = self.unsettled();
        let ours = std::mem::take(&mut self.ours);
        for running in ours.iter().filter(|service| unsettled.contains(&service.service)) {
            let wanted = self.wanted.get(&running.service).unwrap_or(running).settings();
            if !refuses_when_quiesced(&wanted) {
                continue;
            }
            let flags = wanted.flags.union(SchedulerFlags::FLAG_1);
            let with = VirtualService { flags, ..wanted.clone() };
            let edit = |step: &&mut Step| {
                let edits = matches!(step.action, Action::EditService { .. });
                edits && step.action.service() == Some(running.service)
            };
            match self.steps.iter_mut().find(edit).map(|step| &mut step.action) {
                Some(Action::EditService { service, .. }) => *service = with.clone(),
                _ if running.settings() == with => {}
                _ => {
                    let action =
                        Action::EditService { before: running.settings(), service: with.clone() };
                    self.push(Phase::EditServices, action, "falls back while it drains", None);
                }
            }
            if self.wanted.contains_key(&running.service) {
                let action = Action::EditService { before: with, service: wanted };
                self.push(Phase::Restore, action, "is done with that", None);
            }
        }
        // One that fell back already, since an earlier plan, and has nothing else to change.
        self.steps.retain(|step| match &step.action {
            Action::EditService { before, service } => before != service,
            _ => true,
        });
        self.ours = ours;
    }
}

impl From<diff::Phase> for Phase {
    fn from(phase: diff::Phase) -> Self {
        match phase {
            diff::Phase::NewServices => Phase::NewServices,
            diff::Phase::EditServices => Phase::EditServices,
            diff::Phase::Grow => Phase::Grow,
            diff::Phase::Modify => Phase::Modify,
            diff::Phase::Shrink => Phase::Shrink,
            diff::Phase::DeleteServers => Phase::DeleteServers,
            diff::Phase::DeleteServices => Phase::DeleteServices,
        }
    }
}

/// A service as a kernel can be told and tells it.
pub(in crate::netlink) fn told(service: &VirtualService) -> VirtualService {
    let persistence = service.persistence.map(|persistence| Persistence {
        netmask: persistence.netmask.filter(|mask| match mask {
            Netmask::Inet(mask) => mask.to_bits() != u32::MAX,
            Netmask::Inet6(prefix) => *prefix != 128,
        }),
        ..persistence
    });
    VirtualService {
        persistence,
        mh_table_index: DEFAULT_MH_TABLE_INDEX,
        affinity: Affinity::default(),
        sharing: Sharing::Exact,
        ..service.clone()
    }
}

/// A server that old kernels show as the director itself, whatever forwarding was asked for.
fn localised(found: &RealServer, wanted: Option<&VirtualService>) -> RealServer {
    let mut servers = wanted.into_iter().flat_map(|service| &service.servers);
    let wanted = servers.find(|server| server.address == found.address);
    match wanted {
        Some(wanted) if found.forwarding == Forwarding::Local => {
            found.with_forwarding(wanted.forwarding)
        }
        _ => *found,
    }
}

/// It hashes clients to servers and does not fall back.
pub(in crate::netlink) fn refuses_when_quiesced(service: &VirtualService) -> bool {
    let hashes = matches!(service.scheduler, Some(SchedulerKind::Sh | SchedulerKind::Mh));
    hashes && !service.flags.contains(SchedulerFlags::FLAG_1)
}

/// The daemon that runs is as wanted, in what is said of it.
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
