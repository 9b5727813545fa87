use std::collections::BTreeMap;

use super::{BUCKETS, Collector, IDLE, MANY, MOST_AT_ONCE, PERIOD, PERIODS_A_SWEEP, bucket_of};
use crate::arena::Arena;
use crate::concurrent::test_random::Random;
use crate::memory::address_map::Affinity;
use crate::memory::one_server::OneServer;
use crate::memory::pace::Pace;
use crate::sync::Arc;

/// A kernel's collections, minute by minute, over a list of addresses and the times of their last use.
struct Kernel {
    used: BTreeMap<u32, u64>,
    next: u64,
    count: u64,
    rover: u32,
}

impl Kernel {
    fn tick(&mut self, now: u64, expiration: u64) {
        while self.next <= now {
            self.minute(self.next, expiration);
            self.next += PERIOD;
        }
    }

    fn minute(&mut self, at: u64, expiration: u64) {
        if self.count == PERIODS_A_SWEEP {
            self.used.retain(|_, used| *used + expiration > at);
            self.count = 1;
            return;
        }
        let Some(excess) = (self.used.len() as u32).checked_sub(MANY).filter(|excess| *excess > 0)
        else {
            self.count += 1;
            return;
        };
        let mut idle: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (key, _) in self.used.iter().filter(|(_, used)| **used + IDLE <= at) {
            idle.entry(bucket_of(u64::from(*key))).or_default().push(*key);
        }
        let goal = (excess * 4 / 3).min(MOST_AT_ONCE);
        let mut ended = 0;
        for bucket in (1..=BUCKETS).map(|step| (self.rover + step) % BUCKETS) {
            for key in idle.remove(&bucket).unwrap_or_default() {
                self.used.remove(&key);
                ended += 1;
            }
            if ended >= goal {
                self.rover = bucket;
                break;
            }
        }
    }
}

struct World {
    arena: Arc<Arena>,
    map: Affinity<OneServer>,
    collector: Collector,
    kernel: Kernel,
    expiration: u64,
}

impl World {
    fn new(expiration: u64) -> Self {
        let arena = Arc::new(Arena::new());
        let map = Affinity::new(Arc::clone(&arena), 1 << 18).expect("memory");
        let kernel = Kernel { used: BTreeMap::new(), next: PERIOD, count: 1, rover: 0 };
        World { arena, map, collector: Collector::new(0), kernel, expiration }
    }

    fn is_known(&self, address: u32) -> bool {
        let key = self.map.key([u64::from(address) << 32, 0], 4);
        self.map.find(key).is_some()
    }

    /// As lblc does.
    fn touch(&mut self, addresses: impl Iterator<Item = u32>) {
        let now = self.arena.clock();
        for address in addresses {
            let key = self.map.key([u64::from(address) << 32, 0], 4);
            let entry = self.map.find(key).or_else(|| self.map.claim(key)).expect("room");
            entry.touch(now);
            self.map.write(entry, |server| server.set(&self.arena, key, 0));
            self.kernel.used.insert(address, now);
        }
    }

    /// Time passes; what is over is decided at once, and a part of it is removed. Returns the number of
    /// slices.
    fn tick(&mut self, now: u64, slice: usize, removed: usize) -> usize {
        self.arena.set_clock(now);
        self.collector.advance(now, self.expiration);
        self.kernel.tick(now, self.expiration);
        let mut slices = 1;
        while !self.collector.collect(&self.map, &mut slice.clone()) {
            slices += 1;
        }
        self.map.sweep(&mut Pace { slice: &mut usize::MAX.clone(), call: &mut removed.clone() });
        slices
    }

    fn check(&self, addresses: impl Iterator<Item = u32>, what: &str) {
        let expected = self.kernel.used.len();
        assert_eq!(self.map.remembered().entries as usize, expected, "{what}");
        for address in addresses {
            let expected = self.kernel.used.contains_key(&address);
            assert_eq!(self.is_known(address), expected, "{what}: {address}");
        }
    }
}

/// Addresses come, are used again and are left, and the clock moves on by seconds, minutes or days: each
/// collection ends what it would in a kernel, however little of it has been removed before the next one.
#[test]
fn what_is_over_is_what_a_kernel_removes() {
    const ADDRESSES: u64 = 60_000;
    let mut collected = 0;
    for seed in 0..12 {
        let mut random = Random(seed);
        // Seconds, hours, a day.
        let expiration = [7_000, 3_600_000, 10_800_000, 86_400_000][seed as usize % 4];
        let mut world = World::new(expiration);
        for step in 0..40 {
            let count = random.below(9_000) as u32;
            let first = random.below(ADDRESSES) as u32;
            world.touch((first..first + count).map(|n| n % ADDRESSES as u32));
            let (least, span) =
                [(0, 59_000), (60_000, 120_000), (60_000, 900_000), (1_800_000, 90_000_000)]
                    [random.below(4) as usize];
            let now = world.arena.clock() + least + random.below(span);
            let before = world.kernel.used.len();
            let removed = [0, 500, 20_000, usize::MAX][random.below(4) as usize];
            let slice = 1 + random.below(100_000) as usize;
            world.tick(now, slice, removed);
            collected += before - world.kernel.used.len();
            let what = format!("seed {seed} step {step} at {now}");
            world.check((0..ADDRESSES as u32).step_by(7), &what);
            assert_eq!(world.collector.next, world.kernel.next, "{what}");
            let state = (world.collector.count, world.collector.rover);
            assert_eq!(state, (world.kernel.count, world.kernel.rover), "{what}");
        }
        world
            .map
            .sweep(&mut Pace { slice: &mut usize::MAX.clone(), call: &mut usize::MAX.clone() });
        assert_eq!(world.map.entries() as usize, world.kernel.used.len(), "{seed}");
    }
    assert!(collected > 100_000, "{collected}");
}

/// The entries are visited once for all the minutes of a day, in slices of the size that is allowed.
#[test]
fn a_jump_of_a_day_takes_one_walk() {
    let mut world = World::new(86_400_000);
    world.touch(0..100_000);
    let entries = 1 << 19;
    assert_eq!(world.tick(PERIOD - 1, 10_000, 0), 1, "nothing is due");
    let slices = world.tick(28 * 60 * PERIOD, 10_000, 0);
    assert!((10..=entries / 10_000 + 2).contains(&slices), "{slices}");
    world.check(0..100_000, "a day later");
    assert_eq!(world.kernel.used.len(), 0);
    // A map without anything over is not walked for what a sweep has left behind.
    assert_eq!(world.map.entries(), 100_000, "nothing is removed yet");
}

/// The end of time, and a clock that counts from 1970.
#[test]
fn no_time_is_too_late() {
    for entries in [100, 20_000] {
        let mut world = World::new(1_000);
        world.touch(0..entries);
        world.arena.set_clock(1_790_000_000_000);
        world.collector.advance(1_790_000_000_000, 1_000);
        assert!(world.collector.collect(&world.map, &mut usize::MAX.clone()));
        assert_eq!(world.map.remembered().entries, 0, "{entries}");
        world.collector.advance(u64::MAX, 1_000);
        assert!(world.collector.collect(&world.map, &mut usize::MAX.clone()));
        assert_eq!(world.collector.next, u64::MAX);
    }
}
