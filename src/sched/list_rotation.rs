//! A rotation through a service's list: the position picked last, and where it continues after a reload.

use crate::arena::worker_state::van_der_corput;
use crate::pool::history::{Event, History};
use crate::pool::servers::Position;
use crate::sched::Build;

/// The translation of a rotation's state, which is the position picked last, to this pool.
pub(super) struct ListRotation {
    servers: u32,
    translation: Translation,
}

enum Translation {
    /// Newly bound: start before the first server.
    Head,
    /// Positions are unchanged.
    Same,
    /// The new position, by the old one.
    Moved(Box<[u32]>),
}

impl ListRotation {
    /// The state of a rotation that has not begun: before the first server of its phase.
    pub(super) const HEAD: u64 = u32::MAX as u64;

    /// `goes_on`: the previous pool had this rotation too.
    pub(super) fn new(build: &Build<'_>, goes_on: bool) -> Self {
        let translation = if goes_on { Translation::of(build.history) } else { Translation::Head };
        ListRotation { servers: build.servers.len(), translation }
    }

    /// The position from which to search: after the one picked last, cyclically. A rotation that has not
    /// begun begins at its phase, which for phase 0 is the first position.
    #[inline(always)]
    pub(super) fn first(&self, last: u64, phase: impl FnOnce() -> u32) -> Position {
        if last == Self::HEAD {
            return van_der_corput(phase(), self.servers);
        }
        let next = (last as u32).wrapping_add(1);
        if next < self.servers { next } else { 0 }
    }

    /// As [`Scheduler::translate`](crate::sched::Scheduler::translate).
    pub(super) fn translate(&self, state: u64) -> u64 {
        match &self.translation {
            Translation::Head => Self::HEAD,
            Translation::Same => state,
            Translation::Moved(places) => {
                places.get(state as usize).map_or(Self::HEAD, |place| u64::from(*place))
            }
        }
    }
}

impl Translation {
    fn of(history: &History) -> Translation {
        let moves = |event: &Event| !matches!(event, Event::Edited { .. });
        if !history.events.iter().any(moves) {
            return Translation::Same;
        }
        let mut heirs = CursorRemap::default();
        for _ in &history.start {
            heirs.add();
        }
        for event in &history.events {
            match *event {
                Event::Added { .. } => heirs.add(),
                Event::Deleted { number } => heirs.delete(number),
                Event::Edited { .. } => {}
            }
        }
        let mut places = heirs.places();
        places.truncate(history.start.len());
        places.reverse();
        Translation::Moved(places.into_boxed_slice())
    }
}

/// Computes where a rotation continues that is at a deleted server: at the server's predecessor in the
/// list, which is the next newer remaining server, or before the first if there is none.
#[derive(Default)]
struct CursorRemap {
    servers: Vec<Remapped>,
    /// Per server the number from which to search for the next newer remaining server (union-find with
    /// path compression).
    newer: Vec<usize>,
}

#[derive(Clone, Copy)]
enum Remapped {
    Left,
    /// `heir` is fixed at the deletion: a server added later is not the predecessor.
    Gone {
        heir: Option<usize>,
    },
}

impl CursorRemap {
    fn add(&mut self) {
        self.newer.push(self.servers.len());
        self.servers.push(Remapped::Left);
    }

    fn delete(&mut self, number: usize) {
        if number < self.servers.len() {
            self.newer[number] = number + 1;
            let heir = self.left_from(number);
            self.servers[number] = Remapped::Gone { heir };
        }
    }

    /// The oldest remaining server among those from `number` on.
    fn left_from(&mut self, number: usize) -> Option<usize> {
        let mut found = number;
        while *self.newer.get(found)? != found {
            found = self.newer[found];
        }
        let mut at = number;
        while at != found {
            at = std::mem::replace(&mut self.newer[at], found);
        }
        Some(found)
    }

    /// The new position of a rotation that was at each server, by the server's number.
    fn places(&self) -> Vec<u32> {
        let mut places = vec![ListRotation::HEAD as u32; self.servers.len()];
        let mut position = 0;
        for number in (0..self.servers.len()).rev() {
            places[number] = match self.servers[number] {
                Remapped::Left => {
                    position += 1;
                    position - 1
                }
                Remapped::Gone { heir: Some(newer) } => places[newer],
                Remapped::Gone { heir: None } => ListRotation::HEAD as u32,
            };
        }
        places
    }
}
