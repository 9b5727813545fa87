//! Decisions on one thread, beside a scan of all servers.

use crate::case::Weights;
use crate::servers::weights;
use crate::subjects::least::buckets::Buckets;
use crate::subjects::least::tournament::Tournament;
use crate::subjects::least::tree::Tree;
use crate::subjects::least::{LeastLoaded, connections};
use crate::subjects::random::Random;

/// Servers by their definition.
struct Scan {
    weights: Vec<u32>,
    connections: Vec<u32>,
}

impl Scan {
    fn is_less(&self, one: usize, other: usize) -> bool {
        let product =
            |one, other| u64::from(self.connections[one]) * u64::from(self.weights[other]);
        product(one, other) < product(other, one)
    }

    /// The first of the least loaded.
    fn least(&self) -> usize {
        let servers = 0..self.weights.len();
        servers
            .reduce(|held, next| if self.is_less(next, held) { next } else { held })
            .expect("one")
    }
}

/// Takes and releases at random, mostly the one and then mostly the other. Returns how often another server
/// than the first of the least loaded was taken.
fn compare<L: LeastLoaded>(how: Weights, n: usize, is_first: bool) -> u32 {
    let weights = weights(n, how);
    let mut scan = Scan { connections: connections(&weights), weights };
    let mut servers = L::new(&scan.weights, &scan.connections);
    let mut random = Random::new(5 + n as u64);
    let (mut ties, mut emptied) = (0, 0);
    for round in 0..60 {
        let takes = [90, 50, 5][round % 3];
        for _ in 0..5 * n + 20 {
            if random.below(100) < takes {
                let least = scan.least();
                let taken = servers.take() as usize;
                assert!(!scan.is_less(least, taken), "{taken} instead of {least} of {n}");
                assert!(!is_first || taken == least, "{taken} instead of the first, {least}");
                ties += u32::from(taken != least);
                scan.connections[taken] += 1;
            } else {
                let server = random.below(n);
                if scan.connections[server] > 0 {
                    servers.release(server as u32);
                    scan.connections[server] -= 1;
                    emptied += u32::from(scan.connections[server] == 0);
                }
            }
        }
    }
    assert!(emptied > 0, "no server was ever empty");
    ties
}

const SIZES: [usize; 7] = [1, 2, 3, 10, 64, 100, 1_000];

#[test]
fn the_tree_takes_the_first_least_loaded_server() {
    for n in SIZES {
        compare::<Tree<false>>(Weights::Equal, n, true);
        compare::<Tree<false>>(Weights::Skewed, n, true);
    }
}

#[test]
fn the_tree_of_rings_takes_a_least_loaded_server() {
    for n in SIZES {
        let ties = compare::<Tree<true>>(Weights::Equal, n, false);
        assert!(n == 1 || ties > 0, "n={n}: never another server than the first");
        compare::<Tree<true>>(Weights::Skewed, n, false);
    }
}

#[test]
fn the_tree_of_rings_takes_the_server_that_waited_longest() {
    let mut tree = Tree::<true>::new(&[1; 3], &[0; 3]);
    let taken: Vec<u32> = (0..6).map(|_| tree.take()).collect();
    assert_eq!(taken, [0, 1, 2, 0, 1, 2]);
    [2, 0, 1].into_iter().for_each(|server| tree.release(server));
    assert_eq!([tree.take(), tree.take(), tree.take()], [2, 0, 1]);
}

#[test]
fn the_tournament_takes_the_first_least_loaded_server() {
    for n in SIZES {
        compare::<Tournament>(Weights::Equal, n, true);
        compare::<Tournament>(Weights::Skewed, n, true);
    }
}

#[test]
fn the_buckets_take_a_least_loaded_server() {
    for n in SIZES {
        let ties = compare::<Buckets>(Weights::Equal, n, false);
        assert!(n == 1 || ties > 0, "n={n}: never another server than the first");
    }
}
