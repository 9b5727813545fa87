//! loadwise: strategies over a slice of nodes that the caller holds.

use std::hint::black_box;
use std::net::SocketAddr;

use loadwise::strategy::{ConsistentHash, RoundRobin, WeightedRoundRobin};
use loadwise::{Node, SelectionContext, Strategy, Weighted};

use crate::case::{Run, in_turn, repeat};
use crate::servers::{FLOWS, address};
use crate::subjects::random::Random;

struct Server {
    address: SocketAddr,
    weight: u32,
}

impl Node for Server {
    type Id = SocketAddr;

    fn id(&self) -> &SocketAddr {
        &self.address
    }
}

impl Weighted for Server {
    fn weight(&self) -> u32 {
        self.weight
    }
}

fn servers(weights: &[u32]) -> Vec<Server> {
    let server = |(at, weight): (usize, &u32)| Server { address: address(at), weight: *weight };
    weights.iter().enumerate().map(server).collect()
}

pub fn rr(weights: &[u32]) -> Run {
    select(weights, RoundRobin::new())
}

pub fn swrr(weights: &[u32]) -> Run {
    select(weights, WeightedRoundRobin::new())
}

fn select(weights: &[u32], strategy: impl Strategy<Server> + 'static) -> Run {
    let (servers, context) = (servers(weights), SelectionContext::default());
    repeat(move || {
        black_box(strategy.select(&servers, &context));
    })
}

pub fn consistent(weights: &[u32]) -> Run {
    let (servers, strategy) = (servers(weights), ConsistentHash::default());
    let mut random = Random::new(9);
    let keys: Vec<u64> = (0..FLOWS).map(|_| random.next()).collect();
    let mut context = SelectionContext::default();
    in_turn(keys, move |key| {
        context.hash_key = Some(*key);
        black_box(strategy.select(&servers, &context));
    })
}
