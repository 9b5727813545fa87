//! Carrying out a plan.
//!
//! Steps run phase by phase, in batches; every answer is read before the next phase begins. A refusal
//! that only means that another program acted first is not a failure: if an object to be added exists, it
//! is edited; if an object to be edited is gone, it is added; if an object to be deleted is gone, it counts
//! as deleted. After a lost answer, the kernel is read, and the requests whose effect is missing are sent
//! again.
//!
//! No service shrinks before one of its wanted servers is known to exist, and deletions come last; until
//! then everything can be rolled back. All state is in the kernel: the process can be killed between any
//! two messages, and the next [`sync`](super::Ipvs::sync) continues from there. A server of weight 0 that
//! is not wanted is draining.

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
use super::plan::{Availability, AvailableServers, BeforeOrAfter, OnRefusal, Plan, Removal, Steps};
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
    /// Servers drain: call [`Rollout::poll`] again after this time, or later.
    Wait(Duration),
    /// The execution has ended.
    Done,
}

/// A plan that is being carried out, for hosts that must not block while servers drain.
///
/// The first [`poll`](Self::poll) does everything up to the drains, which takes milliseconds; each
/// further call checks the servers that drain, with one dump per service, and the last one deletes.
/// Between two calls nothing is held: the [`Ipvs`](super::Ipvs) can be used for other things, the
/// rollout can be dropped, and the next [`sync`](super::Ipvs::sync) continues what it began.
///
/// ```no_run
/// use vsched::netlink::plan::{Plan, Policy};
/// use vsched::netlink::{Ipvs, Progress, Rollout};
/// # use vsched::Config;
/// let wanted: Config = "-A -t 10.0.0.1:80 -s wlc\n-a -t 10.0.0.1:80 -r 10.0.1.1".parse()?;
/// let mut ipvs = Ipvs::open()?;
/// let mut rollout = Rollout::new(ipvs.plan(wanted, &Policy::default())?);
/// while let Progress::Wait(time) = rollout.poll(&mut ipvs) {
///     for draining in rollout.draining() {
///         println!("{}: {} connections", draining.server, draining.connections);
///     }
///     std::thread::sleep(time); // or use the host's own timer
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
    /// Servers known to be eligible, of services that must stay available.
    open: HashMap<ServiceKey, AvailableServers>,
    error: Option<Error>,
    over: bool,
}

#[derive(Debug)]
struct Rollback {
    pass: Pass,
    /// For each of its steps, the step that it takes back.
    origins: Vec<usize>,
}

impl Rollout {
    /// Starts a rollout; the first [`poll`](Self::poll) sends the first request.
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

    /// The outcome of the plan so far.
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
                // Before the first deletion, whatever the next phase is.
                Ok(Next::Refused) => true,
                Err(error) => {
                    self.error.get_or_insert(error);
                    self.on_refusal == OnRefusal::RollBack && self.forward.is_reversible()
                }
            };
            if goes_on && self.back.is_none() {
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
        let steps = Steps::from_steps(undos.into_iter().map(|undo| undo.step));
        self.back =
            Some(Rollback { pass: Pass::new(steps, BeforeOrAfter::Before, false), origins });
    }

    /// Marks steps as taken back: a step whose inverse steps were all done, and a step that created a
    /// part of a new service that is gone.
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
