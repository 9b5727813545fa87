//! pingora-load-balancing: `select` on a static, healthy set, as its users call it.

use std::collections::BTreeSet;
use std::hint::black_box;
use std::sync::Arc;

use pingora_load_balancing::selection::{BackendIter, BackendSelection};
use pingora_load_balancing::{Backend, Backends, LoadBalancer, discovery};

use crate::case::{Run, in_turn};
use crate::servers::address;

pub use pingora_load_balancing::selection::{Consistent, Random, RoundRobin};

/// How many servers a selection may try; all are healthy, so one is.
const TRIES: usize = 256;

fn balancer<S>(weights: &[u32]) -> Arc<LoadBalancer<S>>
where
    S: BackendSelection + 'static,
    S::Iter: BackendIter,
{
    let backend = |(at, weight): (usize, &u32)| {
        Backend::new_with_weight(&address(at).to_string(), *weight as usize).expect("an address")
    };
    let backends: BTreeSet<Backend> = weights.iter().enumerate().map(backend).collect();
    let balancer = LoadBalancer::from_backends(Backends::new(discovery::Static::new(backends)));
    {
        // A static set is ready at the first poll.
        let mut update = std::pin::pin!(balancer.update());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(update.as_mut().poll(&mut context).is_ready(), "a static set");
    }
    Arc::new(balancer)
}

/// Keys are 13 bytes, the size of a flow's addresses, ports and protocol; rotations read none. One
/// loop per thread.
pub fn select<S>(weights: &[u32], keys: usize, threads: usize) -> Vec<Run>
where
    S: BackendSelection + Send + Sync + 'static,
    S::Iter: BackendIter,
{
    let balancer = balancer::<S>(weights);
    assert!(balancer.select(b"key", TRIES).is_some(), "pingora has no server");
    let mut random = crate::subjects::random::Random::new(9);
    let mut key = || {
        let mut key = [6; 13];
        key[..8].copy_from_slice(&random.next().to_ne_bytes());
        key
    };
    let keys: Vec<[u8; 13]> = (0..keys).map(|_| key()).collect();
    let run = |_| {
        let balancer = Arc::clone(&balancer);
        in_turn(keys.clone(), move |key| {
            black_box(balancer.select(key, TRIES));
        })
    };
    (0..threads).map(run).collect()
}
