//! Models of `arena/own_count.rs`: the steps that `worker/per_worker.rs` and the director take on a worker's
//! word and a server's slot, in their order.

use loom::thread;
use vsched::config::Thresholds;

use crate::arena::counts::Activity::Active;
use crate::arena::counts::{Counts, Limits};
use crate::arena::own_count::{Counted, OwnCount};
use crate::arena::slots::ServerSlot;
use crate::arena::tally::Incarnation;
use crate::config::KernelRules;
use crate::sync::Arc;

const RULE: KernelRules = KernelRules::B;

/// A server, and one worker's word for it.
struct World {
    slot: ServerSlot,
    own: OwnCount,
    tenure: Incarnation,
}

impl World {
    /// The worker has opened this many connections.
    fn new(sole: bool, connections: u32) -> Arc<Self> {
        let slot = ServerSlot::new(0);
        slot.occupy(0);
        let world = World { slot, own: OwnCount::default(), tenure: Incarnation::default() };
        assert!(!sole || world.own.make_sole(0));
        (0..connections).for_each(|_| assert!(world.open()));
        Arc::new(world)
    }

    /// False if the server is overloaded.
    fn open(&self) -> bool {
        let counted = self.own.open(0, Active, || self.slot.is(0)).expect("the server stays");
        if counted == Counted::InSlotToo && self.slot.open(0, Active, RULE, true).is_err() {
            self.own.close(0, Active).expect("it was counted");
            return false;
        }
        true
    }

    fn close(&self) {
        if self.own.close(0, Active) != Some(Counted::Here) {
            self.slot.close(0, Active, RULE).expect("the slot counts it");
        }
    }

    /// Another worker closes a connection.
    fn close_as_guest(&self) {
        let counted = self.tenure.as_guest(0, || self.own.close(0, Active)).flatten();
        if counted != Some(Counted::Here) {
            self.slot.close(0, Active, RULE).expect("the slot counts it");
        }
    }

    fn all(&self) -> u32 {
        Counts::with_sole(self.slot.counts_seqcst(), self.own.get(0)).total()
    }
}

fn spawn<R: 'static>(
    world: &Arc<World>,
    act: impl FnOnce(&World) -> R + 'static,
) -> thread::JoinHandle<R> {
    let world = Arc::clone(world);
    thread::spawn(move || act(&world))
}

fn folded(fold: fn(&World)) {
    let world = World::new(true, 1);
    let worker = spawn(&world, |world| {
        world.open();
        world.close();
    });
    let guest = spawn(&world, World::close_as_guest);
    fold(&world);
    worker.join().unwrap();
    guest.join().unwrap();
    assert_eq!((world.all(), world.slot.counts_seqcst().total()), (0, 0));
}

/// A slot counts the connections from some moment on, while they begin and end.
pub fn a_fold_beside_connections_loses_none() {
    folded(|world| assert!(world.own.fold(&world.slot)));
}

/// Wrong: the word is empty before the slot has its connections.
pub fn planted_a_fold_that_takes_first() {
    folded(|world| {
        let own = world.own.take();
        world.slot.adjust(own.connections());
    });
}

fn made_sole(open: fn(&World)) {
    let world = World::new(false, 1);
    // It may have a connection. Another thread than this one, because loom tries an exchange before a load of
    // another thread only if that comes later in the first execution.
    let director = spawn(&world, |world| world.own.make_sole(0));
    world.close();
    open(&world);
    director.join().unwrap();
    assert_eq!(world.all(), 1, "counted once");
    world.close();
    assert_eq!((world.all(), world.slot.counts_seqcst().total()), (0, 0));
}

/// A word becomes sole while its last connection ends and another begins.
pub fn a_sole_word_beside_connections_counts_once() {
    made_sole(|world| assert!(world.open()));
}

/// Wrong: the slot counts a connection before the word does.
pub fn planted_the_slot_before_the_word() {
    made_sole(|world| {
        world.slot.open(0, Active, RULE, true).expect("no limits");
        world.own.open(0, Active, || true).expect("it has room");
    });
}

/// A limit holds from the moment on at which it is set, for connections that were counted alone as well.
pub fn a_limit_counts_what_was_counted_alone() {
    let world = World::new(true, 1);
    let worker = spawn(&world, |world| u32::from(world.open()));
    assert!(world.own.fold(&world.slot));
    world.slot.limit(Limits::new(Thresholds::new(1, 1)), RULE);
    assert!(!world.open(), "above the limit");
    let opened = worker.join().unwrap();
    assert_eq!(world.all(), 1 + opened);
}

fn ended(end: fn(&World)) {
    let world = World::new(true, 1);
    let guest = spawn(&world, World::close_as_guest);
    end(&world);
    guest.join().unwrap();
    assert_eq!((world.all(), world.slot.counts_seqcst().total()), (0, 0));
}

/// A connection ends while the worker that opened it does.
pub fn an_end_beside_a_workers_counts_once() {
    ended(|world| {
        world.own.fold(&world.slot);
        world.tenure.end();
    });
}

/// Wrong: the worker has gone before the slot has its connections.
pub fn planted_a_fold_after_the_worker() {
    ended(|world| {
        world.tenure.end();
        world.own.fold(&world.slot);
    });
}
