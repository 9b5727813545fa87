//! The crates maglev and hashring, as their documentation shows them: names of servers, keys of
//! eight bytes. Neither knows weights.

use std::hint::black_box;
use std::net::SocketAddr;

use hashring::HashRing;
use maglev::{ConsistentHasher, Maglev};

use crate::case::{Run, repeat};
use crate::servers::{FLOWS, address};
use crate::subjects::random::Random;

/// Points of a server on the ring, as in pingora and nginx.
const POINTS: usize = 160;

fn keys() -> impl FnMut() -> u64 + Send + 'static {
    let mut random = Random::new(9);
    let keys: Vec<u64> = (0..FLOWS).map(|_| random.next()).collect();
    let mut at = 0;
    move || {
        at = if at + 1 == FLOWS { 0 } else { at + 1 };
        keys[at]
    }
}

/// A table of 65521 slots, as vsched's.
pub fn maglev(n: usize) -> Run {
    let table = Maglev::with_capacity((0..n).map(address), 65_521);
    let mut key = keys();
    repeat(move || {
        black_box(table.get(black_box(&key())));
    })
}

pub fn hashring(n: usize) -> Run {
    let mut ring: HashRing<(SocketAddr, usize)> = HashRing::new();
    let points = |at| (0..POINTS).map(move |point| (address(at), point));
    ring.batch_add((0..n).flat_map(points).collect());
    let mut key = keys();
    repeat(move || {
        black_box(ring.get(black_box(&key())));
    })
}
