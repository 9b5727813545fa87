//! Carrying out a plan.
//!
//! Phase by phase, in batches; between two phases every answer is read. A refusal that only says that
//! others were there first is not an end: what is to be added and exists is edited, what is to be
//! edited and is gone is added, what is to be deleted and is gone is deleted. After a lost answer the
//! kernel is read, and what it does not show is sent again.
//!
//! Nothing shrinks before a server that is wanted is known to be there for each service, and nothing
//! is deleted before all else is done; until then all can be taken back. All state is in the kernel:
//! whoever carries out a plan can be killed between any two messages, and the next
//! [`sync`](super::Ipvs::sync) begins from there. A server of weight 0 that is not wanted is one that
//! drains.

mod converge;
mod drains;
mod inverse;
mod kernel_api;
mod outcome;
mod pass;
mod phase;
mod report;
mod step_log;

use std::collections::HashMap;
use std::time::Duration;

use super::Error;
use super::plan::{Availability, AvailableServers, BeforeOrAfter, OnRefusal, Plan, Removal};
use crate::config::ServiceKey;

pub use drains::Draining;
use kernel_api::KernelApi;
pub use outcome::{Outcome, Status};
use pass::{Next, Pass};
pub use report::{Outcomes, Report};

/// Whether a plan's execution is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Progress {
    /// Servers drain: [`Rollout::poll`] is to be called again after this time. Later does no harm.
    Wait(Duration),
    /// It is over.
    Done,
}

/// A plan that is being carried out, for hosts that must not block while servers drain.
///
/// The first [`poll`](Self::poll) does everything up to the drains, which takes milliseconds; each
/// further one looks at the servers that drain, with one dump a service, and the last one deletes.
/// Between two of them nothing is held: the [`Ipvs`] can be used for other things, the rollout can be
/// dropped, and the next [`sync`](Ipvs::sync) goes on with what it began.
///
/// ```no_run
/// use vsched::netlink::plan::{Plan, Policy};
/// use vsched::netlink::{Ipvs, Progress, Rollout};
/// let wanted = "-A -t 10.0.0.1:80 -s wlc\n-a -t 10.0.0.1:80 -r 10.0.1.1".parse()?;
/// let mut ipvs = Ipvs::open()?;
/// let mut rollout = Rollout::new(ipvs.plan(&wanted, &Policy::default())?);
/// while let Progress::Wait(time) = rollout.poll(&mut ipvs) {
///     for draining in rollout.draining() {
///         println!("{}: {} connections", draining.server, draining.connections);
///     }
///     std::thread::sleep(time); // or come back by a timer of the host's own
/// }
/// print!("{}", rollout.into_report());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Rollout {
    availability: Availability,
    removal: Removal,
    on_refusal: OnRefusal,
    forward: Pass,
    back: Option<Rollback>,
    /// Servers that are known to be eligible, of services that are to stay open.
    open: HashMap<ServiceKey, AvailableServers>,
    error: Option<Error>,
    over: bool,
}

#[derive(Debug)]
struct Rollback {
    pass: Pass,
    /// Which step each of its steps takes back.
    origins: Vec<usize>,
}

impl Rollout {
    /// Begins; nothing is sent before the first [`poll`](Self::poll).
    pub fn new(plan: Plan) -> Self {
        let strict = plan.on_refusal == OnRefusal::RollBack;
        let Plan { steps, availability, removal, on_refusal, .. } = plan;
        let forward = Pass::new(steps, BeforeOrAfter::After, strict);
        let open = availability.before.clone();
        let (back, error, over) = (None, None, false);
        Rollout { availability, removal, on_refusal, forward, back, open, error, over }
    }

    /// The servers that drain at the moment.
    pub fn draining(&self) -> &[Draining] {
        self.back.as_ref().map_or(&self.forward, |back| &back.pass).draining()
    }

    /// What has become of the plan so far.
    pub fn into_report(self) -> Report {
        let rolled_back = self.back.is_some();
        let mut requests = self.forward.requests;
        let mut rollback = Outcomes::default();
        if let Some(back) = self.back {
            requests += back.pass.requests;
            rollback = back.pass.step_log.into();
        }
        let outcomes = self.forward.step_log.into();
        Report { outcomes, rollback, error: self.error, requests, rolled_back }
    }

    pub(in crate::netlink) fn poll_on(&mut self, kernel: &mut impl KernelApi) -> Progress {
        while !self.over {
            let pass = self.back.as_mut().map_or(&mut self.forward, |back| &mut back.pass);
            let advanced = pass.advance(kernel, &self.availability, &mut self.open);
            let goes_on = match advanced {
                Ok(Next::Wait(time)) => return Progress::Wait(time),
                Ok(Next::Ended) => false,
                Ok(Next::Refused) => true,
                Err(error) => {
                    self.error.get_or_insert(error);
                    self.on_refusal == OnRefusal::RollBack
                }
            };
            if goes_on && self.back.is_none() && self.forward.is_reversible() {
                self.turn_back();
            } else {
                self.over = true;
            }
        }
        self.mark_taken_back();
        Progress::Done
    }

    fn turn_back(&mut self) {
        let undos = inverse::inverse(&self.forward.step_log, self.removal);
        let origins = undos.iter().map(|undo| undo.origin).collect();
        let steps = undos.into_iter().map(|undo| undo.step).collect();
        self.back =
            Some(Rollback { pass: Pass::new(steps, BeforeOrAfter::Before, false), origins });
    }

    /// A step was taken back if all that takes it back was done; one that made a part of a new
    /// service, if the service is gone.
    fn mark_taken_back(&mut self) {
        use super::plan::{Action, Phase};
        let Some(Rollback { pass, origins }) = &self.back else { return };
        let mut taken_back: HashMap<usize, bool> = HashMap::new();
        let mut gone: HashMap<ServiceKey, bool> = HashMap::new();
        for ((_, outcome), origin) in pass.step_log.all().zip(origins) {
            let good = outcome.status.is_good();
            *taken_back.entry(*origin).or_insert(true) &= good;
            if let Action::DeleteService(key) = outcome.step.action {
                gone.insert(key, good);
            }
        }
        let is_back = |(index, outcome): (usize, Outcome<'_>)| {
            let key = outcome.step.action.service();
            let part = outcome.step.phase == Phase::NewServices;
            let with = key.and_then(|key| gone.get(&key)).filter(|_| part);
            let back = with.or(taken_back.get(&index)).copied().unwrap_or(false);
            let back = back && matches!(outcome.status, Status::Done | Status::Unknown);
            back.then_some(index)
        };
        let back: Vec<usize> = self.forward.step_log.all().filter_map(is_back).collect();
        for index in back {
            self.forward.step_log.set(index, Status::TakenBack);
        }
    }
}

#[cfg(test)]
#[path = "../apply_tests/mod.rs"]
mod tests;
