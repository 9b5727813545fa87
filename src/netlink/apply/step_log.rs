//! Steps and their outcomes.

use std::borrow::Cow;
use std::ops::Range;

use ahash::HashMap;

use super::outcome::{Outcome, Status};
use crate::netlink::plan::{Phase, Step, Steps};

/// The statuses without data, stored in a byte.
const PLAIN: [Status; 9] = [
    Status::NotTried,
    Status::Done,
    Status::Adapted,
    Status::AlreadyDone,
    Status::Unknown,
    Status::Drained,
    Status::Kept,
    Status::Skipped,
    Status::TakenBack,
];

/// Steps and their outcomes.
#[derive(Debug, Default)]
pub(super) struct StepLog {
    steps: Steps,
    /// Index into `PLAIN`; its length if the status is in `others`.
    plain: Vec<u8>,
    others: HashMap<usize, Status>,
}

impl StepLog {
    /// A log of steps that are all untried.
    pub(super) fn new(steps: Steps) -> Self {
        StepLog { plain: vec![0; steps.len()], steps, others: HashMap::default() }
    }

    pub(super) fn steps(&self) -> &Steps {
        &self.steps
    }

    pub(super) fn len(&self) -> usize {
        self.plain.len()
    }

    pub(super) fn phase(&self, place: usize) -> Option<Phase> {
        self.steps.phase(place)
    }

    pub(super) fn step(&self, place: usize) -> Option<Cow<'_, Step>> {
        self.steps.get(place)
    }

    pub(super) fn status(&self, place: usize) -> Status {
        let plain = self.plain.get(place).and_then(|plain| PLAIN.get(usize::from(*plain)));
        let status = plain.or_else(|| self.others.get(&place));
        status.copied().unwrap_or(Status::NotTried)
    }

    pub(super) fn set(&mut self, place: usize, status: Status) {
        let Some(slot) = self.plain.get_mut(place) else { return };
        let plain = PLAIN.iter().position(|plain| *plain == status);
        *slot = plain.unwrap_or(PLAIN.len()) as u8;
        if plain.is_none() {
            self.others.insert(place, status);
        }
    }

    pub(super) fn outcome(&self, place: usize) -> Option<Outcome<'_>> {
        Some(Outcome { step: self.step(place)?, status: self.status(place) })
    }

    /// The outcomes of some steps, with their places.
    pub(super) fn range(
        &self,
        range: Range<usize>,
    ) -> impl DoubleEndedIterator<Item = (usize, Outcome<'_>)> {
        range.filter_map(|place| Some((place, self.outcome(place)?)))
    }

    pub(super) fn all(&self) -> impl DoubleEndedIterator<Item = (usize, Outcome<'_>)> {
        self.range(0..self.len())
    }

    /// The statuses only, in order.
    pub(super) fn statuses(&self, range: Range<usize>) -> impl Iterator<Item = Status> + '_ {
        range.map(|place| self.status(place))
    }
}
