//! What does a pick cost when two threads pick from one service?
//!
//! Each thread has its own worker and its own processor; both loops must overlap. A single thread
//! is measured by the same code.

use vsched::config::Sharing;
use vsched::{Director, SchedulerKind};

use crate::case::{Key, Plan, Weights};
use crate::questions::name::THREADS;
use crate::servers::{config, config_shared, flows_for, weights};
use crate::subjects::{bare, c, list, name, rust};
#[cfg(feature = "peers")]
use crate::{servers::FLOWS, subjects::pingora};

pub const SIZES: [usize; 2] = [10, 1_000];
pub const THREAD_COUNTS: [usize; 2] = [1, 2];
const HOW: Weights = Weights::Skewed;

/// Suffix of the scheduler's name: how the service is shared, if not exactly.
pub const ALONE: &str = ", per-worker";
const CHUNKS: &str = ", chunks-16";
/// Names of operations on a shared number, in place of schedulers.
pub const ADDITION: &str = "-";
pub const ADDITION_AND_COPY: &str = "and a copy of the answer";

pub fn plans(n: usize) -> Vec<Plan> {
    THREAD_COUNTS.into_iter().flat_map(|threads| with(n, threads)).collect()
}

fn with(n: usize, threads: usize) -> Vec<Plan> {
    use SchedulerKind::{Mh, Rr, Wlc, Wrr};
    use Sharing::{Chunks, Exact, PerWorker};
    let key = |subject: &str, scheduler: &str| {
        Key::new(THREADS, subject, scheduler, n).weights(HOW).threads(threads)
    };
    let director = move |kind, sharing| {
        Director::new(&config_shared(kind, n, HOW, sharing)).expect("a valid config")
    };
    let mut plans = Vec::new();
    let exact = [Rr, Wrr, Mh, Wlc].map(|kind| (kind, Exact, ""));
    let alone = [Rr, Wrr, Wlc].map(|kind| (kind, PerWorker, ALONE));
    let chunks = [Rr, Wrr].map(|kind| (kind, Chunks(16), CHUNKS));
    for (kind, sharing, how) in exact.into_iter().chain(alone).chain(chunks) {
        let what = format!("{}{how}", kind.name());
        plans.push(Plan::shared(key(name::RUST, &what), move |threads| {
            let director = director(kind, sharing);
            (0..threads).map(|_| rust::pick(&director, flows_for(kind))).collect()
        }));
    }
    for kind in [Rr, Wrr, Mh] {
        plans.push(Plan::shared(key(name::C, kind.name()), move |threads| {
            let director = c::Director::new(&config(kind, n, HOW));
            (0..threads).map(|_| c::pick(&director, flows_for(kind))).collect()
        }));
    }
    plans.push(Plan::shared(key(name::ADDITION, ADDITION), bare::addition));
    plans.push(Plan::shared(key(name::ADDITION, ADDITION_AND_COPY), move |threads| {
        bare::addition_and_copy(n, threads)
    }));
    let lists: [(_, fn(&_) -> _); 3] = [("rr", list::rr), ("wrr", list::wrr), ("wlc", list::wlc)];
    for (scheduler, pick) in lists {
        plans.push(Plan::shared(key(name::LIST, scheduler), move |threads| {
            let list = list::List::new(&weights(n, HOW), list::Layout::Row);
            (0..threads).map(|_| pick(&list)).collect()
        }));
    }
    #[cfg(feature = "peers")]
    {
        plans.push(Plan::shared(key(name::PINGORA, "RoundRobin"), move |threads| {
            pingora::select::<pingora::RoundRobin>(&weights(n, HOW), 1, threads)
        }));
        plans.push(Plan::shared(key(name::PINGORA, "Random"), move |threads| {
            pingora::select::<pingora::Random>(&weights(n, HOW), 1, threads)
        }));
        let equal = key(name::PINGORA, "Consistent").weights(Weights::Equal);
        plans.push(Plan::shared(equal, move |threads| {
            pingora::select::<pingora::Consistent>(&weights(n, Weights::Equal), FLOWS, threads)
        }));
    }
    plans
}
