//! Lower bounds: what the operations on shared memory cost alone.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use crate::case::{Run, repeat};
use crate::subjects::least::connections;
use crate::subjects::random::Random;

/// A number on cache lines of its own.
#[derive(Default)]
#[repr(align(128))]
struct Apart(AtomicU64);

/// A whole connection on a random server: one addition opens it, another closes a random older one.
pub fn random_server(weights: &[u32], threads: usize) -> Vec<Run> {
    let connections = connections(weights);
    let servers: Arc<[Apart]> =
        connections.iter().map(|count| Apart(AtomicU64::from(u64::from(*count)))).collect();
    let held: u32 = connections.iter().sum();
    let run = |thread: usize| {
        let servers = Arc::clone(&servers);
        let mut random = Random::new(7 + thread as u64);
        let held = 0..held as usize / threads;
        let mut held: Vec<u32> = held.map(|_| random.below(servers.len()) as u32).collect();
        repeat(move || {
            let new = random.below(servers.len());
            let old = random.one_of(&mut held);
            // Relaxed: independent counts.
            servers[new].0.fetch_add(1, Relaxed);
            servers[*old as usize].0.fetch_sub(1, Relaxed);
            *old = new as u32;
        })
    };
    (0..threads).map(run).collect()
}

/// One addition to a number that all threads share: a rotation's ticket.
pub fn addition(threads: usize) -> Vec<Run> {
    let shared = Arc::new(Apart::default());
    let run = |_| {
        let shared = Arc::clone(&shared);
        repeat(move || {
            // Relaxed: an independent number.
            black_box(shared.0.fetch_add(1, Relaxed));
        })
    };
    (0..threads).map(run).collect()
}

/// The same, and a copy of what the ticket stands for.
pub fn addition_and_copy(n: usize, threads: usize) -> Vec<Run> {
    let shared = Arc::new(Apart::default());
    // As large as what a pick of vsched copies.
    let answers: Arc<[[u64; 4]]> = (0..n.next_power_of_two() as u64).map(|at| [at; 4]).collect();
    let run = |_| {
        let (shared, answers) = (Arc::clone(&shared), Arc::clone(&answers));
        let mask = answers.len() - 1;
        repeat(move || {
            // Relaxed: as above.
            let ticket = shared.0.fetch_add(1, Relaxed) as usize;
            let answer = answers[ticket & mask];
            black_box(&answer);
        })
    };
    (0..threads).map(run).collect()
}
