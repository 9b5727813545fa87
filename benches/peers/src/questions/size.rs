//! What does a whole pick cost, as users call it, by number of servers?

use vsched::config::Sharing;
use vsched::{Director, SchedulerKind};

use crate::case::{Key, Plan, Weights};
use crate::questions::name::SIZE;
use crate::questions::threads::ALONE;
use crate::servers::{FLOWS, config, config_shared, flows, flows_for, weights};
use crate::subjects::list::Layout;
use crate::subjects::{c, list, name, rust, smooth};
#[cfg(feature = "peers")]
use crate::subjects::{hashes, loads, pingora, tower};

pub const SIZES: [usize; 7] = [2, 10, 100, 1_000, 10_000, 100_000, 1_000_000];

/// The empty loop's ways to give flows.
pub const ONE_FLOW: &str = "-";
pub const FLOWS_IN_TURN: &str = "- (flows in turn)";

/// Subjects that do not run at all sizes, with the reason. Printed below the table.
pub const CAPS: [&str; 9] = [
    "1,000,000 servers, which take seconds to build: rr, wlc, p2c and contiguous lists, equal weights",
    "vsched mh: table of 65521 slots up to 10,000 servers, 131071 (the largest) at 100,000",
    "vsched from C: to 100,000; beyond it is the same code with a larger config to read",
    "kernel's list, scattered: to 100,000, where a pick takes tens of milliseconds",
    "pingora: RoundRobin and Random to 10,000 (at most 65,535 by its u16); Consistent until its ring \
     has 10 million points (160 for each unit of weight)",
    "tower: to 100,000; all services are polled ready first",
    "maglev crate: to 1,000, where its permutations take 525 MB; 5 GB at 10,000",
    "hashring crate: to 10,000 (1.6 million points)",
    "loadwise crate: to 10,000, where a pick hashes all servers again",
];

/// Up to here all cases run, above only [`HUGE`].
const MOST: usize = 100_000;
const HUGE: [(&str, &str); 5] = [
    (name::RUST, "rr"),
    (name::RUST, "wlc"),
    (name::RUST, "p2c"),
    (name::LIST, "rr"),
    (name::LIST, "wlc"),
];

/// The cases of one group: this many servers, with weights assigned in this way.
pub fn plans(n: usize, how: Weights) -> Vec<Plan> {
    let mut plans = vsched(n, how);
    plans.extend(own(n, how));
    #[cfg(feature = "peers")]
    plans.extend(peers(n, how));
    plans.retain(|plan| {
        let what = (plan.key.subject.as_str(), plan.key.scheduler.as_str());
        n <= MOST || how == Weights::Equal && HUGE.contains(&what)
    });
    plans
}

fn key(subject: &str, scheduler: &str, n: usize, how: Weights) -> Key {
    Key::new(SIZE, subject, scheduler, n).weights(how)
}

fn vsched(n: usize, how: Weights) -> Vec<Plan> {
    use SchedulerKind::{Mh, P2c, Rr, Twos, Wlc, Wrr};
    let mut plans = Vec::new();
    for kind in [Rr, Wrr, Mh, Wlc, Twos, P2c] {
        if kind == Mh && n > 131_071 {
            continue;
        }
        // Picks that follow one another read other servers, or other slots of a table.
        let parts = match kind {
            Twos | P2c => 2 * n,
            Mh => FLOWS,
            _ => 0,
        };
        let plan = Plan::new(key(name::RUST, kind.name(), n, how), move || {
            let director = Director::new(&config(kind, n, how)).expect("a valid config");
            rust::pick(&director, flows_for(kind))
        });
        plans.push(plan.of_parts(parts));
        if n <= 100_000 && !matches!(kind, Twos | P2c) {
            let plan = Plan::new(key(name::C, kind.name(), n, how), move || {
                c::pick(&c::Director::new(&config(kind, n, how)), flows_for(kind))
            });
            plans.push(plan.of_parts(parts));
        }
    }
    for kind in [Rr, Wrr] {
        let what = format!("{}{ALONE}", kind.name());
        plans.push(Plan::new(key(name::RUST, &what, n, how), move || {
            let config = config_shared(kind, n, how, Sharing::PerWorker);
            rust::pick(&Director::new(&config).expect("a valid config"), flows_for(kind))
        }));
    }
    plans
}

fn own(n: usize, how: Weights) -> Vec<Plan> {
    let list = move |layout| list::List::new(&weights(n, how), layout);
    let mut plans = vec![
        Plan::new(key(name::LOOP, ONE_FLOW, n, how), || rust::empty_loop(flows(1))),
        Plan::new(key(name::LOOP, FLOWS_IN_TURN, n, how), || rust::empty_loop(flows(FLOWS))),
        Plan::new(key(name::LIST, "rr", n, how), move || list::rr(&list(Layout::Row))),
        Plan::new(key(name::LIST, "wrr", n, how), move || list::wrr(&list(Layout::Row))),
        Plan::new(key(name::LIST, "wlc", n, how), move || list::wlc(&list(Layout::Row))),
        Plan::new(key(name::SMOOTH, "swrr", n, how), move || smooth::swrr(&weights(n, how))),
    ];
    if n <= 100_000 {
        let build = move || list::wlc(&list(Layout::Scattered));
        plans.push(Plan::new(key(name::SCATTERED, "wlc", n, how), build));
    }
    plans
}

#[cfg(feature = "peers")]
fn peers(n: usize, how: Weights) -> Vec<Plan> {
    let mut plans = Vec::new();
    let mut add = |subject, scheduler, most: usize, build: fn(&[u32]) -> crate::case::Run| {
        if n <= most {
            let build = move || build(&weights(n, how));
            plans.push(Plan::new(key(subject, scheduler, n, how), build));
        }
    };
    add(name::PINGORA, "RoundRobin", 10_000, |weights| {
        pingora::select::<pingora::RoundRobin>(weights, 1, 1).swap_remove(0)
    });
    add(name::PINGORA, "Random", 10_000, |weights| {
        pingora::select::<pingora::Random>(weights, 1, 1).swap_remove(0)
    });
    let most = if how == Weights::Equal { 10_000 } else { 1_000 };
    add(name::PINGORA, "Consistent", most, |weights| {
        pingora::select::<pingora::Consistent>(weights, FLOWS, 1).swap_remove(0)
    });
    add(name::LOADWISE, "swrr", 10_000, loads::swrr);
    // The others do not support weights.
    if how == Weights::Equal {
        add(name::LOADWISE, "rr", 10_000, loads::rr);
        add(name::LOADWISE, "consistent", 10_000, loads::consistent);
        add(name::TOWER, "p2c", 100_000, |weights| tower::balance(weights.len()));
        add(name::MAGLEV, "maglev", 1_000, |weights| hashes::maglev(weights.len()));
        add(name::HASHRING, "ring", 10_000, |weights| hashes::hashring(weights.len()));
    }
    plans
}
