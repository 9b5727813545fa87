//! The precomputed schedule of wrr: the turns of a whole cycle.

use crate::sync::Arc;

/// Most turns of a precomputed schedule: `FEW`, or `A_SERVER` per server up to `MOST`, which is 16
/// megabytes per service. A longer cycle is not precomputed; each pick then searches.
const FEW: u64 = 1 << 18;
const A_SERVER: u64 = 64;
pub(crate) const MOST: u64 = 1 << 22;

/// Flag: the walk is before the first server of its level. Above the 32 bits of the turn.
const AT_HEAD: u64 = 1 << 32;

/// One cycle of the walk, turn by turn.
///
/// The rotation state of a walk:
///
/// | the walk is at                     | state                                         |
/// |------------------------------------|-----------------------------------------------|
/// | a server                           | the number of its latest turn                 |
/// | the place before a level's first server | the number of the turn before, with `AT_HEAD` |
#[derive(Clone)]
pub(super) struct WeightedSchedule {
    /// The server of each turn.
    pub(super) servers: Arc<[u32]>,
    levels: Levels,
}

/// Which turns belong to which level.
#[derive(Clone)]
pub(super) struct Levels {
    step: u32,
    top: u32,
    /// The first turn of each level, the highest level first.
    starts: Arc<[u32]>,
}

impl WeightedSchedule {
    /// The walk from level `top` down by `step`; `None` if there are no weights or the cycle is too
    /// long. Allocates.
    pub(super) fn of(weights: &[u32], step: u32, top: u32) -> Option<Self> {
        if top == 0 {
            return None;
        }
        let length: u64 = weights.iter().map(|weight| u64::from(weight / step)).sum();
        // Each level has a turn, unless the weights are not those that `step` and `top` were computed
        // from, as in a deleted service.
        let most = (weights.len() as u64 * A_SERVER).clamp(FEW, MOST);
        if length > most || u64::from((top - 1) / step) >= length {
            return None;
        }
        let mut servers = Vec::with_capacity(length as usize);
        let mut starts = Vec::new();
        // The servers of a level are those of the level above and the next lighter ones.
        let mut heaviest_first: Vec<u32> = (0..).zip(weights).map(|(place, _)| place).collect();
        heaviest_first.sort_by_key(|place| std::cmp::Reverse(weights[*place as usize]));
        let mut lighter = heaviest_first.into_iter().peekable();
        let mut walkers: Vec<u32> = Vec::new();
        for level in (0..=(top - 1) / step).map(|fallen| top - fallen * step) {
            let known = walkers.len();
            while let Some(place) = lighter.next_if(|place| weights[*place as usize] >= level) {
                walkers.push(place);
            }
            if walkers.len() != known {
                walkers.sort_unstable();
            }
            starts.push(servers.len() as u32);
            servers.extend_from_slice(&walkers);
        }
        Some(WeightedSchedule {
            servers: servers.into(),
            levels: Levels { step, top, starts: starts.into() },
        })
    }

    pub(super) fn levels(&self) -> &Levels {
        &self.levels
    }

    /// The state of a walk at this server on this level; `None` = before the first server.
    pub(super) fn state(&self, last: Option<u32>, level: u32) -> u64 {
        let (start, _) = self.bounds(level);
        match last.map(|last| self.row(level).binary_search(&last)) {
            Some(Ok(after)) => u64::from(start + after as u32),
            // `Err` does not occur: a walk is only at servers that reach its level.
            Some(Err(_)) | None => u64::from(start.wrapping_sub(1)) | AT_HEAD,
        }
    }

    /// The servers of a level, in list order.
    pub(super) fn row(&self, level: u32) -> &[u32] {
        let (start, end) = self.bounds(level);
        self.servers.get(start as usize..end).unwrap_or(&[])
    }

    /// The first turn of a level, and the turn after its last.
    fn bounds(&self, level: u32) -> (u32, usize) {
        let Levels { step, top, starts } = &self.levels;
        let row = (top.saturating_sub(level) / (*step).max(1)) as usize;
        let end = starts.get(row + 1).map_or(self.servers.len(), |end| *end as usize);
        (starts.get(row).copied().unwrap_or(0), end)
    }

    /// The walk's server (`None` before the first) and level.
    pub(super) fn place(&self, state: u64) -> (Option<u32>, u32) {
        let at_head = state & AT_HEAD != 0;
        let last = self.servers.get(state as u32 as usize).copied();
        (last.filter(|_| !at_head), self.levels.level(state))
    }
}

impl Levels {
    /// The level of a walk.
    pub(super) fn level(&self, state: u64) -> u32 {
        let turn = state as u32;
        let turn = if state & AT_HEAD == 0 { turn } else { turn.wrapping_add(1) };
        let row = self.starts.partition_point(|start| *start <= turn).saturating_sub(1);
        self.top - row as u32 * self.step
    }
}

#[cfg(test)]
#[path = "wrr_schedule_tests.rs"]
mod tests;
