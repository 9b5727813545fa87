//! Models of per-worker sharing: `arena/tally.rs`, `concurrent/stamps.rs`, and the steps that
//! `sched/least/worker.rs`, `worker/per_worker.rs` and the director take on them, in their order.

use loom::thread;
use vsched::config::Thresholds;

use crate::arena::counts::Activity::Active;
use crate::arena::counts::Limits;
use crate::arena::own_count::OwnCount;
use crate::arena::slots::ServerSlot;
use crate::arena::tally::{Connections, Incarnation, Tally};
use crate::concurrent::min_tree::MinTree;
use crate::concurrent::simd::Simd;
use crate::concurrent::simd::key::Key;
use crate::concurrent::stamps::{Seen, Stamps};
use crate::config::KernelRules;
use crate::sync::{Arc, AtomicU32, Ordering};

const RULE: KernelRules = KernelRules::B;
/// Stamps of two rows.
const SERVERS: u32 = 4;

/// A service with one worker's index, and the counts that it uses.
struct World {
    slots: Vec<ServerSlot>,
    own: Vec<OwnCount>,
    tenure: Incarnation,
    shares: AtomicU32,
    stamps: Stamps,
    tree: MinTree,
    seen: Seen,
}

impl World {
    /// Each server has one connection, and may have no more if `upper` is 1. The worker is one of
    /// `shares`.
    fn new(upper: u32, shares: u32) -> Arc<Self> {
        let slot = |_| {
            let slot = ServerSlot::new(0);
            slot.occupy(0);
            slot.limit(Limits::new(Thresholds::new(upper, upper)), RULE);
            slot.open(0, Active, RULE, false).unwrap();
            slot
        };
        let stamps = Stamps::new(SERVERS);
        let seen = stamps.seen();
        let tree = MinTree::new((0..SERVERS).map(|_| u64::UNAVAILABLE), Simd::Scalar);
        let slots = (0..SERVERS).map(slot).collect();
        let own: Vec<OwnCount> = (0..SERVERS).map(|_| OwnCount::default()).collect();
        own.iter().for_each(open);
        let shares = AtomicU32::new(shares);
        let world =
            World { slots, own, tenure: Incarnation::default(), shares, stamps, tree, seen };
        (0..SERVERS).for_each(|server| world.renew(server));
        Arc::new(world)
    }

    /// The key, from the counts that `candidate` in `sched/least/view.rs` uses.
    fn key(&self, server: u32) -> u64 {
        let counts = self.slots[server as usize].counts_seqcst();
        let rotation = self.shares.load(Ordering::SeqCst) == 1;
        let own = self.own[server as usize].get(0);
        let active = if rotation { counts.active() } else { own.active() };
        if counts.overloaded() { u64::UNAVAILABLE } else { active.into() }
    }

    fn renew(&self, server: u32) {
        self.tree.set(server, || self.key(server), |key| key);
    }

    /// Another worker closes a connection of this one.
    fn close(&self, server: u32) {
        let end = || self.own[server as usize].close(0, Active);
        self.tenure.as_guest(0, end).flatten().expect("the worker lives, and counts it");
        self.slots[server as usize].close(0, Active, RULE).unwrap();
        self.renew(server);
    }

    fn open(&self, server: u32) {
        open(&self.own[server as usize]);
        self.slots[server as usize].open(0, Active, RULE, false).unwrap();
        self.renew(server);
    }

    fn catch_up(&self) {
        if self.stamps.are_newer(&self.seen) {
            self.stamps.catch_up(&self.seen, |server| self.renew(server));
        }
    }

    fn check(&self) {
        let keys = (0..SERVERS).map(|server| (self.key(server), server));
        let least = keys.min().filter(|(key, _)| *key != u64::UNAVAILABLE);
        let found = self.tree.least().unwrap().map(|found| (found.key, found.index));
        assert_eq!(found, least, "untold");
    }
}

/// Counts a connection that the slot counts too.
fn open(own: &OwnCount) {
    own.open(0, Active, || true).unwrap();
}

fn spawn(world: &Arc<World>, act: impl FnOnce(&World) + 'static) -> thread::JoinHandle<()> {
    let world = Arc::clone(world);
    thread::spawn(move || act(&world))
}

fn told(close: fn(&World, u32)) {
    let world = World::new(1, 2);
    let others = [0, 3].map(|server| spawn(&world, move |world| close(world, server)));
    world.catch_up();
    others.into_iter().for_each(|other| other.join().unwrap());
    world.catch_up();
    world.check();
}

/// Closes a connection that is not the worker's: only the stamps tell its index.
fn close_elsewhere(world: &World, server: u32) {
    world.slots[server as usize].close(0, Active, RULE).unwrap();
    world.stamps.changed(server);
}

/// The next pick finds a change of a server's availability by others, no matter what the worker read in
/// the meantime.
pub fn what_changes_for_all_is_found() {
    told(close_elsewhere);
}

/// Wrong: the stamp precedes the change that it announces.
pub fn planted_a_stamp_before_the_change() {
    told(|world, server| {
        world.stamps.changed(server);
        world.slots[server as usize].close(0, Active, RULE).unwrap();
    });
}

fn made(seen_first: bool) {
    let world = World::new(1, 2);
    let other = spawn(&world, |world| close_elsewhere(world, 1));
    // Another index, made concurrently.
    let early = seen_first.then(|| world.stamps.seen());
    let tree = MinTree::new((0..SERVERS).map(|server| world.key(server)), Simd::Scalar);
    let seen = early.unwrap_or_else(|| world.stamps.seen());
    other.join().unwrap();
    if world.stamps.are_newer(&seen) {
        world.stamps.catch_up(&seen, |server| tree.set(server, || world.key(server), |key| key));
    }
    assert_eq!(tree.least().unwrap().map(|found| found.index), Some(1), "untold");
}

/// The next pick also finds a change that happened while the index was made.
pub fn an_index_made_beside_a_change_is_told() {
    made(true);
}

/// Wrong: the copy of the stamps is taken after the servers are read.
pub fn planted_seen_after_the_look() {
    made(false);
}

/// The worker opens a connection while another worker closes one of its connections.
pub fn own_changes_are_told() {
    let world = World::new(0, 2);
    let other = spawn(&world, |world| world.close(0));
    world.open(0);
    other.join().unwrap();
    world.check();
}

fn company(join: fn(&World)) {
    let world = World::new(0, 1);
    // One of two connections does not belong to the worker.
    world.slots[2].open(0, Active, RULE, false).unwrap();
    world.renew(2);
    let joining = spawn(&world, join);
    world.close(2);
    joining.join().unwrap();
    world.check();
}

fn join(world: &World) {
    world.shares.store(2, Ordering::SeqCst);
    (0..SERVERS).for_each(|server| world.renew(server));
}

/// A single worker is joined by another: from then on its index counts its own connections.
pub fn company_beside_a_change_is_told() {
    company(join);
}

/// Wrong: the director refreshes the index before the other worker joins.
pub fn planted_a_look_before_company() {
    company(|world| {
        (0..SERVERS).for_each(|server| world.renew(server));
        world.shares.store(2, Ordering::SeqCst);
    });
}

fn succession(is_vacant: fn(&Incarnation) -> bool) {
    let place = Arc::new((Incarnation::default(), OwnCount::default(), Tally::default()));
    open(&place.1);
    let guest = Arc::clone(&place);
    let ending = thread::spawn(move || {
        let (tenure, own, common) = &*guest;
        if tenure.as_guest(0, || own.close(0, Active)).flatten().is_none() {
            common.add(Connections::one(Active).negative());
        }
    });
    let (tenure, own, common) = &*place;
    tenure.end();
    common.add(own.take().connections());
    let successor = is_vacant(tenure);
    if successor {
        common.add(own.take().connections());
        // The successor opens a connection.
        open(own);
    }
    ending.join().unwrap();
    if successor {
        let counted = own.get(0).connections();
        assert_eq!(counted, Connections::one(Active), "an old end counts for a new worker");
    }
    // A place without a successor is cleared when it gets one.
    let left = if successor { Connections::NONE } else { own.take().connections() };
    assert_eq!(common.get().plus(left), Connections::NONE, "connections that have ended");
}

/// A connection closes while the worker that opened it goes, and another worker gets its place.
pub fn an_end_beside_a_succession_counts_once() {
    succession(Incarnation::is_vacant);
}

/// Wrong: the place is reassigned while a guest acts for its previous owner.
pub fn planted_a_place_with_a_guest() {
    succession(|_| true);
}

/// A server's availability, and a worker's word that may have a note of it (`sched/least/worker.rs`).
struct Noted {
    down: AtomicU32,
    own: OwnCount,
    stamps: Stamps,
    seen: Seen,
}

impl Noted {
    fn is_up(&self) -> bool {
        self.down.load(Ordering::SeqCst) == 0
    }

    fn set_down(&self, down: u32) {
        self.down.store(down, Ordering::SeqCst);
        self.stamps.changed(0);
    }

    /// The worker's.
    fn catch_up(&self) {
        self.stamps.catch_up(&self.seen, |_| self.own.note_availability(0, self.is_up()));
    }

    /// The director's. True if there is something to stamp.
    fn note_missing(&self) -> bool {
        let (is_up, noted) = (self.is_up(), self.own.any().is_noted());
        if is_up == noted && !is_up {
            self.own.note_availability(0, false);
        }
        is_up == noted
    }
}

fn noted(director: fn(&Noted)) {
    let stamps = Stamps::new(1);
    let (seen, own, down) = (stamps.seen(), OwnCount::default(), AtomicU32::new(0));
    let world = Arc::new(Noted { down, own, stamps, seen });
    assert!(world.own.make_sole(0));
    let spawn = |act: fn(&Noted)| {
        let world = Arc::clone(&world);
        thread::spawn(move || act(&world))
    };
    let holder = spawn(|world| {
        world.set_down(1);
        world.set_down(0);
    });
    let director = spawn(director);
    world.catch_up();
    holder.join().unwrap();
    director.join().unwrap();
    world.catch_up();
    assert!(!world.own.any().is_noted(), "noted for good");
}

/// A note that the director sets beside the worker and a change does not stay.
pub fn a_note_beside_a_change_is_cleared() {
    noted(|world| {
        if world.note_missing() {
            world.stamps.changed(0);
        }
    });
}

/// Wrong: the worker does not learn of the note.
pub fn planted_a_note_without_a_stamp() {
    noted(|world| _ = world.note_missing());
}

/// A worker's index of two servers, and the one that comes first in the worker's view, which changes
/// (`sched/least/worker.rs`).
struct Viewed {
    own: [OwnCount; 2],
    first: AtomicU32,
    tree: MinTree,
}

impl Viewed {
    fn key(&self, server: u32) -> u64 {
        self.own[server as usize].any().total().into()
    }

    /// The place of a server, and the server at a place.
    fn place(first: u32, server: u32) -> u32 {
        server ^ first
    }

    fn set(&self, server: u32, looks_again: bool) {
        let first = self.first.load(Ordering::SeqCst);
        let place = Self::place(first, server);
        self.tree.set(place, || self.key(server), |key| key);
        let now = self.first.load(Ordering::SeqCst);
        if looks_again && now != first {
            self.set(server, true);
            self.set(Self::place(now, place), true);
        }
    }
}

fn turned(looks_again: bool) {
    let own = [OwnCount::default(), OwnCount::default()];
    let tree = MinTree::new([0, 0].into_iter(), Simd::Scalar);
    let world = Arc::new(Viewed { own, first: AtomicU32::new(0), tree });
    let worker = Arc::clone(&world);
    let worker = thread::spawn(move || {
        open(&worker.own[0]);
        worker.set(0, looks_again);
    });
    world.first.store(1, Ordering::SeqCst);
    (0..2).for_each(|server| world.set(server, true));
    worker.join().unwrap();
    for server in 0..2 {
        let key = world.tree.key(Viewed::place(1, server));
        assert_eq!(key, Some(world.key(server)), "another server's key");
    }
}

/// While a worker becomes the only one, its connections reach the places of its new view.
pub fn a_view_changes_beside_a_connection() {
    turned(true);
}

/// Wrong: a thread that stores a key by the view of before does not look again.
pub fn planted_one_look_at_the_view() {
    turned(false);
}
