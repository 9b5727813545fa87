//! Models of `arena/slots.rs` and `arena/counts.rs`: connections concurrent with edits of the limits and
//! with the removal of their server.

use loom::thread;
use vsched::config::Thresholds;

use crate::arena::counts::Activity::{Active, Inactive};
use crate::arena::counts::{Counts, Limits};
use crate::arena::slots::ServerSlot;
use crate::config::KernelRules;
use crate::error::ConnectionError;
use crate::sync::Arc;

fn limits((upper, lower): (u32, u32)) -> Limits {
    Limits::new(Thresholds::new(upper, lower))
}

/// A slot whose owner has these limits and `connections` active connections.
fn slot(rule: KernelRules, thresholds: (u32, u32), connections: u32) -> Arc<ServerSlot> {
    let slot = Arc::new(ServerSlot::new(0));
    slot.occupy(0);
    slot.limit(limits(thresholds), rule);
    for _ in 0..connections {
        slot.open(slot.generation(), Active, rule, false).unwrap();
    }
    slot
}

fn spawn<R: 'static>(
    slot: &Arc<ServerSlot>,
    act: impl FnOnce(&ServerSlot) -> R + 'static,
) -> thread::JoinHandle<R> {
    let slot = Arc::clone(slot);
    thread::spawn(move || act(&slot))
}

/// Active, total, overloaded.
fn figures(counts: Counts) -> (u32, u32, bool) {
    (counts.active(), counts.total(), counts.overloaded())
}

/// Two connections open and close concurrently: no count is left, and no overload mark.
pub fn connections_are_counted_exactly(rule: KernelRules) {
    let slot = slot(rule, (2, 0), 0);
    let life = move |slot: &ServerSlot| {
        slot.open(0, Active, rule, false).unwrap();
        slot.update(0, Inactive).unwrap();
        slot.close(0, Inactive, rule).unwrap();
    };
    let other = spawn(&slot, life);
    life(&slot);
    other.join().unwrap();
    assert_eq!(figures(slot.counts_relaxed()), (0, 0, false));
}

/// Of two threads that connect at one below the limit, exactly one succeeds.
pub fn the_limit_holds(rule: KernelRules) {
    let slot = slot(rule, (2, 0), 1);
    let connect = move |slot: &ServerSlot| slot.open(0, Active, rule, true).is_ok();
    let other = spawn(&slot, connect);
    let here = connect(&slot);
    assert!(here != other.join().unwrap());
    assert_eq!(figures(slot.counts_relaxed()), (2, 2, true));
}

/// Thresholds before and after an edit; see [`limits_change_beside_connections`].
pub const EDITS: [[(u32, u32); 2]; 9] = [
    [(0, 0), (2, 0)],
    [(2, 0), (0, 0)],
    [(2, 0), (3, 0)],
    [(3, 0), (2, 0)],
    [(3, 1), (3, 3)],
    [(4, 1), (4, 3)],
    [(4, 3), (2, 1)],
    [(2, 1), (2, 2)],
    [(1, 0), (3, 2)],
];

/// A connection opens and another closes while the limits change: the final counts and mark are those of
/// some serial order of the three.
pub fn limits_change_beside_connections(rule: KernelRules, [old, new]: [(u32, u32); 2]) {
    let slot = slot(rule, old, 2);
    let orders = serial_orders(slot.counts_relaxed(), limits(old), limits(new), rule);
    let opening = spawn(&slot, move |slot| slot.open(0, Inactive, rule, false).unwrap());
    let closing = spawn(&slot, move |slot| slot.close(0, Active, rule).unwrap());
    slot.limit(limits(new), rule);
    opening.join().unwrap();
    closing.join().unwrap();
    let end = figures(slot.counts_relaxed());
    assert!(orders.contains(&end), "{end:?}, not of {orders:?}");
}

/// The results of the six serial orders of open, close and edit.
fn serial_orders(
    start: Counts,
    old: Limits,
    new: Limits,
    rule: KernelRules,
) -> Vec<(u32, u32, bool)> {
    let orders = ["oce", "oec", "coe", "ceo", "eoc", "eco"];
    let run = |order: &str| {
        let mut state = (start, old);
        for act in order.chars() {
            let (counts, limits) = state;
            state = match act {
                'o' => (counts.opened(Inactive, limits, rule).unwrap(), limits),
                'c' => (counts.closed(Active, limits, rule).unwrap(), limits),
                _ => (counts.limited(old, new, rule), new),
            };
        }
        figures(state.0)
    };
    orders.map(run).to_vec()
}

/// Two threads connect below the limit while a director that is stopped halfway lowers it from 3 to 2:
/// the old limit applies to both, and the next connection is refused.
pub fn a_stopped_director_lets_nobody_through(rule: KernelRules) {
    let slot = slot(rule, (3, 0), 1);
    let connect = move |slot: &ServerSlot| slot.open(0, Active, rule, true).is_ok();
    let other = spawn(&slot, connect);
    let director = spawn(&slot, |slot| _ = slot.store_limits(limits((2, 0))));
    let here = connect(&slot);
    let connected = u32::from(here) + u32::from(other.join().unwrap());
    director.join().unwrap();
    let (_, total, _) = figures(slot.counts_relaxed());
    assert_eq!(total, 1 + connected);
    assert!(connected > 0, "the new limit has room for one");
    assert_eq!(slot.open(0, Active, rule, true), Err(ConnectionError::Overloaded));
    assert_eq!(
        figures(slot.counts_relaxed()),
        (total, total, true),
        "marked by the one who was refused"
    );
}

/// Thresholds of two edits; see [`limits_change_twice_beside_a_connection`].
pub const TWO_EDITS: [[(u32, u32); 2]; 4] =
    [[(9, 0), (2, 0)], [(1, 0), (0, 0)], [(2, 2), (4, 0)], [(0, 0), (2, 0)]];

/// Four edits lead back to the version that a thread has read (ABA): it may use stale limits, but later
/// connections do not, and the last close clears the mark.
pub fn limits_change_twice_beside_a_connection(rule: KernelRules, edits: [(u32, u32); 2]) {
    let slot = slot(rule, (4, 0), 1);
    let opening = spawn(&slot, move |slot| slot.open(0, Active, rule, true));
    for edit in edits.into_iter().chain(edits) {
        slot.limit(limits(edit), rule);
    }
    let opened = opening.join().unwrap().is_ok();
    let (upper, _) = edits[1];
    let full = upper != 0 && slot.counts_relaxed().total() >= upper;
    let again = slot.open(0, Active, rule, true).is_ok();
    if let KernelRules::B = rule {
        assert!(!(full && again), "above the limit");
    }
    for _ in 0..1 + u32::from(opened) + u32::from(again) {
        slot.close(0, Active, rule).unwrap();
    }
    assert_eq!(figures(slot.counts_relaxed()), (0, 0, false));
}

/// The slot is reassigned to another server while a thread opens by the old id: either the connection
/// comes first and the slot stays, or the id is stale and the new owner counts only its own.
pub fn stale_ids_count_on_nobody(rule: KernelRules) {
    let slot = slot(rule, (0, 0), 0);
    let stale = spawn(&slot, move |slot| slot.open(0, Active, rule, false));
    // The second edit leads back to the word before (ABA).
    let given = give_away(&slot, rule, &[(9, 0), (8, 0)]);
    let opened = stale.join().unwrap();
    assert_eq!(opened.is_err(), given);
    assert_eq!(figures(slot.counts_relaxed()), (1, 1, false), "of the old owner or of the new one");
    assert_eq!(slot.generation(), u32::from(given));
}

/// Like [`stale_ids_count_on_nobody`], with a thread that closes a connection and one that closes it
/// again.
pub fn a_close_beside_the_end_counts_once(rule: KernelRules) {
    let slot = slot(rule, (0, 0), 1);
    let close = move |slot: &ServerSlot| slot.close(0, Active, rule);
    let closing = [spawn(&slot, close), spawn(&slot, close)];
    give_away_at_last(&slot, rule);
    let closed = closing.map(|closing| closing.join().unwrap());
    let once = closed.iter().filter(|result| result.is_ok()).count();
    assert_eq!(once, 1, "one connection is closed once");
    assert!(closed.contains(&Err(ConnectionError::Stale)));
    assert_eq!(figures(slot.counts_relaxed()), (1, 1, false), "of the new owner alone");
    assert_eq!(slot.update(0, Inactive), Err(ConnectionError::Stale));
}

/// Wrong: a close goes by the generation after its exchange, although the owner may leave as soon as its
/// last connection is closed.
pub fn planted_generation_after_the_close(rule: KernelRules) {
    let slot = slot(rule, (0, 0), 1);
    let closing = spawn(&slot, move |slot| {
        let closed = slot.close(0, Active, rule);
        if slot.generation() == 0 { closed } else { Err(ConnectionError::Stale) }
    });
    give_away_at_last(&slot, rule);
    assert!(closing.join().unwrap().is_ok(), "a close of an open connection is refused");
}

/// Reassigns the slot to a server with one connection, unless the old one still counts some.
fn give_away(slot: &ServerSlot, rule: KernelRules, edits: &[(u32, u32)]) -> bool {
    let vacated = slot.vacate().has_left();
    if vacated {
        slot.occupy(1);
        edits.iter().for_each(|edit| _ = slot.limit(limits(*edit), rule));
        slot.open(slot.generation(), Active, rule, false).unwrap();
    }
    vacated
}

/// Tries again until the old owner counts none. One try that finds a connection only loads, and loom
/// explores no other order for a load that is followed by loads of other threads.
fn give_away_at_last(slot: &ServerSlot, rule: KernelRules) {
    while !give_away(slot, rule, &[(9, 0)]) {
        thread::yield_now();
    }
}

/// Wrong: the slot is reassigned without having been vacated.
pub fn planted_occupy_without_vacate(rule: KernelRules) {
    let slot = slot(rule, (0, 0), 0);
    let stale = spawn(&slot, move |slot| slot.open(0, Active, rule, false));
    slot.occupy(1);
    let _ = stale.join().unwrap();
    assert_eq!(figures(slot.counts_relaxed()), (0, 0, false), "a stale id counts on the new owner");
}

/// Wrong: the limit is checked before the connection is counted, not in one step.
pub fn planted_look_then_open(rule: KernelRules) {
    let slot = slot(rule, (2, 0), 1);
    let connect = move |slot: &ServerSlot| {
        if !slot.counts_relaxed().overloaded() {
            slot.open(0, Active, rule, false).unwrap();
        }
    };
    let other = spawn(&slot, connect);
    connect(&slot);
    other.join().unwrap();
    assert_eq!(figures(slot.counts_relaxed()), (2, 2, true), "more than the limit");
}
