//! The turns of a written-out rotation, as picks read them.

use crate::pool::endpoint::Endpoint;
use crate::pool::servers::{Position, Servers};
use crate::rotation::shared::repeats;
use crate::sync::Arc;

/// A turn with this bit is that of a server which may be unavailable: it is quiesced, or has a limit.
/// Beyond every position, so that to find such a server's seat fails, and costs the others nothing.
const LOOK: u32 = 1 << 31;

/// One cycle or several, or nothing.
#[derive(Default)]
pub(crate) struct Schedule {
    words: Arc<[u32]>,
    cycle: u32,
}

impl Schedule {
    pub(crate) fn of(cycle: Arc<[Position]>, servers: &Servers) -> Self {
        let sure = |position: &Position| servers.always_available(*position);
        let length = cycle.len() as u32;
        let repeats = repeats(length);
        let words = if length == 0 || repeats == 1 && cycle.iter().all(sure) {
            Arc::clone(&cycle)
        } else {
            let word = |position: &Position| *position | if sure(position) { 0 } else { LOOK };
            let words: Vec<u32> = cycle.iter().map(word).collect();
            words.repeat(repeats as usize).into()
        };
        Schedule { words, cycle: length }
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
    pub(crate) fn ends_at(&self, turn: u64) -> bool {
        turn == self.words.len() as u64
    }

    #[inline(always)]
    pub(crate) fn past_end(&self, turn: u64) -> bool {
        turn >= self.words.len() as u64
    }

    /// The server of this turn, if there is such a turn and the server is always available.
    #[inline(always)]
    pub(crate) fn unconditional<'a>(
        &self,
        turn: u64,
        servers: &'a Servers,
    ) -> Option<&'a Endpoint> {
        servers.endpoint(*self.words.get(turn as usize)?)
    }

    /// The server of this turn, if it is available.
    #[inline]
    pub(crate) fn if_available<'a>(&self, turn: u64, servers: &'a Servers) -> Option<&'a Endpoint> {
        servers.available_endpoint(*self.words.get(turn as usize)? & !LOOK)
    }
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, Schedule, repeats};
    use crate::arena::Arena;
    use crate::arena::id::ServerId;
    use crate::arena::slots::ServerSlot;
    use crate::config::RealServer;
    use crate::pool::servers::{Member, Servers};
    use crate::sync::Arc;

    /// Servers in rows of three: free, quiesced, limited.
    fn servers(count: u32) -> Servers {
        let arena = Arc::new(Arena::new());
        assert!(arena.servers.grow_to_with(count, || ServerSlot::new(0)));
        let member = |slot: u32| {
            arena.servers.get(slot).unwrap().occupy(0);
            let server = RealServer::new(([10, 0, 0, slot as u8], 80).into());
            let server = match slot % 3 {
                0 => server,
                1 => server.with_weight(0),
                _ => server.with_thresholds(1, 0),
            };
            Member { id: ServerId { slot, generation: 0 }, server, last_weight: 0 }
        };
        let members: Vec<Member> = (0..count).map(member).collect();
        Servers::new(arena, &members)
    }

    #[test]
    fn a_turn_says_whether_its_server_has_to_be_looked_at() {
        for count in [1, 2, 3, 63, 64, 200] {
            let servers = servers(count);
            let turns = Schedule::of((0..count).collect(), &servers);
            let written = u64::from(count * repeats(count));
            assert_eq!((turns.cycle(), turns.past_end(written - 1)), (count, false), "{count}");
            assert!(
                turns.past_end(written) && turns.unconditional(written, &servers).is_none(),
                "{count}"
            );
            for turn in 0..written {
                let slot = (turn % u64::from(count)) as u32;
                let found = |answer: Option<&Endpoint>| answer.map(|answer| answer.server().slot);
                let (sure, free) = (slot.is_multiple_of(3), slot % 3 != 1);
                let wanted = (sure.then_some(slot), free.then_some(slot));
                let answers =
                    (turns.unconditional(turn, &servers), turns.if_available(turn, &servers));
                assert_eq!((found(answers.0), found(answers.1)), wanted, "{count}: {turn}");
            }
        }
    }

    #[test]
    fn a_long_cycle_of_sure_servers_is_not_copied() {
        let servers = servers(1);
        let cycle: Arc<[u32]> = vec![0; 64].into();
        let turns = Schedule::of(Arc::clone(&cycle), &servers);
        assert!(Arc::ptr_eq(&cycle, &turns.words));
        assert!(Schedule::default().is_empty() && Schedule::of([].into(), &servers).is_empty());
    }
}
