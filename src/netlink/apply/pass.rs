//! Executes steps phase by phase, in one direction: forward, or back.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use super::converge::Context;
use super::drains::{Draining, Drains};
use super::kernel_api::KernelApi;
use super::outcome::{Outcome, Status};
use super::step_log::StepLog;
use crate::config::ServiceKey;
use crate::netlink::kernel::BATCH;
use crate::netlink::plan::{
    Action, Availability, AvailableServers, BeforeOrAfter, Phase, Step, Steps,
};
use crate::netlink::{Cause, Error};

/// How a pass continues.
pub(super) enum Next {
    /// Call again after this time.
    Wait(Duration),
    /// Everything that can be done is done.
    Ended,
    /// A step was refused before the first deletion, in a pass that does everything or nothing.
    Refused,
}

#[derive(Debug)]
pub(super) struct Pass {
    pub(super) step_log: StepLog,
    pub(super) requests: u64,
    side: BeforeOrAfter,
    /// Everything or nothing.
    strict: bool,
    /// The first step without an outcome.
    next: usize,
    gated: bool,
    /// Requests per system call.
    pub(super) batch: usize,
    leaving: HashSet<(ServiceKey, SocketAddr)>,
    bound: HashSet<ServiceKey>,
    /// Services that must not shrink.
    held: HashSet<ServiceKey>,
    /// Leaving servers to which another program gave weight again.
    kept: HashSet<(ServiceKey, SocketAddr)>,
    drains: Option<Drains>,
}

impl Pass {
    pub(super) fn new(steps: Steps, side: BeforeOrAfter, strict: bool) -> Self {
        let mut leaving = HashSet::new();
        let mut bound: HashSet<ServiceKey> = steps.bound().collect();
        for step in steps.others() {
            match &step.action {
                Action::AwaitDrain { service, server, .. }
                | Action::DeleteServer { service, server } => {
                    leaving.insert((*service, *server));
                }
                Action::EditService { service, .. } => {
                    bound.insert(service.key);
                }
                _ => {}
            }
        }
        Pass {
            step_log: StepLog::new(steps),
            requests: 0,
            side,
            strict,
            next: 0,
            gated: false,
            batch: BATCH,
            leaving,
            bound,
            held: HashSet::new(),
            kept: HashSet::new(),
            drains: None,
        }
    }

    pub(super) fn draining(&self) -> &[Draining] {
        self.drains.as_ref().map_or(&[], |drains| &drains.draining)
    }

    /// True until the first deletion: everything done so far can be taken back.
    pub(super) fn is_reversible(&self) -> bool {
        self.step_log.phase(self.next).is_some_and(|phase| phase <= Phase::Shrink)
    }

    pub(super) fn context(&self, action: &Action) -> Context {
        match action {
            Action::EditServer { service, server, .. } => {
                let leaves = self.leaving.contains(&(*service, server.address));
                Context { leaves, bound_later: false }
            }
            Action::AddService(service) => {
                Context { leaves: false, bound_later: self.bound.contains(&service.key) }
            }
            _ => Context { leaves: false, bound_later: false },
        }
    }

    /// Continues as far as possible without waiting. `open` holds the servers known to be eligible.
    ///
    /// # Errors
    /// An exchange that failed; steps whose outcome is unknown are marked.
    pub(super) fn advance(
        &mut self,
        kernel: &mut impl KernelApi,
        availability: &Availability,
        open: &mut HashMap<ServiceKey, AvailableServers>,
    ) -> Result<Next, Error> {
        while let Some(phase) = self.step_log.phase(self.next) {
            let mut rest = self.next..self.step_log.len();
            let end = rest.find(|place| self.step_log.phase(*place) != Some(phase));
            let range = self.next..end.unwrap_or(self.step_log.len());
            if phase >= Phase::Shrink && !self.gated {
                self.gate(availability, open);
                self.gated = true;
                if self.strict && !self.held.is_empty() {
                    return Ok(Next::Refused);
                }
            }
            if phase == Phase::Drain {
                if let Some(wait) = self.drain(kernel, range.clone())? {
                    return Ok(Next::Wait(wait));
                }
            } else {
                let carried_out = self.carry_out(kernel, range.clone());
                self.judge(range.clone(), open);
                carried_out?;
            }
            let refused = |status| matches!(status, Status::Refused(_));
            let mut statuses = self.step_log.statuses(range.clone());
            if self.strict && phase <= Phase::Shrink && statuses.any(refused) {
                return Ok(Next::Refused);
            }
            self.next = range.end;
        }
        Ok(Next::Ended)
    }

    /// Only a service that keeps an eligible server may lose other servers.
    fn gate(&mut self, availability: &Availability, open: &HashMap<ServiceKey, AvailableServers>) {
        for (key, wanted) in availability.of(self.side) {
            let stays = |open: &AvailableServers| wanted.iter().any(|server| open.contains(server));
            if !wanted.is_empty() && !open.get(key).is_some_and(stays) {
                self.held.insert(*key);
            }
        }
    }

    fn begin_drains(&mut self, range: Range<usize>) -> Drains {
        let all = self.step_log.steps().iter().enumerate();
        let held = all.filter(|(_, step)| self.left_out(step).is_some());
        let held: HashSet<usize> = held.map(|(index, _)| index).collect();
        for index in &held {
            self.step_log.set(*index, Status::Skipped);
        }
        let waits = range.filter(|index| !held.contains(index));
        Drains::new(waits.filter_map(|index| Some((index, self.step_log.step(index)?))))
    }

    fn drain(
        &mut self,
        kernel: &mut impl KernelApi,
        range: Range<usize>,
    ) -> Result<Option<Duration>, Error> {
        let mut drains = self.drains.take().unwrap_or_else(|| self.begin_drains(range));
        let polled = drains.poll(kernel)?;
        for (index, status) in polled.ended {
            self.step_log.set(index, status);
            let step = self.step_log.step(index);
            if let (Status::Kept, Some(Action::AwaitDrain { service, server, .. })) =
                (status, step.as_ref().map(|step| &step.action))
            {
                self.kept.insert((*service, *server));
            }
        }
        if polled.next.is_some() {
            self.drains = Some(drains);
        }
        Ok(polled.next)
    }

    /// True if any step may be left out.
    pub(super) fn leaves_out(&self) -> bool {
        !self.held.is_empty() || !self.kept.is_empty()
    }

    /// Why a step is left out.
    pub(super) fn left_out(&self, step: &Step) -> Option<Status> {
        let key = step.action.service()?;
        let kept = match &step.action {
            Action::DeleteServer { service, server } => self.kept.contains(&(*service, *server)),
            Action::DeleteService(key) => self.kept.iter().any(|(service, _)| service == key),
            _ => false,
        };
        if kept {
            return Some(Status::Kept);
        }
        let shrinks = step.phase >= Phase::Shrink;
        (shrinks && self.held.contains(&key)).then_some(Status::Skipped)
    }

    /// Records a phase's outcome, for the gate and for the steps that depend on it.
    fn judge(&mut self, range: Range<usize>, open: &mut HashMap<ServiceKey, AvailableServers>) {
        let mut failed = HashSet::new();
        let phase = self.step_log.phase(range.start);
        let all_done = |mut statuses: Range<usize>| {
            statuses.all(|place| self.step_log.status(place) == Status::Done)
        };
        if open.is_empty() && all_done(range.clone()) {
            return;
        }
        for (_, Outcome { step, status }) in self.step_log.range(range.clone()) {
            match (&step.action, status) {
                (
                    Action::AddServer { service, server }
                    | Action::EditServer { service, server, .. },
                    status,
                ) => {
                    let Some(open) = open.get_mut(service) else { continue };
                    let gone = match status {
                        Status::Done | Status::Adapted => server.weight == 0,
                        Status::AlreadyDone => true,
                        Status::Refused(refused) => {
                            matches!(refused.cause(), Cause::NoServer | Cause::NoService)
                        }
                        _ => continue,
                    };
                    if gone {
                        open.remove(&server.address);
                    } else if status.is_good() {
                        open.insert(server.address);
                    }
                }
                (
                    Action::AddService(service) | Action::EditService { service, .. },
                    Status::Refused(_),
                ) => {
                    failed.insert(service.key);
                }
                _ => {}
            }
        }
        for place in range.filter(|_| !failed.is_empty()) {
            let Some(outcome) = self.step_log.outcome(place) else { continue };
            let about = outcome.step.action.service().is_some_and(|key| failed.contains(&key));
            if about && is_missing_service(&outcome) {
                self.step_log.set(place, Status::Skipped);
            }
        }
        if phase < Some(Phase::Shrink) {
            self.held.extend(failed);
        }
    }
}

/// Refused only because the service is missing, whose addition was refused.
fn is_missing_service(outcome: &Outcome<'_>) -> bool {
    let refused = |status| match status {
        Status::Refused(refused) => refused.cause() == Cause::NoService,
        _ => false,
    };
    outcome.step.phase == Phase::NewServices && refused(outcome.status)
}
