//! Models of how a change of a slot's counts reaches the tree of the published pool: the steps of
//! `sched/least`, `worker.rs` and the director, in their order.

use loom::thread;

use crate::arena::counts::Activity::Active;
use crate::arena::counts::Counts;
use crate::arena::slots::{NO_SERVICE, ServerSlot};
use crate::concurrent::min_tree::MinTree;
use crate::concurrent::simd::Simd;
use crate::config::{KernelRules, ServerState};
use crate::sync::{Arc, AtomicU32, Ordering};

const RULE: KernelRules = KernelRules::B;
/// The service to which the server belongs in the end.
const SERVICE: u32 = 1;

struct World {
    slot: ServerSlot,
    /// The trees of the previous and of the next pool.
    trees: [MinTree; 2],
    /// Which of them is published.
    current: AtomicU32,
}

/// The key of a server that is not up.
const HELD: u64 = 8;

fn key(counts: Counts) -> u64 {
    if counts.available() { counts.active().into() } else { HELD }
}

impl World {
    fn new(connections: u32) -> Arc<Self> {
        let slot = ServerSlot::new(0);
        slot.occupy(SERVICE);
        slot.set_told(true);
        for _ in 0..connections {
            slot.open(0, Active, RULE, false).unwrap();
        }
        let tree = || MinTree::new([connections.into(), 7].into_iter(), Simd::Scalar);
        let current = AtomicU32::new(0);
        Arc::new(World { slot, trees: [tree(), tree()], current })
    }

    fn renew(&self, tree: u32) {
        self.trees[tree as usize].set(0, || self.slot.counts_seqcst(), key);
    }

    fn open(&self) {
        self.slot.open(0, Active, RULE, false).unwrap();
        self.load_changed(self.slot.service_to_tell());
    }

    fn close(&self) {
        self.slot.close(0, Active, RULE).unwrap();
        self.load_changed(self.slot.service_to_tell());
    }

    fn set_state(&self, state: ServerState) {
        self.slot.set_state(0, state).unwrap();
        self.load_changed((self.slot.service(), true));
    }

    /// Does what `Worker::load_changed` does: another service's pool does not contain the server.
    fn load_changed(&self, (service, told): (u32, bool)) {
        if told && service == SERVICE {
            self.renew(self.current.load(Ordering::SeqCst));
        }
    }

    /// Does what the director does.
    fn publish(&self) {
        self.current.store(1, Ordering::SeqCst);
        self.renew(1);
    }

    fn check(&self) {
        let current = self.current.load(Ordering::SeqCst) as usize;
        let found = self.trees[current].least().unwrap().unwrap();
        // The other server's key is 7.
        let first = (0, key(self.slot.counts_seqcst()));
        let least = if first.1 == HELD { (1, 7) } else { first };
        assert_eq!((found.index, found.key), least, "untold");
    }
}

fn spawn(world: &Arc<World>, act: impl FnOnce(&World) + 'static) -> thread::JoinHandle<()> {
    let world = Arc::clone(world);
    thread::spawn(move || act(&world))
}

/// One connection opens, another closes: in the end the tree agrees with the slot.
pub fn changes_are_told() {
    let world = World::new(1);
    let other = spawn(&world, World::close);
    world.open();
    other.join().unwrap();
    world.check();
}

/// A connection closes while a pool is published that was compiled before: its tree has the change.
pub fn a_change_beside_a_publication_is_told() {
    let world = World::new(2);
    let closing = spawn(&world, World::close);
    world.publish();
    closing.join().unwrap();
    world.check();
}

/// A server is held down, or released, while one of its connections closes: the tree has both.
pub fn a_state_beside_a_close_is_told() {
    for (before, after) in
        [(ServerState::Up, ServerState::Down), (ServerState::Down, ServerState::Up)]
    {
        let world = World::new(1);
        world.set_state(before);
        let closing = spawn(&world, World::close);
        world.set_state(after);
        closing.join().unwrap();
        let counts = world.slot.counts_seqcst();
        assert_eq!((counts.state(), counts.total()), (after, 0));
        world.check();
    }
}

fn first_publication(publish: fn(&World)) {
    let world = World::new(2);
    world.slot.set_told(false);
    let closing = spawn(&world, World::close);
    publish(&world);
    closing.join().unwrap();
    world.check();
}

/// The same where no version before was told of changes: the close need not look whether one is.
pub fn a_change_beside_the_first_told_publication_is_told() {
    first_publication(|world| {
        world.slot.set_told(true);
        world.publish();
    });
}

/// Wrong: changes are told only from the publication on.
pub fn planted_told_after_the_publication() {
    first_publication(|world| {
        world.publish();
        world.slot.set_told(true);
    });
}

fn homecoming(close: fn(&World)) {
    let world = World::new(2);
    world.slot.set_service(NO_SERVICE);
    let closing = spawn(&world, close);
    world.slot.set_service(SERVICE);
    world.slot.set_told(true);
    world.publish();
    closing.join().unwrap();
    world.check();
}

/// The same while the server is readopted from a service that was deleted.
pub fn a_close_beside_a_homecoming_is_told() {
    homecoming(World::close);
}

/// Wrong: the closing thread loads the server's service before the close, not after it.
pub fn planted_whose_it_was_before() {
    homecoming(|world| {
        let service = world.slot.service_to_tell();
        world.slot.close(0, Active, RULE).unwrap();
        world.load_changed(service);
    });
}
