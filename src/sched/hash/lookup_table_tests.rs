//! Compares tables with those of kernels, and with a literal implementation of the algorithm.

use super::*;

const DEFAULT: (u32, u32) = (4093, 6);

fn deal((size, turn_bits): (u32, u32), shares: &[Share]) -> Vec<Option<Position>> {
    let table = LookupTable::deal(size, turn_bits, shares.to_vec(), None);
    assert_eq!(table.size(), size);
    (0..size).map(|slot| table.at(slot)).collect()
}

/// The literal algorithm: complete permutations, and rounds over all servers.
fn literal((size, turn_bits): (u32, u32), shares: &[Share]) -> Vec<Option<Position>> {
    let wide = u64::from(size);
    let order = |share: &Share| -> Vec<u64> {
        let offset = u64::from(siphash_1_3(share.value, OFFSET)) % wide;
        let step = u64::from(siphash_1_3(share.value, STEP)) % (wide - 1) + 1;
        (0..wide).map(|j| (offset + j * step) % wide).collect()
    };
    let orders: Vec<Vec<u64>> = shares.iter().map(order).collect();
    let heaviest = shares.iter().map(|share| share.weight).max().unwrap_or(0);
    let unit = shares.iter().fold(0, |mut unit, share| {
        let mut rest = share.weight;
        while rest > 0 {
            (unit, rest) = (rest, unit % rest);
        }
        unit
    });
    let mut halvings = 0;
    while (heaviest / unit.max(1)) >> halvings >= 1 << turn_bits {
        halvings += 1;
    }
    let mut slots = vec![None; size as usize];
    let mut free = if heaviest == 0 { 0 } else { size };
    let mut next = vec![0; shares.len()];
    while free > 0 {
        for (position, share) in shares.iter().enumerate().filter(|(_, share)| share.weight > 0) {
            let turn = ((share.weight / unit) >> halvings).max(1).min(free);
            for _ in 0..turn {
                while slots[orders[position][next[position]] as usize].is_some() {
                    next[position] += 1;
                }
                slots[orders[position][next[position]] as usize] = Some(position as Position);
                free -= 1;
            }
        }
    }
    slots
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((self.0 >> 33) % u64::from(limit)) as u32
    }
}

fn random_shares(random: &mut Random, count: u32) -> Vec<Share> {
    let heaviest = [2, 4, 300, 65_536, 2_000_000][random.below(5) as usize];
    let factor = [1, 1, 6, 1000][random.below(4) as usize];
    let weight = |random: &mut Random| match random.below(4) {
        0 => heaviest - 1,
        1 => 1,
        2 => random.below(heaviest),
        _ => random.below(2),
    };
    // Values from a small range collide now and then: two servers with the same permutation.
    (0..count)
        .map(|_| Share { value: random.below(5000), weight: weight(random) * factor })
        .collect()
}

#[test]
fn hashes_of_the_kernel() {
    for (value, offset, step) in [
        (0, 0x1d5a_77c2, 0xf882_433f),
        (1, 0x16ec_66b2, 0x8210_aad1),
        (0x0a09_0051, 0xe9f2_19f2, 0xdbb6_1696),
        (0xc0a8_0701, 0x3ca4_07ee, 0x0e16_eed6),
        (u32::MAX, 0x22c5_d719, 0xf75a_0f5d),
    ] {
        assert_eq!((hash(value), siphash_1_3(value, STEP)), (offset, step), "{value:#x}");
    }
}

#[test]
fn tables_of_the_kernel() {
    // Servers 10.9.0.N, port 80, in the order in which they were added, with their weights; the sum is
    // over one byte N per slot.
    for (added, counts, sum) in [
        ([(1, 1), (2, 1), (3, 1)], [1364, 1364, 1365], 0xf1d2_5953),
        ([(3, 1), (2, 1), (1, 1)], [1365, 1364, 1364], 0x1248_6405),
        ([(1, 1), (2, 2), (3, 3)], [682, 1364, 2047], 0x8215_3c8b),
        ([(1, 100), (2, 1), (3, 65_535)], [62, 62, 3969], 0xd571_4673),
        ([(1, 128), (2, 64), (3, 1)], [2665, 1344, 84], 0x9921_5581),
    ] {
        let newest_first: Vec<_> = added.into_iter().rev().collect();
        let share = |&(n, weight): &(u8, u32)| Share {
            value: u32::from_be_bytes([10, 9, 0, n]) + 80,
            weight,
        };
        let shares: Vec<Share> = newest_first.iter().map(share).collect();
        let slots = deal(DEFAULT, &shares);
        let names: Vec<u8> =
            slots.iter().map(|slot| newest_first[slot.expect("dealt") as usize].0).collect();
        let count = |n| names.iter().filter(|name| **name == n).count();
        assert_eq!([1, 2, 3].map(count), counts, "{added:?}");
        assert_eq!(crc32(&names), sum, "{added:?}");
        if sum == 0xf1d2_5953 {
            assert_eq!(names[..16], [3, 2, 3, 3, 1, 1, 3, 1, 3, 1, 3, 3, 1, 1, 1, 2]);
        }
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[test]
fn a_tiny_table_by_hand() {
    // Of 7 slots, value 0 prefers 4 6 1 3 5 0 2 and value 1 prefers 2 6 3 0 4 1 5.
    let order = |value| (siphash_1_3(value, OFFSET) % 7, siphash_1_3(value, STEP) % 6 + 1);
    assert_eq!([order(0), order(1)], [(4, 2), (2, 4)]);
    for (weights, turn_bits, dealt) in [
        ([1, 1], 4, [1, 0, 1, 1, 0, 0, 0]),
        ([2, 1], 4, [1, 0, 1, 0, 0, 0, 0]),
        ([6, 2], 4, [0, 0, 1, 0, 0, 0, 0]),
        ([6, 2], 1, [1, 0, 1, 1, 0, 0, 0]),
        ([0, 3], 4, [1, 1, 1, 1, 1, 1, 1]),
    ] {
        let shares = [0, 1].map(|value| Share { value, weight: weights[value as usize] });
        assert_eq!(deal((7, turn_bits), &shares), dealt.map(Some), "{weights:?}");
    }
    for none in [&[][..], &[Share { value: 0, weight: 0 }]] {
        assert_eq!(deal((7, 4), none), [None; 7]);
    }
}

#[test]
fn every_table_is_the_literal_one() {
    let mut random = Random(2016);
    for round in 0..3000 {
        let shape = [(2, 1), (3, 2), (7, 2), (31, 4), (251, 4), (509, 4)][round % 6];
        let count = random.below(shape.0 + 1);
        let shares = random_shares(&mut random, count);
        assert_eq!(deal(shape, &shares), literal(shape, &shares), "{shape:?} {shares:?}");
    }
    for (shape, count) in [(DEFAULT, 1), (DEFAULT, 300), ((16_381, 7), 120)] {
        let shares = random_shares(&mut random, count);
        assert_eq!(deal(shape, &shares), literal(shape, &shares), "{shape:?} {count}");
    }
}

#[test]
fn positions_beyond_16_bits_fit() {
    let count = 70_000;
    let shares: Vec<Share> = (0..count).map(|value| Share { value, weight: 1 }).collect();
    let slots = deal((131_071, 8), &shares);
    let mut seen = vec![false; count as usize];
    slots.iter().for_each(|slot| seen[slot.expect("dealt") as usize] = true);
    assert!(seen.into_iter().all(|seen| seen));
}

#[test]
fn remainders_are_exact() {
    let mut random = Random(7);
    for divisor in [1, 2, 3, 251, 4093, 65_521, 131_071, u32::MAX] {
        let modulus = Modulus::new(divisor);
        let edges = [0, 1, divisor - 1, divisor, u32::MAX - 1, u32::MAX];
        for value in edges.into_iter().chain((0..10_000).map(|_| random.below(u32::MAX))) {
            assert_eq!(modulus.of(value), value % divisor, "{value} % {divisor}");
        }
    }
}

#[test]
fn only_what_is_dealt_otherwise_is_dealt_again() {
    let shares = vec![Share { value: 1, weight: 1 }, Share { value: 2, weight: 3 }];
    let first = LookupTable::deal(251, 4, shares.clone(), None);
    let shared = |size, shares| {
        let next = LookupTable::deal(size, 4, shares, Some(&first));
        match (&first.slots, &next.slots) {
            (Slots::Narrow(before), Slots::Narrow(after)) => Arc::ptr_eq(before, after),
            _ => false,
        }
    };
    assert!(shared(251, shares.clone()));
    assert!(!shared(509, shares.clone()));
    assert!(!shared(251, shares.iter().rev().copied().collect()));
    assert!(!shared(251, vec![Share { value: 1, weight: 2 }, shares[1]]));
}

#[test]
fn positions_are_as_narrow_as_they_fit() {
    for (count, narrow) in [(1, true), (1 << 16, true), ((1 << 16) + 1, false)] {
        let mut shares = vec![Share { value: 1, weight: 0 }; count];
        shares[count - 1].weight = 1;
        let table = LookupTable::deal(7, 4, shares, None);
        assert_eq!(matches!(table.slots, Slots::Narrow(_)), narrow, "{count}");
        assert!((0..7).all(|slot| table.at(slot) == Some(count as Position - 1)), "{count}");
    }
}

#[test]
fn a_table_is_shared_while_its_shares_stay() {
    let shares = |weight| vec![Share { value: 1, weight }, Share { value: 2, weight: 1 }];
    let first = LookupTable::deal(31, 4, shares(1), None);
    let shared = |size, weight| {
        let next = LookupTable::deal(size, 4, shares(weight), Some(&first));
        assert_eq!(next.size(), size);
        let single = deal((size, 4), &shares(weight));
        assert_eq!((0..size).map(|slot| next.at(slot)).collect::<Vec<_>>(), single);
        Arc::ptr_eq(&next.dealt_by, &first.dealt_by)
    };
    assert!(shared(31, 1));
    assert!(!shared(31, 2));
    assert!(!shared(7, 1));
}
