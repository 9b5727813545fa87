//! One phase: sends its requests in batches, until every step has an outcome.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use super::converge::{self, Reaction, is_visible, react};
use super::kernel_api::KernelApi;
use super::outcome::Status;
use super::pass::Pass;
use crate::netlink::kernel::BATCH;
use crate::netlink::{Error, Reading, Refused, Request, Stopped};

/// How often a step is sent again when other programs interfere.
const ROUNDS: u32 = 12;
/// How many lost answers a batch tolerates. Each one makes all further batches smaller, down to one
/// request, whose answer fits into any buffer.
const LOSSES: u32 = 5;

/// A step without an outcome yet.
struct Pending {
    step: usize,
    /// Sent in another form than the plan's.
    adapted: bool,
}

/// How much of a batch is known to be done.
struct Sent {
    answered: usize,
    sent: usize,
    refused: HashMap<usize, Refused>,
    error: Option<Error>,
}

impl Sent {
    fn new(result: Result<Vec<crate::netlink::Failure>, Stopped>, all: usize) -> Self {
        let (answered, sent, failures, error) = match result {
            Ok(failures) => (all, all, failures, None),
            Err(Stopped { error, answered, sent, failures }) => {
                (answered, sent, failures, Some(error))
            }
        };
        let refused = failures.into_iter().map(|failure| (failure.index, failure.refused));
        Sent { answered, sent, refused: refused.collect(), error }
    }
}

impl Pass {
    /// Carries out the steps of one phase. Refusals become statuses.
    pub(super) fn carry_out(
        &mut self,
        kernel: &mut impl KernelApi,
        range: Range<usize>,
    ) -> Result<(), Error> {
        for start in range.clone().step_by(BATCH) {
            self.carry_out_piece(kernel, start..range.end.min(start + BATCH))?;
        }
        Ok(())
    }

    fn carry_out_piece(
        &mut self,
        kernel: &mut impl KernelApi,
        range: Range<usize>,
    ) -> Result<(), Error> {
        let mut pending = Vec::with_capacity(range.len());
        let mut requests = Vec::with_capacity(range.len());
        for step in range {
            let request = self.step_log.step(step).map(|step| converge::request(&step.action));
            match request.flatten() {
                Some(request) => {
                    pending.push(Pending { step, adapted: false });
                    requests.push(request);
                }
                None => self.step_log.set(step, Status::Done),
            }
        }
        self.leave_out(&mut pending, &mut requests);
        let mut losses = 0;
        for round in 1..=ROUNDS {
            if pending.is_empty() {
                break;
            }
            let mut sent = Sent::new(kernel.execute(&requests, self.batch), requests.len());
            self.requests += sent.sent as u64;
            let mut reading = None;
            if matches!(sent.error, Some(Error::Lost | Error::Timeout(_))) && losses < LOSSES {
                losses += 1;
                self.batch = (self.batch / 4).max(1);
                sent.error = None;
                reading = read(kernel)?;
            }
            let last = round == ROUNDS || sent.error.is_some();
            (pending, requests) = self.settle(pending, requests, &sent, reading.as_ref(), last);
            if let Some(error) = sent.error {
                return Err(error);
            }
        }
        Ok(())
    }

    fn leave_out(&mut self, pending: &mut Vec<Pending>, requests: &mut Vec<Request>) {
        if !self.leaves_out() {
            return;
        }
        let mut stay = Vec::with_capacity(pending.len());
        for pending in pending.iter() {
            let step = self.step_log.step(pending.step);
            let left_out = step.and_then(|step| self.left_out(&step));
            stay.push(left_out.is_none());
            if let Some(status) = left_out {
                self.step_log.set(pending.step, status);
            }
        }
        let mut stays = stay.iter();
        pending.retain(|_| stays.next().copied().unwrap_or(true));
        let mut stays = stay.iter();
        requests.retain(|_| stays.next().copied().unwrap_or(true));
    }

    /// Records the outcome of every step that has one, and returns those still to be sent.
    fn settle(
        &mut self,
        pending: Vec<Pending>,
        requests: Vec<Request>,
        sent: &Sent,
        reading: Option<&Reading>,
        last: bool,
    ) -> (Vec<Pending>, Vec<Request>) {
        let (mut again, mut repeated) = (Vec::new(), Vec::new());
        for (place, (pending, request)) in pending.into_iter().zip(requests).enumerate() {
            if place < sent.answered && !sent.refused.contains_key(&place) {
                let status = if pending.adapted { Status::Adapted } else { Status::Done };
                self.step_log.set(pending.step, status);
                continue;
            }
            let Some(step) = self.step_log.step(pending.step).map(Cow::into_owned) else {
                continue;
            };
            let context = self.context(&step.action);
            let action = &step.action;
            let was_sent = place < sent.sent;
            let (status, repeat, adapted) = match sent.refused.get(&place) {
                Some(refused) => match react(action, *refused, context) {
                    Reaction::Settled(status) => (status, None, false),
                    Reaction::Instead(request) => (Status::Refused(*refused), Some(*request), true),
                    Reaction::Again => (Status::Refused(*refused), Some(request), pending.adapted),
                },
                None if was_sent
                    && reading.is_some_and(|r| is_visible(action, &r.observed, context)) =>
                {
                    (Status::Done, None, false)
                }
                None => {
                    let status = if was_sent { Status::Unknown } else { Status::NotTried };
                    (status, Some(request), pending.adapted)
                }
            };
            self.step_log.set(pending.step, status);
            if let Some(request) = repeat.filter(|_| !last) {
                again.push(Pending { step: pending.step, adapted });
                repeated.push(request);
            }
        }
        (again, repeated)
    }
}

/// Reads the kernel after a lost answer; `None` if it cannot be read either.
fn read(kernel: &mut impl KernelApi) -> Result<Option<Reading>, Error> {
    match kernel.read() {
        Ok(reading) => Ok(Some(reading)),
        Err(Error::Lost | Error::Timeout(_) | Error::Unsettled { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
