//! Which workers have places of their own, for services that are shared `per-worker`.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use crate::director::table::Table;
use crate::pool::Pool;
use crate::state::Arena;
use crate::state::own::{MOST, Own};
use crate::state::segments::Place;
use crate::state::slots::ServerId;
use crate::sync::Arc;

/// The places of living workers, and those that are free.
#[derive(Default)]
pub(super) struct Tenants {
    living: BTreeSet<u32>,
    /// The lowest first: number 0 begins where all workers together do.
    free: BinaryHeap<Reverse<u32>>,
    /// Places from here on had no owner yet.
    next: u32,
}

/// So many free places at most are looked at: the others may have guests that have not gone yet.
const LOOKED_AT: usize = 4;

impl Tenants {
    /// A new worker's place; `None` if there is none. O(log workers + servers + services), and
    /// when two have become one, or one two, another look at the servers for the other.
    pub(super) fn join(
        &mut self,
        arena: &Arena,
        reach: (u32, u32),
        table: &Table,
    ) -> Option<Place<Own>> {
        let number = self.free_number(arena)?;
        let place = arena.own.place(number)?;
        let own = place.get();
        // What ended late, after the last owner had gone.
        leave(arena, own, table);
        // Where nobody decides by himself, nothing is kept but the first services' places.
        let room = |is_needed: fn(&Pool) -> bool, room| {
            if pools(table).any(is_needed) { room } else { 0 }
        };
        own.move_in(number, room(Pool::goes_by_own, reach.0), room(Pool::per_worker, reach.1));
        self.living.insert(number);
        self.share(arena, table, false);
        for pool in pools(table) {
            pool.start_own(own);
            pool.index_own(own, true);
        }
        Some(place)
    }

    /// The worker has gone.
    pub(super) fn depart(&mut self, arena: &Arena, own: &Own, table: &Table) {
        own.end();
        self.living.remove(&own.number());
        if !own.is_over() {
            self.free.push(Reverse(own.number()));
        }
        leave(arena, own, table);
        self.share(arena, table, false);
    }

    /// The lowest place that nobody has, and nobody acts in.
    fn free_number(&mut self, arena: &Arena) -> Option<u32> {
        let mut busy = Vec::new();
        let is_vacant = |number: u32| arena.own.get(number).is_some_and(Own::is_vacant);
        let mut found = None;
        for _ in 0..LOOKED_AT {
            let Some(Reverse(number)) = self.free.pop() else { break };
            if is_vacant(number) {
                found = Some(number);
                break;
            }
            busy.push(Reverse(number));
        }
        self.free.extend(busy);
        found.or_else(|| {
            let number = (self.next < MOST).then_some(self.next)?;
            self.next += 1;
            arena.own.reach(self.next);
            Some(number)
        })
    }

    /// Divides among the living what no living worker counts as its own. Not by the exact number until
    /// that is asked for: while workers come and go each division concerns all of them.
    pub(super) fn share(&self, arena: &Arena, table: &Table, exactly: bool) {
        let (living, before) = (self.living.len().max(1) as u32, arena.shares());
        let due =
            exactly || living.min(before) == 1 || living >= 2 * before || 2 * living <= before;
        if !due || living == before {
            return;
        }
        arena.set_shares(living);
        // One alone goes by other counts than one of several.
        let all = living.min(before) == 1;
        for pool in pools(table).filter(|pool| all || pool.has_common()) {
            self.owns(arena).for_each(|own| pool.index_own(own, all));
        }
    }

    /// Makes ready for pools that will be published, each beside the one before it.
    pub(super) fn prepare<'a>(
        &self,
        arena: &Arena,
        (servers, services): (u32, u32),
        pools: impl Iterator<Item = (Option<&'a Pool>, &'a Pool)> + Clone,
    ) {
        if pools.clone().any(|(_, pool)| pool.goes_by_own()) {
            arena.common.reach(servers);
        }
        for own in self.owns(arena) {
            for (former, pool) in pools.clone().filter(|(_, pool)| pool.per_worker()) {
                own.reach(if pool.goes_by_own() { servers } else { 0 }, services);
                if !former.is_some_and(Pool::per_worker) {
                    pool.start_own(own);
                }
                pool.index_own(own, true);
            }
        }
    }

    /// Goes over to pools that have been published.
    pub(super) fn move_on<'a>(
        &self,
        arena: &Arena,
        pools: impl Iterator<Item = (Option<&'a Pool>, &'a Pool)> + Clone,
    ) {
        for (former, pool) in pools.clone().filter(|(_, pool)| pool.goes_by_own()) {
            pool.count_common(former, self.owns(arena));
        }
        for own in self.owns(arena) {
            for (former, pool) in pools.clone() {
                if former.is_some_and(Pool::per_worker) {
                    pool.adopt_own(own);
                }
                pool.index_own(own, true);
            }
        }
    }

    fn owns<'a>(&'a self, arena: &'a Arena) -> impl Iterator<Item = &'a Own> + Clone {
        self.living.iter().filter_map(|number| arena.own.get(*number))
    }
}

/// What a worker that has gone had open is nobody's own from now on.
fn leave(arena: &Arena, own: &Own, table: &Table) {
    own.take_left(|slot, connections| {
        let Some(server) = arena.servers.get(slot) else { return };
        // Elsewhere they are counted when the service begins to go by own connections.
        if let Some(pool) = table.pool_at(server.service()).filter(|pool| pool.goes_by_own()) {
            let id = ServerId { slot, generation: server.generation() };
            pool.common_changed(id, connections);
        }
    });
}

fn pools(table: &Table) -> impl Iterator<Item = &Pool> {
    table.pools().iter().flatten().map(Arc::as_ref)
}

#[cfg(test)]
mod tests {
    use super::{LOOKED_AT, Tenants};
    use crate::director::table::Table;
    use crate::state::Arena;
    use crate::state::own::Own;
    use crate::state::tally::Tenure;
    use crate::sync::Arc;

    fn numbers(tenants: &mut Tenants, arena: &Arena, count: u32) -> Vec<u32> {
        let table = Table::new(0, Box::default(), Arc::default());
        let mut join = || tenants.join(arena, (0, 0), &table).unwrap().get().number();
        (0..count).map(|_| join()).collect()
    }

    fn depart(tenants: &mut Tenants, arena: &Arena, number: u32) {
        let table = Table::new(0, Box::default(), Arc::default());
        tenants.depart(arena, arena.own.get(number).unwrap(), &table);
    }

    #[test]
    fn the_lowest_free_place_is_the_next() {
        let (mut tenants, arena) = (Tenants::default(), Arena::new());
        assert_eq!(numbers(&mut tenants, &arena, 5), [0, 1, 2, 3, 4]);
        for number in [3, 0, 2] {
            depart(&mut tenants, &arena, number);
        }
        assert_eq!(numbers(&mut tenants, &arena, 4), [0, 2, 3, 5]);
        assert_eq!(tenants.living.len(), 6);
    }

    #[test]
    fn a_place_with_a_guest_waits_and_one_that_is_over_is_left() {
        let (mut tenants, arena) = (Tenants::default(), Arena::new());
        let made = LOOKED_AT as u32 + 2;
        numbers(&mut tenants, &arena, made);
        let opener = |number| arena.own.get(number).map(Own::opener).unwrap();
        let first = opener(0);
        (0..made).for_each(|number| depart(&mut tenants, &arena, number));
        assert_ne!(opener(0), first);
        let own = arena.own.get(0).unwrap();
        own.visit(|| assert_eq!(numbers(&mut tenants, &arena, 1), [1]));
        assert_eq!(numbers(&mut tenants, &arena, 2), [0, 2]);
        own.age(Tenure::LAST - 1);
        depart(&mut tenants, &arena, 0);
        assert!(own.is_over());
        depart(&mut tenants, &arena, 1);
        assert_eq!(numbers(&mut tenants, &arena, 1), [1]);
    }

    #[test]
    fn shares_are_exact_for_one_and_when_asked_for() {
        let (mut tenants, arena) = (Tenants::default(), Arena::new());
        let table = Table::new(0, Box::default(), Arc::default());
        let mut shares = Vec::new();
        for _ in 0..9 {
            numbers(&mut tenants, &arena, 1);
            shares.push(arena.shares());
        }
        assert_eq!(shares, [1, 2, 2, 4, 4, 4, 4, 8, 8]);
        tenants.share(&arena, &table, true);
        shares = vec![arena.shares()];
        for number in 0..9 {
            depart(&mut tenants, &arena, number);
            shares.push(arena.shares());
        }
        assert_eq!(shares, [9, 9, 9, 9, 9, 4, 4, 2, 1, 1]);
    }
}
