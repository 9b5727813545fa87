//! Which workers have places of their own, for services that are shared `per-worker`.

use std::collections::BTreeSet;

use crate::pool::Pool;
use crate::state::Arena;
use crate::state::own::{MOST, Own};
use crate::state::segments::Place;

/// The numbers of living workers.
#[derive(Default)]
pub(super) struct Tenants(BTreeSet<u32>);

impl Tenants {
    /// A new worker's place, the first free one; `None` if there is none.
    pub(super) fn join<'a>(
        &mut self,
        arena: &Arena,
        reach: (u32, u32),
        pools: impl Iterator<Item = &'a Pool> + Clone,
    ) -> Option<Place<Own>> {
        let number = (0..MOST).find(|number| !self.0.contains(number))?;
        arena.own.reach(number + 1);
        let place = arena.own.place(number)?;
        let own = place.get();
        // Where nobody decides by himself, nothing is kept but the first services' places.
        let needed = pools.clone().any(Pool::per_worker);
        let (servers, services) = if needed { reach } else { (0, 0) };
        own.move_in(number, servers, services);
        for pool in pools {
            pool.start_own(own);
            pool.index_own(own);
        }
        self.0.insert(number);
        Some(place)
    }

    pub(super) fn depart(&mut self, own: Option<&Own>) {
        if let Some(own) = own {
            self.0.remove(&own.number());
        }
    }

    /// Makes ready for pools that will be published, each beside the one before it.
    pub(super) fn prepare<'a>(
        &self,
        arena: &Arena,
        (servers, services): (u32, u32),
        pools: impl Iterator<Item = (Option<&'a Pool>, &'a Pool)> + Clone,
    ) {
        for own in self.owns(arena) {
            for (former, pool) in pools.clone().filter(|(_, pool)| pool.per_worker()) {
                own.reach(servers, services);
                if !former.is_some_and(Pool::per_worker) {
                    pool.start_own(own);
                }
                pool.index_own(own);
            }
        }
    }

    /// Goes over to pools that have been published.
    pub(super) fn move_on<'a>(
        &self,
        arena: &Arena,
        pools: impl Iterator<Item = (Option<&'a Pool>, &'a Pool)> + Clone,
    ) {
        for own in self.owns(arena) {
            for (former, pool) in pools.clone() {
                if former.is_some_and(Pool::per_worker) {
                    pool.adopt_own(own);
                }
                pool.index_own(own);
            }
        }
    }

    fn owns<'a>(&'a self, arena: &'a Arena) -> impl Iterator<Item = &'a Own> {
        self.0.iter().filter_map(|number| arena.own.get(*number))
    }
}
