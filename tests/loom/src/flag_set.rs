//! Models of `concurrent/flag_set.rs`, as `sched/locality_index` uses it: which servers have spare weight.

use loom::thread;

use crate::concurrent::flag_set::FlagSet;
use crate::sync::{Arc, AtomicU32, AtomicU64, Ordering};

/// A server has spare weight with fewer connections than this.
const HALF: u64 = 2;

/// A server, and the change of its load.
type Change = (u32, i64);

/// The loads of servers 0, 1 and 64, of which the last has a word of its own.
type Loads = [u64; 3];

/// The initial loads, and the change by each of two threads.
pub type Case = (Loads, [Change; 2]);

/// Of one server or of two, in one word or in two; across the half and back.
pub const CASES: [Case; 9] = [
    ([1, 5, 5], [(0, 1), (0, -1)]),
    ([2, 5, 5], [(0, 1), (0, -1)]),
    ([1, 5, 5], [(0, 1), (0, 1)]),
    ([1, 1, 5], [(0, 1), (1, 1)]),
    ([1, 2, 5], [(0, 1), (1, -1)]),
    ([2, 2, 5], [(0, -1), (1, -1)]),
    ([1, 5, 1], [(0, 1), (64, 1)]),
    ([1, 5, 2], [(0, 1), (64, -1)]),
    ([5, 5, 5], [(1, -9), (64, 1)]),
];

/// The same for three threads.
pub const THREE: [(Loads, [Change; 3]); 3] = [
    ([1, 5, 5], [(0, 1), (0, -1), (0, 1)]),
    ([1, 2, 5], [(0, 1), (1, -1), (0, -1)]),
    ([1, 5, 2], [(0, 1), (64, -1), (64, 1)]),
];

struct Servers {
    loads: [AtomicU64; 3],
    /// Of the previous and of the next pool.
    sets: [FlagSet; 2],
    /// Which of them is published.
    current: AtomicU32,
}

fn has_spare(load: u64) -> bool {
    (load as i64) < HALF as i64
}

impl Servers {
    fn new(loads: Loads) -> Arc<Self> {
        let load = |index: usize| match index {
            0 | 1 => has_spare(loads[index]),
            64 => has_spare(loads[2]),
            _ => false,
        };
        let sets = [(); 2].map(|()| FlagSet::new((0..=64).map(load)));
        let loads = loads.map(AtomicU64::new);
        Arc::new(Servers { loads, sets, current: AtomicU32::new(0) })
    }

    fn load(&self, index: u32) -> &AtomicU64 {
        &self.loads[if index == 64 { 2 } else { index as usize }]
    }

    fn tell(&self, set: u32, index: u32) {
        let load = || self.load(index).load(Ordering::SeqCst);
        self.sets[set as usize].set(index, load, has_spare);
    }

    fn change(&self, (index, by): Change) {
        self.load(index).fetch_add(by as u64, Ordering::SeqCst);
        self.tell(self.current.load(Ordering::SeqCst), index);
    }

    /// As the director does.
    fn publish(&self) {
        self.current.store(1, Ordering::SeqCst);
        [0, 1, 64].into_iter().for_each(|index| self.tell(1, index));
    }

    fn check(&self) {
        let set = &self.sets[self.current.load(Ordering::SeqCst) as usize];
        let spare = |load: &AtomicU64| has_spare(load.load(Ordering::SeqCst));
        assert_eq!(set.is_empty(), !self.loads.iter().any(spare), "a flag is wrong");
        // Each flag too: without the others' the set is empty.
        for index in [0, 1, 64] {
            set.set(index, || (), |()| false);
        }
        assert!(set.is_empty(), "a flag is wrong");
    }
}

fn spawn(servers: &Arc<Servers>, act: impl FnOnce(&Servers) + 'static) -> thread::JoinHandle<()> {
    let servers = Arc::clone(servers);
    thread::spawn(move || act(&servers))
}

/// Loads cross the half concurrently: once both threads are done, the set is exact.
pub fn two_threads_cross((loads, [here, there]): Case) {
    let servers = Servers::new(loads);
    let other = spawn(&servers, move |servers| servers.change(there));
    servers.change(here);
    other.join().unwrap();
    servers.check();
}

/// The same with three threads.
pub fn three_threads_cross((loads, [here, others @ ..]): (Loads, [Change; 3])) {
    let servers = Servers::new(loads);
    let others = others.map(|change| spawn(&servers, move |servers| servers.change(change)));
    servers.change(here);
    for other in others {
        other.join().unwrap();
    }
    servers.check();
}

/// A load changes while a pool is published that was compiled before: its set has the change.
pub fn a_set_beside_a_publication() {
    let servers = Servers::new([2, 5, 5]);
    let other = spawn(&servers, |servers| {
        servers.change((0, -1));
        servers.change((0, 1));
    });
    servers.publish();
    other.join().unwrap();
    servers.check();
}

/// Wrong: after a change of a flag, the load is not loaded again.
pub fn planted_a_flag_by_one_look() {
    let servers = Servers::new([2, 5, 5]);
    let change = |servers: &Servers, by: i64| {
        servers.loads[0].fetch_add(by as u64, Ordering::SeqCst);
        let known = servers.loads[0].load(Ordering::SeqCst);
        servers.sets[0].set(0, || known, has_spare);
    };
    let other = spawn(&servers, move |servers| change(servers, -1));
    change(&servers, 1);
    other.join().unwrap();
    servers.check();
}
