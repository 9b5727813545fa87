//! The crates maglev and hashring, used as in their documentation: server names, keys of eight
//! bytes. Neither supports weights.

use std::hint::black_box;
use std::net::SocketAddr;

use hashring::HashRing;
use maglev::{ConsistentHasher, Maglev};

use crate::case::{Run, in_turn};
use crate::servers::{FLOWS, address};
use crate::subjects::random::Random;

/// Points of a server on the ring, as in pingora and nginx.
const POINTS: usize = 160;

fn keys() -> Vec<u64> {
    let mut random = Random::new(9);
    (0..FLOWS).map(|_| random.next()).collect()
}

/// A table of 65521 slots, like vsched's.
pub fn maglev(n: usize) -> Run {
    let table = Maglev::with_capacity((0..n).map(address), 65_521);
    in_turn(keys(), move |key| {
        black_box(table.get(key));
    })
}

pub fn hashring(n: usize) -> Run {
    let mut ring: HashRing<(SocketAddr, usize)> = HashRing::new();
    let points = |at| (0..POINTS).map(move |point| (address(at), point));
    ring.batch_add((0..n).flat_map(points).collect());
    in_turn(keys(), move |key| {
        black_box(ring.get(key));
    })
}
