//! Models of `concurrent/min_tree.rs`: concurrent writers, pickers, and threads that are stopped for
//! good. Blocks hold two keys here; four leaves have one row of nodes, five have two.

use loom::thread;

use crate::concurrent::min_tree::{Least, MinTree};
use crate::concurrent::simd::key::Key;
use crate::concurrent::simd::{self, FAN_OUT, Keys, Simd};
use crate::sync::{Arc, AtomicU64, Ordering};

/// Servers whose load is a number.
struct Servers<K: Key = u64> {
    loads: Vec<AtomicU64>,
    tree: MinTree<K>,
    keys: Keys,
}

/// A server, and the change of its load.
type Change = (u32, i64);

/// The initial loads, and the change by each of two threads.
pub type Case = (&'static [u64], [Change; 2]);

/// One block, two blocks, two rows of nodes; rising, falling, and crossing loads.
pub const CASES: [Case; 16] = [
    (&[5, 5, 5, 5], [(0, -3), (0, 4)]),
    (&[5, 5, 5, 5], [(0, -3), (1, -2)]),
    (&[5, 5, 5, 5], [(0, -3), (1, 2)]),
    (&[5, 5, 5, 5, 5], [(1, -3), (1, 4)]),
    (&[5, 5, 5, 5, 5], [(0, -3), (1, -2)]),
    (&[5, 5, 5, 5, 5], [(0, -3), (2, -2)]),
    (&[0, 3, 5, 5], [(0, 9), (1, -2)]),
    (&[0, 3, 5, 5], [(0, 9), (0, -9)]),
    (&[2, 2, 2, 2], [(0, 1), (1, 1)]),
    (&[2, 2, 2, 2], [(1, -1), (3, -1)]),
    (&[1, 4, 2, 3], [(0, 5), (2, -2)]),
    (&[4, 4, 4, 1], [(3, 5), (0, -4)]),
    (&[4, 4, 4, 1], [(3, 5), (3, -5)]),
    (&[1, 2, 3, 4, 5], [(0, 8), (1, -2)]),
    (&[1, 2, 3, 4, 5], [(0, 8), (2, -3)]),
    (&[5, 5, 5, 5, 1], [(4, 7), (3, -4)]),
];

/// The most words and blocks that a change accesses without concurrent changes: a leaf; a node twice, and its
/// block twice; the same one row above; what would be above that.
pub const STEPS: usize = 10;

impl<K: Key> Servers<K> {
    fn new(loads: &[u64], simd: Simd) -> Arc<Self> {
        let tree = MinTree::new(loads.iter().map(|load| K::of(*load)), simd);
        let loads = loads.iter().map(|load| AtomicU64::new(*load)).collect();
        Arc::new(Servers { loads, tree, keys: simd::made() })
    }

    fn load(&self, index: u32) -> u64 {
        self.loads[index as usize].load(Ordering::SeqCst)
    }

    fn change(&self, (index, by): Change) {
        self.loads[index as usize].fetch_add(by as u64, Ordering::SeqCst);
        self.tell(index);
    }

    fn tell(&self, index: u32) {
        self.tree.set(index, || self.load(index), K::of);
    }

    /// Picks as `sched/least` does: only a server whose load equals its key in the tree.
    fn pick(&self) -> Option<u32> {
        self.pick_by(|tree| tree.least().ok()?)
    }

    /// The same where equally loaded servers take turns.
    fn pick_from(&self, first: u32) -> Option<u32> {
        self.pick_by(|tree| tree.least_from(first).ok()?)
    }

    fn pick_by(&self, least: impl Fn(&MinTree<K>) -> Option<Least<K>>) -> Option<u32> {
        for _ in 0..8 {
            let found = least(&self.tree)?;
            if self.load(found.index) == found.key.number() {
                return Some(found.index);
            }
            self.tell(found.index);
        }
        None
    }

    fn least(&self) -> Option<u32> {
        (0..self.loads.len() as u32).min_by_key(|index| self.load(*index))
    }

    /// While no thread is in the tree: every leaf is its server's load, every node the least of its
    /// block, and the least is found.
    fn check(&self) {
        self.check_nodes(|node, least| node == least, "a node is not the least of its block");
    }

    /// After a thread was stopped: a node may be too low, which the next reader repairs; none is too
    /// high, and the least is found.
    fn check_for_hidden(&self) {
        self.check_nodes(|node, least| node <= least, "a node hides its block");
    }

    fn check_nodes(&self, is_right: impl Fn(u64, u64) -> bool, wrong: &str) {
        for index in 0..self.loads.len() {
            let leaf = (self.keys)(index);
            assert_eq!(leaf, self.load(index as u32), "a leaf is not its server's load");
        }
        let (mut row, mut blocks) = (0, self.loads.len().div_ceil(FAN_OUT));
        while blocks > 1 {
            let above = row + blocks * FAN_OUT;
            for at in 0..blocks {
                let keys = (0..FAN_OUT).map(|lane| (self.keys)(row + at * FAN_OUT + lane));
                let node = (self.keys)(above + at);
                assert!(is_right(node, keys.min().expect("two")), "{wrong}");
            }
            (row, blocks) = (above, blocks.div_ceil(FAN_OUT));
        }
        let found = self.tree.least().expect("no thread changes it");
        assert_eq!(found.map(|found| found.index), self.least());
        let length = self.loads.len() as u32;
        for first in 0..length {
            let places = (first..length).chain(0..first);
            let least = places.min_by_key(|index| self.load(*index));
            let found = self.tree.least_from(first).expect("no thread changes it");
            assert_eq!(found.map(|found| found.index), least, "from {first}");
        }
    }
}

fn spawn<K: Key, R: 'static>(
    servers: &Arc<Servers<K>>,
    act: impl FnOnce(&Servers<K>) -> R + 'static,
) -> thread::JoinHandle<R> {
    let servers = Arc::clone(servers);
    thread::spawn(move || act(&servers))
}

fn updaters<K: Key>((loads, [here, there]): Case, simd: Simd) {
    let servers = Servers::<K>::new(loads, simd);
    let other = spawn(&servers, move |servers| servers.change(there));
    servers.change(here);
    other.join().unwrap();
    servers.check();
}

/// Two threads change loads: once both are done, the tree is correct.
pub fn two_updaters(case: Case) {
    updaters::<u64>(case, Simd::Scalar);
}

/// The same with keys of 32 bits.
pub fn two_updaters_of_narrow_keys(case: Case) {
    updaters::<u32>(case, Simd::Scalar);
}

fn falls_and_rises(loads: &[u64]) {
    let servers = Servers::<u64>::new(loads, Simd::Scalar);
    let other = spawn(&servers, |servers| {
        servers.change((0, -6));
        servers.change((0, 6));
    });
    servers.change((0, 1));
    other.join().unwrap();
    servers.check();
}

/// A load becomes the least and rises again, concurrent with another change of it: the key that the
/// other writer's swap replaces is not the one that it loaded before.
pub fn a_leaf_falls_and_rises() {
    falls_and_rises(&[9, 5, 5, 5]);
}

/// Like [`a_leaf_falls_and_rises`], one row higher.
pub fn a_node_falls_and_rises() {
    falls_and_rises(&[9, 20, 5, 5, 5]);
}

fn three(loads: &[u64], [here, others @ ..]: [Change; 3]) {
    let servers = Servers::<u64>::new(loads, Simd::Scalar);
    let others = others.map(|change| spawn(&servers, move |it| it.change(change)));
    servers.change(here);
    for other in others {
        other.join().unwrap();
    }
    servers.check();
}

/// Three threads change loads below one node.
pub fn three_updaters() {
    three(&[0, 3, 5], [(0, 9), (1, -2), (0, -1)]);
}

/// Like [`three_updaters`], where most loads fall.
pub fn three_updaters_of_falling_loads() {
    three(&[5, 5, 5], [(0, 4), (1, -2), (0, -3)]);
}

/// A thread picks and opens, concurrent with a writer: the pick is verified, and the tree is correct.
pub fn a_picker_beside_an_updater((loads, [change, _]): Case) {
    let servers = Servers::<u64>::new(loads, Simd::Scalar);
    let other = spawn(&servers, move |servers| servers.change(change));
    let picked = servers.pick().expect("one updater does not keep a picker from its pick");
    servers.change((picked, 1));
    other.join().unwrap();
    servers.check();
}

/// The same for picks in turn, from the middle.
pub fn a_picker_in_turn_beside_an_updater((loads, [change, _]): Case) {
    let servers = Servers::<u64>::new(loads, Simd::Scalar);
    let other = spawn(&servers, move |servers| servers.change(change));
    let picked = servers.pick_from(2).expect("one updater does not keep a picker from its pick");
    servers.change((picked, 1));
    other.join().unwrap();
    servers.check();
}

/// A thread is stopped for good after some step: pickers detect the load that it did not propagate.
pub fn what_one_did_not_tell_is_found_out((loads, [change, _]): Case, steps: usize, in_turn: bool) {
    let servers = Servers::<u64>::new(loads, Simd::Scalar);
    let (_, by) = change;
    simd::stopped_after(steps, || servers.change(change));
    for turn in 0..3 {
        let picked = if in_turn { servers.pick_from(turn) } else { servers.pick() };
        let picked = picked.expect("a stopped thread keeps no other from picking");
        // A server whose load fell may be hidden; one whose load rose is not picked by its old load.
        let least = servers.least().map(|least| servers.load(least));
        assert!(by < 0 || Some(servers.load(picked)) == least, "a loaded server is picked");
        servers.change((picked, 1));
    }
}

/// A thread is stopped for good while others continue: picks succeed, and the next changes reveal what
/// it has hidden.
pub fn stopped_threads_hold_up_nobody((loads, [stops, goes]): Case, steps: usize) {
    let servers = Servers::<u64>::new(loads, Simd::Scalar);
    let stopping = spawn(&servers, move |servers| {
        simd::stopped_after(steps, || servers.change(stops));
    });
    servers.change(goes);
    stopping.join().unwrap();
    let picked = servers.pick().expect("a stopped thread keeps no other from picking");
    servers.change((picked, 1));
    (0..loads.len() as u32).for_each(|index| servers.change((index, 1)));
    servers.check_for_hidden();
}

impl Servers {
    /// As `sched/locality_index` does, whose keys are lower bounds: tells only a load that has fallen, and
    /// is below its key.
    fn change_bounded(&self, (index, by): Change) {
        self.loads[index as usize].fetch_add(by as u64, Ordering::SeqCst);
        if by < 0 {
            self.lower(index, |servers| servers.tree.key(index));
        }
    }

    fn lower(&self, index: u32, key: impl Fn(&Servers) -> Option<u64>) {
        let load = self.load(index);
        if key(self).expect("a leaf") > load {
            self.tell(index);
        }
    }

    /// While no thread is in the tree: no key is above its load, and picks find the least loaded.
    fn check_bounds(&self) {
        for index in 0..self.loads.len() as u32 {
            assert!(self.tree.key(index) <= Some(self.load(index)), "a key is too high");
        }
        assert_eq!(self.pick(), self.least());
    }
}

/// Loads that have risen since their keys were set.
fn with_low_keys(loads: &[u64]) -> Arc<Servers> {
    let servers = Servers::<u64>::new(loads, Simd::Scalar);
    for index in 0..loads.len() as u32 {
        servers.change_bounded((index, 4));
    }
    servers
}

/// A pick corrects low keys, concurrent with a change of one of the loads.
pub fn a_correction_beside_a_change((loads, [(index, by), _]): Case) {
    let servers = with_low_keys(loads);
    let other = spawn(&servers, move |servers| servers.change_bounded((index, by)));
    let _ = servers.pick();
    other.join().unwrap();
    servers.check_bounds();
}

/// Two threads change loads of which one has been corrected.
pub fn two_changes_beside_low_keys((loads, [here, there]): Case) {
    let servers = with_low_keys(loads);
    servers.tell(here.0);
    let other = spawn(&servers, move |servers| servers.change_bounded(there));
    servers.change_bounded(here);
    other.join().unwrap();
    servers.check_bounds();
}

/// Wrong: a key is loaded before its server's load has changed.
pub fn planted_a_key_from_before_the_change() {
    let servers = with_low_keys(&[0, 3]);
    let other = spawn(&servers, |servers| {
        let key = servers.tree.key(0);
        servers.loads[0].fetch_sub(3, Ordering::SeqCst);
        servers.lower(0, |_| key);
    });
    let _ = servers.pick();
    other.join().unwrap();
    servers.check_bounds();
}

/// Wrong: a pick corrects a key by loads that may be ordered before its store of the leaf.
pub fn planted_a_relaxed_look_at_the_load() {
    let servers = with_low_keys(&[0, 3]);
    let other = spawn(&servers, |servers| servers.change_bounded((0, -3)));
    let load = || servers.loads[0].load(Ordering::Relaxed);
    servers.tree.set(0, load, |load| load);
    other.join().unwrap();
    servers.check_bounds();
}

/// Wrong: after it has stored a leaf, a writer does not load the load again.
pub fn planted_no_second_look_at_the_load() {
    let servers = Servers::<u64>::new(&[0, 3, 5, 5], Simd::Scalar);
    let change = |servers: &Servers, by: i64| {
        servers.loads[0].fetch_add(by as u64, Ordering::SeqCst);
        let known = servers.load(0);
        servers.tree.set(0, || known, |load| load);
    };
    let other = spawn(&servers, move |servers| change(servers, 9));
    change(&servers, 7);
    other.join().unwrap();
    servers.check();
}

/// Wrong: after it has stored a node, a writer does not read the block again.
pub fn planted_no_second_look_at_the_block() {
    updaters::<u64>((&[0, 3, 5, 5], [(0, 9), (1, -2)]), Simd::LooksOnce);
}

/// Wrong: a writer is stopped before it corrects a node, and pickers trust the tree.
pub fn planted_pickers_do_not_help() {
    let servers = Servers::<u64>::new(&[0, 3, 5, 5], Simd::Scalar);
    servers.loads[0].fetch_add(9, Ordering::SeqCst);
    let other = spawn(&servers, |servers| {
        // Stopped before it has propagated to any node.
        simd::stopped_after(1, || servers.tree.set(0, || 0, |load| load));
    });
    other.join().unwrap();
    let picked = servers.tree.least().expect("no thread changes it").map(|found| found.index);
    assert_eq!(picked, servers.least(), "a loaded server is picked");
}
