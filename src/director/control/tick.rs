//! What a tick does, in slices: between two of them other threads may have the director's lock, and change
//! what runs. A slice takes about a millisecond, except where one service has to be compiled again, or has
//! very many servers.

use super::Control;
use crate::config::ServiceKey;
use crate::director::health::Due;
use crate::director::table::ServiceTable;
use crate::memory::pace::SLICE;
use crate::service::Allowance;
use crate::sync::Arc;

/// What a service costs, in entries of a map, in addition to what it remembers.
const SERVICE: usize = 8;
/// What a server costs where outcomes are counted, and where servers are ejected.
const COUNTED: usize = 2;
const EJECTED: usize = 8;
/// What a service costs that may have to be compiled again, and each of its servers.
const COMPILED: usize = 2048;
const COMPILED_SERVER: usize = 64;
/// Removed servers and deleted services that are checked at a time.
const CHECKED: usize = 1024;

/// How far a call of tick has come.
#[derive(Default)]
pub(in crate::director) struct Tick {
    stage: Stage,
    /// Tables that no worker uses any more. To be dropped without the lock: with them go maps.
    freed: Vec<Arc<ServiceTable>>,
}

#[derive(Default)]
enum Stage {
    #[default]
    Looks,
    Maps(Walk),
    Health(Due, u32),
    Ejections(Vec<ServiceKey>),
    Shapes(Vec<ServiceKey>),
    Tables,
    /// How many slots are to be checked yet.
    Slots(usize),
    Done,
}

/// A walk through the address maps of all services.
#[derive(Default)]
struct Walk {
    /// The number of the service at which it goes on.
    service: u64,
    /// What is left for this service, once it has begun.
    allowance: Option<Allowance>,
}

impl Tick {
    /// What is to be dropped without the lock.
    pub(in crate::director) fn take_freed(&mut self) -> Vec<Arc<ServiceTable>> {
        std::mem::take(&mut self.freed)
    }
}

impl Control {
    /// Does the next slice of what is due at the arena's time. False after the last one.
    pub(in crate::director) fn go_on(&mut self, tick: &mut Tick) -> bool {
        tick.stage = match std::mem::take(&mut tick.stage) {
            Stage::Looks => {
                self.follow();
                self.release_looks();
                Stage::Maps(Walk::default())
            }
            Stage::Maps(walk) => match self.walk_maps(walk) {
                Some(walk) => Stage::Maps(walk),
                None => Stage::Health(self.health_due(), 0),
            },
            Stage::Health(due, from) => match self.age_health(&due, from, SLICE / COUNTED) {
                Some(next) => Stage::Health(due, next),
                None => Stage::Ejections(self.ejecting()),
            },
            Stage::Ejections(mut keys) => {
                self.in_slice(&mut keys, (SERVICE, EJECTED), Control::tick_ejections_of);
                if keys.is_empty() {
                    self.forget_ejections();
                    Stage::Shapes(self.shaped())
                } else {
                    Stage::Ejections(keys)
                }
            }
            Stage::Shapes(mut keys) => {
                // Without memory a service stays as it is until the next tick.
                let each = (COMPILED, COMPILED_SERVER);
                self.in_slice(&mut keys, each, |control, key| _ = control.reshape(key));
                if keys.is_empty() {
                    self.end_runtimes();
                    Stage::Tables
                } else {
                    Stage::Shapes(keys)
                }
            }
            Stage::Tables => {
                self.share_exactly();
                tick.freed = self.snapshot.reclaim();
                self.reclaim_shards();
                self.reclaim_rosters();
                Stage::Slots(self.allocator.waiting())
            }
            Stage::Slots(left) => {
                self.sweep_slots(left.min(CHECKED), left.min(CHECKED));
                match left.saturating_sub(CHECKED) {
                    0 => Stage::Done,
                    left => Stage::Slots(left),
                }
            }
            Stage::Done => Stage::Done,
        };
        !matches!(tick.stage, Stage::Done)
    }

    /// Goes on with the address maps. `None` at the end.
    fn walk_maps(&self, mut walk: Walk) -> Option<Walk> {
        let mut slice = SLICE;
        for (number, live) in self.services.range(walk.service..) {
            if *number != walk.service {
                walk = Walk { service: *number, allowance: None };
            }
            let begin = || live.compiled.begin_tick(self.arena.clock());
            let allowance = walk.allowance.get_or_insert_with(begin);
            if !live.compiled.go_on(&mut slice, allowance) {
                return Some(walk);
            }
            walk = Walk { service: number + 1, allowance: None };
            slice = slice.saturating_sub(SERVICE);
            if slice == 0 {
                return Some(walk);
            }
        }
        None
    }

    /// Takes services off the end of the list and calls `act` with them, until a slice is used up, where a
    /// service and each of its servers cost so much.
    fn in_slice(
        &mut self,
        keys: &mut Vec<ServiceKey>,
        (service, each): (usize, usize),
        mut act: impl FnMut(&mut Self, &ServiceKey),
    ) {
        let mut slice = SLICE;
        while slice > 0 {
            let Some(key) = keys.pop() else { break };
            let servers = self.find(&key).map_or(0, |live| live.claims.len());
            slice = slice.saturating_sub(service + each * servers);
            act(self, &key);
        }
    }
}

#[cfg(test)]
#[path = "tick_tests.rs"]
mod tests;
