//! Maglev's lookup table, filled slot by slot, with another crate's SipHash.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use crate::twins::{Name, Seen};

const SIZE: u32 = 4093;
const TURN_BITS: u32 = 6;
const FIRST: u64 = 2_654_435_761;
const SECOND: u64 = 2_654_446_892;

fn hash(value: u32, key: u64) -> u32 {
    let mut hasher = SipHasher13::new_with_keys(key, key);
    hasher.write(&value.to_le_bytes());
    hasher.finish() as u32
}

/// The server of each slot; empty if no server ever had a weight.
pub(crate) fn table(list: &[Seen]) -> Vec<Name> {
    let divisor = list.iter().map(|server| server.last_weight).fold(0, gcd);
    let Some(highest) = list.iter().map(|server| server.last_weight).max() else {
        return Vec::new();
    };
    if divisor == 0 {
        return Vec::new();
    }
    let shift = (u32::BITS - (highest / divisor).leading_zeros()).saturating_sub(TURN_BITS);
    let mut slots: Vec<Option<Name>> = vec![None; SIZE as usize];
    // Where each server looks next, and by how much it goes on.
    let mut looks: Vec<(u32, u32)> = list
        .iter()
        .map(|server| {
            (hash(server.place, FIRST) % SIZE, hash(server.place, SECOND) % (SIZE - 1) + 1)
        })
        .collect();
    let mut left = SIZE;
    loop {
        for (server, (at, step)) in list.iter().zip(&mut looks) {
            let turns = (server.last_weight / divisor) >> shift;
            for _ in 0..turns.max(u32::from(server.last_weight > 0)) {
                while slots[*at as usize].is_some() {
                    *at = (*at + *step) % SIZE;
                }
                slots[*at as usize] = Some(server.name);
                left -= 1;
                if left == 0 {
                    return slots.into_iter().flatten().collect();
                }
            }
        }
    }
}

/// The hashed slot's server, else, if it may, the first in the order of probes. `look` tells whether
/// a server can be had, and whether to probe on.
pub(crate) fn pick<'a>(
    table: &[Name],
    client: u32,
    look: impl Fn(Name) -> (Option<&'a Seen>, bool),
) -> Option<&'a Seen> {
    let slot = hash(client, FIRST) % SIZE;
    let (found, probes) = look(*table.get(slot as usize)?);
    if found.is_some() || !probes {
        return found;
    }
    let number = |offset: u32| ((offset + slot) % SIZE).wrapping_add(client);
    (0..SIZE).find_map(|offset| look(table[(hash(number(offset), FIRST) % SIZE) as usize]).0)
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
