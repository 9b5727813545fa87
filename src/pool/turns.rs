//! The turns of a written-out rotation, as picks read them.

use crate::state::pick::Pick;
use crate::state::servers::{Position, Servers};
use crate::sync::Arc;

/// A turn with this bit is that of a server which may be unavailable: it is quiesced, or has a limit.
/// Beyond every position, so that to find such a server's seat fails, and costs the others nothing.
const LOOK: u32 = 1 << 31;

/// Short cycles are written out again and again up to here: at the end, a pick is a dear one.
const SHORT: usize = 64;

/// One cycle or several, or nothing.
#[derive(Default)]
pub(crate) struct Turns {
    words: Arc<[u32]>,
    cycle: u32,
}

impl Turns {
    pub(crate) fn of(cycle: Arc<[Position]>, servers: &Servers) -> Self {
        let sure = |position: &Position| servers.is_sure(*position);
        let length = cycle.len();
        let words = if length == 0 || length >= SHORT && cycle.iter().all(sure) {
            Arc::clone(&cycle)
        } else {
            let word = |position: &Position| *position | if sure(position) { 0 } else { LOOK };
            let words: Vec<u32> = cycle.iter().map(word).collect();
            words.repeat(SHORT.div_ceil(length)).into()
        };
        Turns { words, cycle: length as u32 }
    }

    /// Turns of one cycle; 0 = nothing is written out.
    pub(crate) fn cycle(&self) -> u32 {
        self.cycle
    }

    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    #[inline(always)]
    pub(crate) fn is_behind(&self, turn: u64) -> bool {
        turn >= self.words.len() as u64
    }

    /// The server of this turn, if there is such a turn and the server is always available.
    #[inline(always)]
    pub(crate) fn sure<'a>(&self, turn: u64, servers: &'a Servers) -> Option<&'a Pick> {
        servers.pick(*self.words.get(turn as usize)?)
    }

    /// The server of this turn, if it is available.
    #[inline]
    pub(crate) fn free<'a>(&self, turn: u64, servers: &'a Servers) -> Option<&'a Pick> {
        servers.free(*self.words.get(turn as usize)? & !LOOK)
    }
}
