use std::fmt::Debug;

use super::{Least, MinTree, NO_INDEX};
use crate::concurrent::simd::key::Key;
use crate::concurrent::simd::{Block, Blocks, FAN_OUT, Simd};
use crate::concurrent::test_random::Random;

/// Keys of one width.
trait TestKey: Key + Debug + From<u8> {
    /// Zeros, ties, [`UNAVAILABLE`](Key::UNAVAILABLE), and numbers of every size.
    fn random(random: &mut Random, spread: u64) -> Self;
}

impl TestKey for u64 {
    fn random(random: &mut Random, spread: u64) -> u64 {
        match random.below(8) {
            0 => 0,
            1 => u64::UNAVAILABLE,
            2 => (random.below(1 << 35) as f64 / (1 + random.below(1 << 16)) as f64).to_bits(),
            3 => f64::MIN_POSITIVE.to_bits() >> random.below(60),
            _ => (random.below(spread) as f64).to_bits(),
        }
    }
}

impl TestKey for u32 {
    fn random(random: &mut Random, spread: u64) -> u32 {
        match random.below(8) {
            0 => 0,
            1 => u32::UNAVAILABLE,
            // Among them those that are negative as signed numbers.
            2 => (random.below(1 << 32) >> random.below(32)) as u32,
            3 => u32::MAX - random.below(3) as u32,
            _ => random.below(spread) as u32,
        }
    }
}

fn block<K: Key>(blocks: &Blocks<K>) -> &Block<K> {
    blocks.block(0).unwrap()
}

/// Both ways to read a block, where this processor has two.
fn ways() -> Vec<Simd> {
    let mut ways = vec![Simd::Scalar, Simd::detect()];
    ways.dedup();
    ways
}

fn first_least<K: Key>(keys: &[K], excluded: &[u32]) -> Option<Least<K>> {
    least_from(keys, 0, excluded)
}

fn least_from<K: Key>(keys: &[K], first: usize, excluded: &[u32]) -> Option<Least<K>> {
    let places = (first..keys.len()).chain(0..first);
    let keys = places.map(|index| Least { index: index as u32, key: keys[index] });
    let left = keys.filter(|least| least.key != K::UNAVAILABLE && !excluded.contains(&least.index));
    // On a tie, the first.
    left.min_by_key(|least| least.key)
}

#[test]
fn every_way_reads_a_block_as_a_walk_does() {
    read_blocks::<u32>();
    read_blocks::<u64>();
}

fn read_blocks<K: TestKey>() {
    let (mut random, unavailable) = (Random(1), [K::UNAVAILABLE]);
    for round in 0..20_000u64 {
        let length = if round % 3 == 0 { FAN_OUT as u64 } else { random.below(33) };
        let spread = [1, 2, 5, 1 << 40][round as usize % 4];
        let keys: Vec<K> = (0..length).map(|_| K::random(&mut random, spread)).collect();
        let blocks = Blocks::of(if length == 0 { &unavailable } else { &keys });
        let block = block(&blocks);
        let least = keys.iter().copied().min().unwrap_or(K::UNAVAILABLE);
        // A block of nothing but `UNAVAILABLE` returns lane 0, even if it is short.
        let lane = keys.iter().position(|key| *key == least).unwrap_or(0);
        for way in ways() {
            assert_eq!(way.least(block), least, "{way:?} {keys:?}");
            assert_eq!(way.first_least(block), (least, lane), "{way:?} {keys:?}");
            assert_eq!(way.lane_of_least(block, least), Some(lane), "{way:?} {keys:?}");
            let other = K::random(&mut random, spread);
            let from = random.below(32) as usize;
            let up_to = (from..keys.len()).find(|lane| keys[*lane] <= other);
            let up_to = up_to.or((other == K::UNAVAILABLE).then_some(keys.len().max(from)));
            let up_to = up_to.filter(|lane| *lane < FAN_OUT);
            assert_eq!(way.first_up_to(block, other, from), up_to, "{way:?} {keys:?}");
            let expected = (other == least).then_some(lane);
            assert_eq!(way.lane_of_least(block, other), expected, "{way:?} {keys:?}");
        }
    }
}

#[test]
fn trees_find_what_a_scan_finds() {
    search_trees::<u32>();
    search_trees::<u64>();
}

fn search_trees<K: TestKey>() {
    for (length, changes) in
        [(1, 50), (31, 400), (32, 400), (33, 400), (1000, 2000), (1025, 2000), (40_000, 300)]
    {
        for way in ways() {
            for spread in [1, 3, 1 << 30] {
                let mut random = Random(length as u64 ^ spread);
                let mut keys: Vec<K> =
                    (0..length).map(|_| K::random(&mut random, spread)).collect();
                let tree = MinTree::new(keys.iter().copied(), way);
                for _ in 0..changes {
                    // Often at or near the least key, so that it moves.
                    let least = first_least(&keys, &[]).map_or(0, |least| least.index as usize);
                    let near = (least + random.below(3) as usize).min(length - 1);
                    let anywhere = random.below(length as u64) as usize;
                    let at = if random.below(2) == 0 { near } else { anywhere };
                    keys[at] = K::random(&mut random, spread);
                    tree.set(at as u32, || keys[at], |key| key);
                    assert_eq!(tree.least(), Ok(first_least(&keys, &[])), "{length} {way:?}");
                    let count = random.below(9);
                    let start = least as u64;
                    let excluded: Vec<u32> = (0..count)
                        .map(|_| ((start + random.below(40)) % length as u64) as u32)
                        .collect();
                    assert_eq!(tree.least_except(&excluded), first_least(&keys, &excluded));
                    for first in [anywhere, near, at, length - 1] {
                        let expected = least_from(&keys, first, &[]);
                        assert_eq!(tree.least_from(first as u32), Ok(expected), "{length} {way:?}");
                        let expected = least_from(&keys, first, &excluded);
                        assert_eq!(tree.least_except_from(first as u32, &excluded), expected);
                    }
                }
            }
        }
    }
}

#[test]
fn a_tree_without_leaves_has_no_least() {
    fn check<K: TestKey>() {
        for way in ways() {
            let tree = MinTree::<K>::new(std::iter::empty(), way);
            assert_eq!((tree.least(), tree.least_except(&[])), (Ok(None), None));
            assert_eq!((tree.least_from(3), tree.least_except_from(3, &[])), (Ok(None), None));
        }
    }
    check::<u32>();
    check::<u64>();
}

#[test]
fn an_index_beyond_the_words_is_refused() {
    let tree = MinTree::<u64>::new([3, 4].into_iter(), Simd::detect());
    for index in [FAN_OUT as u32, NO_INDEX] {
        tree.set(index, || 1, |key| key);
        assert_eq!(tree.set_once(index, || 1, |key| key), Ok(NO_INDEX));
    }
    assert_eq!(tree.least(), Ok(Some(Least { index: 0, key: 3 })));
}

#[test]
fn of_equals_behind_an_excluded_one_the_first_is_found() {
    fn check<K: TestKey>() {
        let (first, excluded, second) = (1, FAN_OUT as u32, FAN_OUT as u32 + 1);
        // The excluded one makes its block look better than that of the first equal.
        let key_of = |index| match index {
            _ if index == excluded => 3.into(),
            _ if index == first || index == second => 7.into(),
            _ => 9.into(),
        };
        for way in ways() {
            let tree = MinTree::<K>::new((0..3 * FAN_OUT as u32).map(key_of), way);
            let least = |index| Some(Least { index, key: 7.into() });
            assert_eq!(tree.least_except(&[excluded]), least(first), "{way:?}");
            assert_eq!(tree.least_except(&[first, excluded]), least(second), "{way:?}");
        }
    }
    check::<u32>();
    check::<u64>();
}

/// What a writer learns of the leaf that it has set: whether it is the least of all, as far as rows of nodes
/// say.
#[test]
fn who_becomes_least_learns_of_it() {
    fn check<K: TestKey>() {
        for (length, rows) in [(64, 1), (65, 2), (2048, 2), (2049, 3)] {
            for way in ways() {
                let tree = MinTree::<K>::new((0..length).map(|_| 5.into()), way);
                let set = |index, key: u8| tree.set_once(index, || key, K::from);
                let told = |index| Ok(if rows > 1 { index } else { NO_INDEX });
                assert_eq!(set(length - 1, 4), told(length - 1), "{length} {way:?}");
                assert_eq!(set(0, 4), told(0), "{length} {way:?}");
                assert_eq!(set(1, 9), Ok(NO_INDEX), "not the least before or after");
                assert_eq!(set(0, 4), Ok(NO_INDEX), "nothing changed");
            }
        }
    }
    check::<u32>();
    check::<u64>();
}
