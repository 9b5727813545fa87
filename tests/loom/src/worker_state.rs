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
    others: Stamps,
    renewals: AtomicU32,
    /// The worker's own from here on.
    tree: MinTree,
    seen: Seen,
    others_seen: Seen,
    renewed: AtomicU32,
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
        let (stamps, others) = (Stamps::new(SERVERS), Stamps::new(SERVERS));
        let (seen, others_seen) = (stamps.seen(), others.seen());
        let [shares, renewals, renewed] = [shares, 0, 0].map(AtomicU32::new);
        let tree = MinTree::new((0..SERVERS).map(|_| u64::UNAVAILABLE), Simd::Scalar);
        let slots = (0..SERVERS).map(slot).collect();
        let own: Vec<OwnCount> = (0..SERVERS).map(|_| OwnCount::default()).collect();
        own.iter().for_each(open);
        let tenure = Incarnation::default();
        let world = World {
            slots,
            own,
            tenure,
            shares,
            stamps,
            others,
            renewals,
            tree,
            seen,
            others_seen,
            renewed,
        };
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
        self.tree.set_unshared(server, self.key(server));
    }

    /// Another worker closes a connection of this one.
    fn close_as_guest(&self, server: u32) {
        let end = || self.own[server as usize].close(0, Active);
        self.tenure.as_guest(0, end).flatten().expect("the worker lives, and counts it");
        self.slots[server as usize].close(0, Active, RULE).unwrap();
        self.others.changed(server);
    }

    fn close(&self, server: u32) {
        self.own[server as usize].close(0, Active).expect("the worker counts it");
        self.slots[server as usize].close(0, Active, RULE).unwrap();
        self.renew(server);
    }

    /// The director has the worker renew all.
    fn renew_all(&self) {
        self.renewals.fetch_add(1, Ordering::SeqCst);
        self.others.changed(0);
    }

    fn open(&self, server: u32) {
        open(&self.own[server as usize]);
        self.slots[server as usize].open(0, Active, RULE, false).unwrap();
        self.renew(server);
    }

    fn catch_up(&self) {
        if !self.stamps.are_newer(&self.seen) && !self.others.are_newer(&self.others_seen) {
            return;
        }
        self.stamps.catch_up(&self.seen, |server| self.renew(server));
        self.others.catch_up(&self.others_seen, |server| self.renew(server));
        let renewals = self.renewals.load(Ordering::SeqCst);
        if self.renewed.load(Ordering::Relaxed) != renewals {
            self.renewed.store(renewals, Ordering::Relaxed);
            (0..SERVERS).for_each(|server| self.renew(server));
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

fn guest(close: fn(&World, u32)) {
    let world = World::new(0, 2);
    let other = spawn(&world, move |world| close(world, 0));
    world.open(0);
    world.catch_up();
    other.join().unwrap();
    world.catch_up();
    world.check();
}

/// The worker opens a connection while another worker closes one of its connections.
pub fn own_changes_are_told() {
    guest(World::close_as_guest);
}

/// Wrong: a guest stamps what it has not changed yet.
pub fn planted_a_stamp_before_the_close() {
    guest(|world, server| {
        world.others.changed(server);
        world.own[server as usize].close(0, Active).expect("the worker counts it");
        world.slots[server as usize].close(0, Active, RULE).unwrap();
    });
}

fn company(join: fn(&World)) {
    let world = World::new(0, 1);
    // One of two connections does not belong to the worker.
    world.slots[2].open(0, Active, RULE, false).unwrap();
    world.renew(2);
    let joining = spawn(&world, join);
    world.close(2);
    world.catch_up();
    joining.join().unwrap();
    world.catch_up();
    world.check();
}

/// A single worker is joined by another: from then on its index counts its own connections.
pub fn company_beside_a_change_is_told() {
    company(|world| {
        world.shares.store(2, Ordering::SeqCst);
        world.renew_all();
    });
}

/// Wrong: the worker renews its index before the other one joins.
pub fn planted_a_look_before_company() {
    company(|world| {
        world.renew_all();
        world.shares.store(2, Ordering::SeqCst);
    });
}

/// The worker has changed its connections by the version of before, or finds the new one, whose index the
/// director has made meanwhile.
fn published(compares: bool) {
    let world = World::new(0, 2);
    let is_published = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&is_published);
    // The tree is the new version's.
    let worker = spawn(&world, move |world| {
        open(&world.own[0]);
        world.slots[0].open(0, Active, RULE, false).unwrap();
        if seen.load(Ordering::SeqCst) == 1 {
            world.renew(0);
        }
    });
    is_published.store(1, Ordering::SeqCst);
    for server in (0..SERVERS).filter(|_| compares) {
        if world.tree.key(server) != Some(world.key(server)) {
            world.others.changed(server);
        }
    }
    worker.join().unwrap();
    world.catch_up();
    world.check();
    assert_eq!(world.tree.key(0), Some(world.key(0)), "untold");
}

/// A connection beside a publication reaches the new version's index.
pub fn a_connection_beside_a_publication_is_told() {
    published(true);
}

/// Wrong: the director does not compare what it has made with what there is.
pub fn planted_no_look_after_the_publication() {
    published(false);
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
        if !is_up {
            self.own.note_availability(0, false);
        }
        !is_up || noted
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
