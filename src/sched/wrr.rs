//! Weighted round robin, the classic one with a falling level (not the smooth one).
//!
//! Formula: walk the list with a level that starts at the highest weight and falls by the gcd of
//! all weights after each pass, then starts again; the next server whose weight reaches the level
//! is chosen. So weights 4, 2, 1 give runs at the start of each cycle.
//! Source: Linux IPVS `wrr`, as observed (ipvsadm(8), `-s wrr`).
//! Weight 0 and overloaded: passed over. Empty, or none available: no server.
//! State: position and level, one word in the service's slot; one compare-and-swap a pick, so with
//! several threads every pick is one turn of a single walk. Any change of the list, even an edit
//! that changes nothing, moves the walk before the first server and keeps the level, rounded to the
//! new gcd. A service built by adding servers one at a time starts at level 1, one that was bound
//! to a full list starts at the top. A retry turns a rotation of its own.
//! Cost: O(log n), whatever the weights: the next server of enough weight is found in a tree of
//! maxima, not by walking. Each unavailable server passed costs O(log n); a pass in which all of
//! enough weight are unavailable costs O(n) once, instead of the kernel's one pass for each level.
//! Differences from the kernel: none in what is chosen.
//! Choose it for servers of unequal strength and connections of about equal cost.

use std::collections::BTreeMap;

use crate::sched::{Build, Request, Scheduler};
use crate::state::cursor::{Epoch, Outdated};
use crate::state::history::{Event, History};
use crate::state::servers::{Position, Servers};
use crate::state::slots::{ServerId, ServiceSlot};

const LEVEL_BITS: u32 = 31;
/// The walk stands before the first server. One position less than [`crate::config::MAX_SERVERS`]
/// leaves free.
const HEAD: u32 = (1 << 21) - 1;

pub(crate) struct Wrr {
    /// Greatest common divisor of all weights: what the level falls by.
    step: u32,
    /// Where the level starts: the highest weight, less what one step covers. 0 = no weights.
    top: u32,
    maxima: Maxima,
    carry: Carry,
}

enum Carry {
    /// Nothing changed.
    Same,
    /// The level starts here, before the first server.
    Start(u32),
    /// The list changed, with these steps and tops one after the other.
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
    const IS_QUICK: bool = true;

    fn build(build: &Build<'_>, _: Option<&Self>) -> Self {
        let (Scale { step, top }, carry) = scales(build.history);
        Wrr { step, top, maxima: Maxima::of(build.servers.weights().collect()), carry }
    }

    #[inline(always)]
    fn quick(&self, servers: &Servers, slot: &ServiceSlot, epoch: Epoch) -> Option<Position> {
        slot.cursor.quick_turn(epoch, |state| {
            let (last, level) = unpack(state);
            let next = (last + 1) & HEAD;
            let found = self.maxima.next_in_block(next, level.max(1))?;
            servers.is_free(found).then_some((found, pack(found, level)))
        })
    }

    fn pick(&self, request: &Request<'_>) -> Result<Option<Position>, Outdated> {
        request.turn(
            |state| self.carry(state),
            |state| {
                let (last, level) = unpack(state);
                // HEAD + 1 has no position bits left: 0.
                let start = (last + 1) & HEAD;
                match self.next(request.servers, request.tried, start, level.max(1)) {
                    Some(found) => (Some(found), pack(found, level)),
                    None => self.further_passes(request, state),
                }
            },
        )
    }

    fn start(&self) -> u64 {
        match &self.carry {
            Carry::Start(level) => pack(HEAD, *level),
            Carry::Same | Carry::Changed(_) => pack(HEAD, self.top),
        }
    }

    fn carry(&self, state: u64) -> u64 {
        match &self.carry {
            Carry::Same => state,
            Carry::Start(level) => pack(HEAD, *level),
            Carry::Changed(scales) => {
                let (_, level) = unpack(state);
                pack(HEAD, scales.iter().fold(level, |level, scale| scale.round(level)))
            }
        }
    }
}

impl Wrr {
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
            at = self.maxima.next(at, level)?;
            if servers.available(at, tried).is_some() {
                return Some(at);
            }
            at += 1;
        }
    }

    /// The rest of the current pass had nobody: lower levels, then the top again.
    #[cold]
    fn further_passes(&self, request: &Request<'_>, state: u64) -> (Option<Position>, u64) {
        if self.top == 0 {
            return (None, state);
        }
        let (last, level) = unpack(state);
        let wraps = level <= self.step;
        let full_pass = if wraps { self.top } else { level - self.step };
        let (servers, tried) = (request.servers, request.tried);
        if let Some(found) = self.next(servers, tried, 0, full_pass) {
            return (Some(found), pack(found, full_pass));
        }
        // All of enough weight are unavailable. The kernel lowers the level pass by pass; the pass
        // that finds somebody is the one that reaches the heaviest available server.
        let heaviest = servers.iter_available(tried).map(|server| server.weight).max();
        if let Some(weight) = heaviest {
            let level = weight - weight.min(self.step) + 1;
            if let Some(found) = self.next(servers, tried, 0, level) {
                return (Some(found), pack(found, level));
            }
        }
        // Nobody. The kernel gives up after a full pass at the lowest level, where it restarts from
        // the top; if it began within that level it stops where it began.
        let given_up = if wraps && last != HEAD { pack(last, 1) } else { pack(HEAD, self.top) };
        (None, given_up)
    }
}

impl Scale {
    /// The level after a change of the list.
    fn round(self, level: u32) -> u32 {
        if level > self.top || level == 0 {
            self.top
        } else if self.step > 1 {
            level / self.step * self.step + 1
        } else {
            level
        }
    }
}

/// Step and top now, and how the walk carries over what happened.
fn scales(history: &History) -> (Scale, Carry) {
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
        // Rounding twice alike is rounding once.
        if steps.last() != Some(&scale) {
            steps.push(scale);
        }
    }
    let now = steps.last().copied().unwrap_or(start);
    let carry = if history.bound {
        Carry::Start(steps.iter().fold(start.top, |level, scale| scale.round(level)))
    } else if steps.is_empty() {
        Carry::Same
    } else {
        Carry::Changed(steps.into_boxed_slice())
    };
    (now, carry)
}

/// The positive weights of a list, with their gcd.
#[derive(Default)]
struct Weights {
    counts: BTreeMap<u32, usize>,
    gcd: u32,
}

impl Weights {
    fn add(&mut self, weight: u32) {
        if weight > 0 {
            *self.counts.entry(weight).or_default() += 1;
            self.gcd = gcd(self.gcd, weight);
        }
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

const FAN_OUT: usize = 16;

/// Weights, maxima of blocks of them, maxima of blocks of those, and so on: finds the next weight
/// that reaches a level in O(log n) steps. Chosen over a bitmap a level, which costs n bits for each
/// distinct weight, and over the written-out sequence, which is as long as the sum of the weights.
struct Maxima {
    weights: Box<[u32]>,
    /// From the lowest up. The highest has one block.
    rows: Vec<Box<[u32]>>,
}

impl Maxima {
    fn of(weights: Box<[u32]>) -> Self {
        let mut rows: Vec<Box<[u32]>> = Vec::new();
        loop {
            let below = rows.last().unwrap_or(&weights);
            if below.len() <= FAN_OUT {
                return Maxima { weights, rows };
            }
            let maximum = |block: &[u32]| block.iter().copied().max().unwrap_or(0);
            let row = below.chunks(FAN_OUT).map(maximum).collect();
            rows.push(row);
        }
    }

    /// The same as [`next`](Self::next), if it is in the block of `start`.
    #[inline(always)]
    fn next_in_block(&self, start: u32, level: u32) -> Option<u32> {
        let at = start as usize;
        let block_end = ((at / FAN_OUT + 1) * FAN_OUT).min(self.weights.len());
        let ahead = first_reaching(self.weights.get(at..block_end)?, level)?;
        Some(start + ahead as u32)
    }

    /// The first place from `start` on whose weight is at least `level`.
    #[inline]
    fn next(&self, start: u32, level: u32) -> Option<u32> {
        let mut at = start as usize;
        let mut row = &self.weights;
        let mut above = self.rows.iter();
        loop {
            let block_end = ((at / FAN_OUT + 1) * FAN_OUT).min(row.len());
            if let Some(ahead) = first_reaching(row.get(at..block_end)?, level) {
                let height = self.rows.len() - above.len();
                return self.descend(at + ahead, height, level);
            }
            if block_end == row.len() {
                return None;
            }
            at = block_end / FAN_OUT;
            row = above.next()?;
        }
    }

    /// From a place in a row of maxima down to the weight.
    #[inline]
    fn descend(&self, found: usize, height: usize, level: u32) -> Option<u32> {
        let mut at = found;
        for height in (0..height).rev() {
            let row =
                height.checked_sub(1).map_or(Some(&self.weights), |row| self.rows.get(row))?;
            at = at * FAN_OUT + first_reaching(row.get(at * FAN_OUT..)?, level)?;
        }
        u32::try_from(at).ok()
    }
}

#[inline]
fn first_reaching(weights: &[u32], level: u32) -> Option<usize> {
    weights.iter().position(|weight| *weight >= level)
}

#[cfg(test)]
mod tests {
    use super::Maxima;

    #[test]
    fn maxima_find_what_a_walk_finds() {
        for length in [0u32, 1, 15, 16, 17, 255, 256, 257, 4097] {
            let weights: Vec<u32> =
                (0..length).map(|at| at.wrapping_mul(2_654_435_761) >> 22).collect();
            let maxima = Maxima::of(weights.clone().into());
            for level in [1, 5, 500, 1000, 1023, 1024] {
                for start in (0..length + 2).step_by(1 + length as usize / 64) {
                    let walked = (start..length).find(|at| weights[*at as usize] >= level);
                    assert_eq!(maxima.next(start, level), walked, "{length} {start}");
                }
            }
        }
    }
}
