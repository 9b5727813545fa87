//! Weighted round robin: the classic algorithm with a falling level, not the smooth one.
//!
//! Formula: walk the list with a level that starts at the highest weight, falls by the gcd of all
//! weights after each pass, and then starts again; the next server whose weight reaches the level is
//! picked. So weights 4, 2, 1 give runs at the start of each cycle.
//! Source: Linux IPVS `wrr`, as observed (ipvsadm(8), `-s wrr`).
//! Weight 0 and overloaded: skipped. Empty, or none available: no server.
//! State: position and level, one word; one addition per turn taken or skipped, or one compare-and-swap
//! per pick if there is no precomputed schedule. So with several threads every pick is one turn of a
//! single walk. Any change of the list, even an edit without effect, moves the walk before the first
//! server and keeps the level, rounded to the new gcd. A service built by adding servers one at a time
//! starts at level 1; one that was bound to a full list starts at the top. Retries advance a separate
//! rotation.
//! Cost: O(1) if the sum of the weights over their gcd is at most 262,144, or 64 per server up to
//! 4,194,304: then the schedule is precomputed, 4 bytes per turn. Else, or if the next server is
//! unavailable, O(log n) regardless of the weights: a tree of maxima finds the next server of
//! sufficient weight. Each unavailable server skipped costs that; a pass in which all servers of
//! sufficient weight are unavailable costs O(n) once, instead of the kernel's one pass per level.
//! Differences from the kernel: none in which server is picked.
//! Choose it for servers of unequal capacity and connections of about equal cost.

use std::collections::BTreeMap;

use crate::arena::id::ServerId;
use crate::arena::worker_state::van_der_corput;
use crate::config::PickReason;
use crate::pool::history::{Event, History};
use crate::pool::servers::{Position, Servers};
use crate::rotation::version::Superseded;
use crate::sched::max_tree::MaxTree;
use crate::sched::wrr_schedule::{Levels, WeightedSchedule};
use crate::sched::{Build, PickRequest, Scheduler};
use crate::sync::Arc;

const LEVEL_BITS: u32 = 31;
/// The position before the first server. [`crate::config::MAX_SERVERS`] leaves it free.
const HEAD: u32 = (1 << 21) - 1;

pub(crate) struct Wrr {
    /// Greatest common divisor of all weights, by which the level falls.
    step: u32,
    /// The highest level: the highest weight minus (step - 1). 0 = no weights.
    top: u32,
    /// The precomputed schedule, unless the cycle is too long.
    schedule: Option<WeightedSchedule>,
    max_tree: MaxTree,
    carry: Translation,
    /// Levels of the previous pool's schedule, if that was precomputed.
    former_levels: Option<Levels>,
    servers: u32,
}

enum Translation {
    /// Nothing changed.
    Same,
    /// Newly bound: start at this level, before the first server.
    Start(u32),
    /// The list changed, through these steps and tops in turn.
    Changed(Box<[Scale]>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Scale {
    step: u32,
    top: u32,
}

fn pack(position: u32, level: u32) -> u64 {
    u64::from(position) << LEVEL_BITS | u64::from(level)
}

fn unpack(state: u64) -> (u32, u32) {
    ((state >> LEVEL_BITS) as u32 & HEAD, state as u32 & i32::MAX as u32)
}

impl Scheduler for Wrr {
    const REASON: PickReason = PickReason::Turn;

    fn build(build: &Build<'_>, former: Option<&Self>) -> Self {
        let (Scale { step, top }, carry) = scales(build.history);
        let weights: Box<[u32]> = build.servers.weights().collect();
        let schedule = match (&carry, former) {
            (Translation::Same, Some(former)) => former.schedule.clone(),
            _ => WeightedSchedule::of(&weights, step, top),
        };
        let former_levels =
            former.and_then(|former| Some(former.schedule.as_ref()?.levels().clone()));
        let (max_tree, servers) = (MaxTree::of(weights), build.servers.len());
        Wrr { step, top, schedule, max_tree, carry, former_levels, servers }
    }

    fn schedule(&self, _: &Servers) -> Option<Arc<[Position]>> {
        self.schedule.as_ref().map(|schedule| Arc::clone(&schedule.servers))
    }

    fn pick(&self, request: PickRequest<'_>) -> Result<Option<Position>, Superseded> {
        request.advance(
            |state, phase| self.translate(state, phase),
            |state| {
                let (last, level) = self.place(state);
                let start = match last {
                    HEAD => self.first(request.phase(), level),
                    _ => last + 1,
                };
                let (found, place) =
                    match self.next(request.servers, request.tried, start, level.max(1)) {
                        Some(found) => (Some(found), (found, level)),
                        None => self.further_passes(request, (last, level)),
                    };
                (found, self.state(place))
            },
        )
    }

    fn start(&self, phase: u32) -> u64 {
        let head = || match &self.carry {
            Translation::Start(level) => self.state((HEAD, *level)),
            Translation::Same | Translation::Changed(_) => self.state((HEAD, self.top)),
        };
        let turn = |schedule: &WeightedSchedule| {
            van_der_corput(phase, schedule.servers.len() as u32).checked_sub(1)
        };
        match (&self.schedule, phase) {
            (_, 0) => head(),
            (Some(schedule), _) => turn(schedule).map_or_else(head, u64::from),
            // Without a precomputed schedule: at the head of another level.
            (None, _) => {
                let levels = self.top.div_ceil(self.step.max(1));
                self.state((HEAD, self.top - van_der_corput(phase, levels) * self.step))
            }
        }
    }

    fn translate(&self, state: u64, phase: u32) -> u64 {
        match &self.carry {
            Translation::Same => state,
            Translation::Start(_) => self.start(phase),
            Translation::Changed(scales) => {
                let level = match &self.former_levels {
                    Some(levels) => levels.level(state),
                    None => unpack(state).1,
                };
                let level = scales.iter().fold(level, |level, scale| scale.round(level));
                self.state((HEAD, level))
            }
        }
    }
}

impl Wrr {
    /// The position from which a pass of this phase begins that was sent before the first server: for
    /// phase 0 the first, as in a kernel. Others begin further down the list, so that a reload does not
    /// bring them together.
    #[cold]
    fn first(&self, phase: u32, level: u32) -> u32 {
        match &self.schedule {
            Some(schedule) => {
                let row = schedule.row(level);
                let place = van_der_corput(phase, row.len() as u32) as usize;
                row.get(place).copied().unwrap_or(0)
            }
            None => van_der_corput(phase, self.servers),
        }
    }

    /// The rotation state of a walk at this position and level.
    fn state(&self, (last, level): (u32, u32)) -> u64 {
        match &self.schedule {
            Some(schedule) => schedule.state((last != HEAD).then_some(last), level),
            None => pack(last, level),
        }
    }

    fn place(&self, state: u64) -> (u32, u32) {
        match &self.schedule {
            Some(schedule) => {
                let (last, level) = schedule.place(state);
                (last.unwrap_or(HEAD), level)
            }
            None => unpack(state),
        }
    }

    /// The first available server from `start` on whose weight reaches `level`.
    #[inline]
    fn next(
        &self,
        servers: &Servers,
        tried: &[ServerId],
        start: u32,
        level: u32,
    ) -> Option<Position> {
        let mut at = start;
        loop {
            at = self.max_tree.next(at, level)?;
            if servers.available(at, tried).is_some() {
                return Some(at);
            }
            at += 1;
        }
    }

    /// Continues when the rest of the current pass has no available server: lower levels, then the top
    /// again.
    #[cold]
    fn further_passes(
        &self,
        request: PickRequest<'_>,
        (last, level): (u32, u32),
    ) -> (Option<Position>, (u32, u32)) {
        if self.top == 0 {
            return (None, (last, level));
        }
        let wraps = level <= self.step;
        let full_pass = if wraps { self.top } else { level - self.step };
        let (servers, tried) = (request.servers, request.tried);
        if let Some(found) = self.next(servers, tried, 0, full_pass) {
            return (Some(found), (found, full_pass));
        }
        // All servers of sufficient weight are unavailable. The kernel lowers the level pass by pass;
        // the first successful pass is the one that reaches the heaviest available server.
        let heaviest = servers.iter_available(tried).map(|server| server.weight).max();
        if let Some(weight) = heaviest {
            let level = weight - weight.min(self.step) + 1;
            if let Some(found) = self.next(servers, tried, 0, level) {
                return (Some(found), (found, level));
            }
        }
        // None is available. The kernel gives up after a full pass at the lowest level, and restarts
        // from the top; if it started within that level, it stops where it started.
        let given_up = if wraps && last != HEAD { (last, 1) } else { (HEAD, self.top) };
        (None, given_up)
    }
}

impl Scale {
    /// The level after a change of the list.
    fn round(self, level: u32) -> u32 {
        let rounded = match level {
            0 => self.top,
            _ if self.step > 1 => level / self.step * self.step + 1,
            _ => level,
        };
        rounded.min(self.top)
    }
}

/// The current step and top, and how a walk is translated across the changes.
fn scales(history: &History) -> (Scale, Translation) {
    let mut weights = Weights::default();
    for weight in &history.start {
        weights.add(*weight);
    }
    let start = weights.scale();
    let mut numbered = history.start.clone();
    let mut steps: Vec<Scale> = Vec::new();
    for event in &history.events {
        match *event {
            Event::Added { weight } => {
                numbered.push(weight);
                weights.add(weight);
            }
            Event::Edited { number, weight } => {
                weights.remove(std::mem::replace(&mut numbered[number], weight));
                weights.add(weight);
            }
            Event::Deleted { number } => weights.remove(numbered[number]),
        }
        let scale = weights.scale();
        // Rounding is idempotent.
        if steps.last() != Some(&scale) {
            steps.push(scale);
        }
    }
    let now = steps.last().copied().unwrap_or(start);
    let carry = if history.bound {
        Translation::Start(steps.iter().fold(start.top, |level, scale| scale.round(level)))
    } else if steps.is_empty() {
        Translation::Same
    } else {
        Translation::Changed(steps.into_boxed_slice())
    };
    (now, carry)
}

/// The weights of a list, with their gcd, in which weight 0 counts for nothing.
#[derive(Default)]
struct Weights {
    counts: BTreeMap<u32, usize>,
    gcd: u32,
}

impl Weights {
    fn add(&mut self, weight: u32) {
        *self.counts.entry(weight).or_default() += 1;
        self.gcd = gcd(self.gcd, weight);
    }

    fn remove(&mut self, weight: u32) {
        let Some(count) = self.counts.get_mut(&weight) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            self.counts.remove(&weight);
            self.gcd = 0;
            for weight in self.counts.keys() {
                self.gcd = gcd(self.gcd, *weight);
                if self.gcd == 1 {
                    break;
                }
            }
        }
    }

    fn scale(&self) -> Scale {
        let step = self.gcd.max(1);
        let highest = self.counts.last_key_value().map_or(0, |(weight, _)| *weight);
        Scale { step, top: if highest == 0 { 0 } else { highest - (step - 1) } }
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
