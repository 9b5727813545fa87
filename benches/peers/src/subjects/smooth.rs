//! nginx's smooth weighted round robin: each pick adds every server's weight to its balance, picks
//! the greatest balance, and subtracts the total from it.
//!
//! Written from the formula, over an array of records, which is easier on the caches than nginx's
//! linked peers; without a lock, as in an nginx worker without a shared zone.

use std::hint::black_box;

use crate::case::{Run, repeat};

struct Server {
    balance: i64,
    /// Decreases with failures and recovers; here always equal to the weight.
    effective: i64,
    weight: i64,
    down: bool,
    failures: u32,
    most_failures: u32,
}

fn pick(servers: &mut [Server]) -> Option<usize> {
    let (mut total, mut best) = (0, None);
    let mut most = i64::MIN;
    for (at, server) in servers.iter_mut().enumerate() {
        if server.down || server.failures >= server.most_failures {
            continue;
        }
        server.balance += server.effective;
        total += server.effective;
        if server.effective < server.weight {
            server.effective += 1;
        }
        if server.balance > most {
            (most, best) = (server.balance, Some(at));
        }
    }
    if let Some(at) = best {
        servers[at].balance -= total;
    }
    best
}

pub fn swrr(weights: &[u32]) -> Run {
    let server = |weight: &u32| Server {
        balance: 0,
        effective: i64::from(*weight),
        weight: i64::from(*weight),
        down: false,
        failures: 0,
        most_failures: 1,
    };
    let mut servers: Vec<Server> = weights.iter().map(server).collect();
    repeat(move || {
        black_box(pick(black_box(&mut servers)));
    })
}
