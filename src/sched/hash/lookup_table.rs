//! The lookup table of `mh` (Maglev): which server has which slot. Pure arithmetic; knows no servers.
//!
//! Each server prefers the slots in its own order, a permutation: from an offset on in equal steps
//! around the table, whose size is prime, so that it visits every slot. The servers take turns; in each
//! turn a server takes the first free slots of its permutation, as many as its weight gives it.

use std::sync::Arc;

use crate::pool::servers::Position;

/// The keys of the kernel's two hashes; each serves as both halves of a SipHash key.
const OFFSET: u64 = 2_654_435_761;
const STEP: u64 = 2_654_446_892;

/// The hash that finds a slot.
#[inline]
pub(crate) fn hash(value: u32) -> u32 {
    siphash_1_3(value, OFFSET)
}

/// The low half of SipHash-1-3 (Aumasson and Bernstein, INDOCRYPT 2012) of four little-endian bytes.
#[inline]
fn siphash_1_3(value: u32, key: u64) -> u32 {
    let word = 4 << 56 | u64::from(value);
    let mut state = [
        key ^ 0x736f_6d65_7073_6575,
        key ^ 0x646f_7261_6e64_6f6d,
        key ^ 0x6c79_6765_6e65_7261,
        key ^ 0x7465_6462_7974_6573 ^ word,
    ];
    round(&mut state);
    state[0] ^= word;
    state[2] ^= 0xff;
    for _ in 0..3 {
        round(&mut state);
    }
    let [a, b, c, d] = state;
    (a ^ b ^ c ^ d) as u32
}

#[inline]
fn round([a, b, c, d]: &mut [u64; 4]) {
    *a = a.wrapping_add(*b);
    *b = b.rotate_left(13) ^ *a;
    *a = a.rotate_left(32);
    *c = c.wrapping_add(*d);
    *d = d.rotate_left(16) ^ *c;
    *a = a.wrapping_add(*d);
    *d = d.rotate_left(21) ^ *a;
    *c = c.wrapping_add(*b);
    *b = b.rotate_left(17) ^ *c;
    *c = c.rotate_left(32);
}

/// A divisor with its reciprocal: `%` in two multiplications (Lemire, Kaser and Kurz, "Faster
/// remainder by direct computation", 2019; exact for all 32-bit numbers).
#[derive(Clone, Copy)]
pub(crate) struct Modulus {
    divisor: u32,
    reciprocal: u64,
}

impl Modulus {
    /// `divisor` is at least 1.
    fn new(divisor: u32) -> Self {
        Modulus { divisor, reciprocal: (u64::MAX / u64::from(divisor)).wrapping_add(1) }
    }

    #[inline]
    fn of(self, value: u32) -> u32 {
        let fraction = self.reciprocal.wrapping_mul(u64::from(value));
        ((u128::from(fraction) * u128::from(self.divisor)) >> 64) as u32
    }
}

/// The input per server: the number from which its permutation is derived, and its weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) value: u32,
    pub(crate) weight: u32,
}

/// Either every slot has a server, or there are no slots. Clones share the slots.
#[derive(Clone)]
pub(crate) struct LookupTable {
    size: Modulus,
    slots: Slots,
    /// To detect that the next table would be the same.
    dealt_by: Arc<[Share]>,
}

/// Positions in the narrowest type that fits: how much of a table the cache holds decides the cost of a
/// pick.
#[derive(Clone)]
enum Slots {
    Narrow(Arc<[u16]>),
    Wide(Arc<[u32]>),
}

impl LookupTable {
    /// The table of this size, a prime, for servers in list order; `turn_bits` limits the slots per turn
    /// to less than 2^turn_bits. Returns the previous table if size and shares are the same.
    ///
    /// O(servers + size * log(size)) regardless of the weights: a turn takes at least one slot.
    /// Allocates.
    pub(crate) fn deal(
        size: u32,
        turn_bits: u32,
        shares: Vec<Share>,
        previous: Option<&LookupTable>,
    ) -> Self {
        let same =
            |table: &&LookupTable| table.size.divisor == size && *table.dealt_by == shares[..];
        if let Some(table) = previous.filter(same) {
            return table.clone();
        }
        let slots = if shares.len() <= 1 << 16 {
            Slots::Narrow(fill(size, turn_bits, &shares, |position| position as u16).into())
        } else {
            Slots::Wide(fill(size, turn_bits, &shares, |position| position).into())
        };
        LookupTable { size: Modulus::new(size), slots, dealt_by: shares.into() }
    }

    /// The table's size, even if no slot is assigned.
    #[inline]
    pub(crate) fn size(&self) -> u32 {
        self.size.divisor
    }

    /// The slot of a hash.
    #[inline]
    pub(crate) fn slot(&self, hash: u32) -> u32 {
        self.size.of(hash)
    }

    /// The position of the slot's server; `None` if no slot is assigned.
    #[inline]
    pub(crate) fn at(&self, slot: u32) -> Option<Position> {
        match &self.slots {
            Slots::Narrow(slots) => slots.get(slot as usize).copied().map(Position::from),
            Slots::Wide(slots) => slots.get(slot as usize).copied(),
        }
    }
}

/// A server's state while the table is filled.
struct Permutation {
    position: Position,
    /// Slots that it takes per turn.
    turn: u32,
    /// The next slot of its permutation.
    slot: u32,
    step: u32,
}

/// The filled slots; empty if no server has a weight.
fn fill<T: Copy + Default>(
    size: u32,
    turn_bits: u32,
    shares: &[Share],
    name: impl Fn(Position) -> T,
) -> Vec<T> {
    // Only servers with a weight, so that a round takes at least as many slots as it has turns.
    let mut permutations = permutations(size, turn_bits, shares);
    if permutations.is_empty() {
        return Vec::new();
    }
    let mut slots = vec![T::default(); size as usize];
    // One bit per slot, because the search for a free one dominates.
    let mut taken = vec![0u64; slots.len().div_ceil(64)];
    let mut free = size;
    loop {
        for player in &mut permutations {
            for _ in 0..player.turn {
                // Terminates: some slot is free, and the permutation visits every slot.
                let slot = loop {
                    let slot = player.slot;
                    player.slot = match size - slot {
                        left if player.step < left => slot + player.step,
                        left => player.step - left,
                    };
                    let (word, bit) = (slot as usize / 64, 1 << (slot % 64));
                    if taken[word] & bit == 0 {
                        taken[word] |= bit;
                        break slot;
                    }
                };
                slots[slot as usize] = name(player.position);
                free -= 1;
                if free == 0 {
                    return slots;
                }
            }
        }
    }
}

fn permutations(size: u32, turn_bits: u32, shares: &[Share]) -> Vec<Permutation> {
    let weights = || shares.iter().map(|share| share.weight).filter(|weight| *weight > 0);
    let Some(heaviest) = weights().max() else {
        return Vec::new();
    };
    let unit = weights().fold(0, gcd);
    let bits = u32::BITS - (heaviest / unit).leading_zeros();
    let shift = bits.saturating_sub(turn_bits);
    let player = |(position, share): (Position, &Share)| Permutation {
        position,
        turn: ((share.weight / unit) >> shift).max(1),
        slot: siphash_1_3(share.value, OFFSET) % size,
        step: siphash_1_3(share.value, STEP) % (size - 1) + 1,
    };
    (0..).zip(shares).filter(|(_, share)| share.weight > 0).map(player).collect()
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
#[path = "lookup_table_tests.rs"]
mod tests;
