//! The least loaded server from plain memory under one lock: an ordered tree, a tournament, and a queue
//! of buckets. Load is the number of connections divided by the weight.
//!
//! Written from their descriptions, as efficiently as we could. They fill no lease, count no statistics,
//! know no limits and no changes of a config: less than what any balancer does.

pub mod buckets;
mod load;
#[cfg(test)]
mod tests;
pub mod tournament;
pub mod tree;

use std::hint::black_box;
use std::sync::Arc;

use crate::case::{Run, repeat};
use crate::subjects::random::Random;
use crate::subjects::spin::SpinLock;

/// Servers with their weights and connections.
pub trait LeastLoaded: Send + 'static {
    /// As many servers as weights; `connections` are open at the start.
    fn new(weights: &[u32], connections: &[u32]) -> Self;

    /// One of the least loaded servers, which gets another connection.
    fn take(&mut self) -> u32;

    /// Closes a connection of this server.
    fn release(&mut self, server: u32);
}

/// Connections that are open at the start: roughly by weight, some on each server, as in `rust::hold`.
pub fn connections(weights: &[u32]) -> Vec<u32> {
    weights.iter().map(|weight| 2 + weight / 16).collect()
}

/// A whole connection, as in `rust::connect_close`. One loop per thread.
pub fn connect_close<L: LeastLoaded>(weights: &[u32], threads: usize) -> Vec<Run> {
    let connections = connections(weights);
    let servers = Arc::new(SpinLock::new(L::new(weights, &connections)));
    let held = (0..).zip(&connections);
    let mut held: Vec<u32> =
        held.flat_map(|(server, count)| (0..*count).map(move |_| server)).collect();
    Random::new(11).shuffle(&mut held);
    let share = held.len() / threads;
    let run = |thread: usize| {
        let servers = Arc::clone(&servers);
        let mut held = held.split_off(held.len() - share);
        let mut random = Random::new(7 + thread as u64);
        repeat(move || {
            let old = random.one_of(&mut held);
            let new = black_box(servers.with(L::take));
            servers.with(|servers| servers.release(*old));
            *old = new;
        })
    };
    (0..threads).map(run).collect()
}
