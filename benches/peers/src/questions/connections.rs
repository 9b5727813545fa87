//! What does a connection cost: open and close alone, and together with the pick that reads the
//! counts?
//!
//! Some connections stay open on every server; each operation replaces a random one of them, so
//! that the counts move as in production. Weights are skewed.

use vsched::{Director, SchedulerKind};

use crate::case::{Key, Plan, Weights};
use crate::questions::name::CONNECTIONS;
use crate::servers::{config, flows, weights};
use crate::subjects::list::Layout;
use crate::subjects::{c, list, name, rust};

pub const SIZES: [usize; 5] = [10, 100, 1_000, 10_000, 100_000];

/// Names of operations, in place of schedulers.
pub const OPEN_CLOSE: &str = "open + close";
/// Of the harness's own cost.
pub const NOTHING: &str = "a lease replaced";
/// After a scheduler's name: through a handle instead of a worker.
pub const HANDLE: &str = ", handle";
/// Open connections per server, about.
pub const HELD: usize = 4;
const HOW: Weights = Weights::Skewed;

pub fn plans(n: usize) -> Vec<Plan> {
    use SchedulerKind::{Lc, Rr, Wlc};
    let key = |subject, scheduler: &str| Key::new(CONNECTIONS, subject, scheduler, n).weights(HOW);
    let director = move |kind| Director::new(&config(kind, n, HOW)).expect("a valid config");
    let in_c = move |kind| c::Director::new(&config(kind, n, HOW));
    let list = move |layout| list::List::new(&weights(n, HOW), layout);
    let mut plans = vec![
        Plan::new(key(name::RUST, OPEN_CLOSE), move || rust::open_close(&director(Rr), flows(1))),
        Plan::new(key(name::LOOP, NOTHING), move || rust::connections_loop(HELD * n)),
        Plan::new(key(name::LIST, "lc"), move || list::connect_close(&list(Layout::Row), false)),
    ];
    let layouts = [
        (name::LIST, Layout::Row),
        (name::SLABS, Layout::Slabs),
        (name::SCATTERED, Layout::Scattered),
    ];
    plans.extend(layouts.map(|(subject, layout)| {
        Plan::new(key(subject, "wlc"), move || list::connect_close(&list(layout), true))
    }));
    for kind in [Rr, Lc, Wlc] {
        plans.push(Plan::new(key(name::RUST, kind.name()), move || {
            rust::connect_close(&director(kind), flows(1), 1).swap_remove(0)
        }));
    }
    for kind in [Rr, Wlc] {
        let what = format!("{}{HANDLE}", kind.name());
        plans.push(Plan::new(key(name::RUST, &what), move || {
            rust::handle_connect_close(&director(kind), flows(1), 1).swap_remove(0)
        }));
    }
    // The C loop opens its initial connections one by one, as the scheduler picks.
    if n <= 1_000 {
        plans.push(Plan::new(key(name::C, OPEN_CLOSE), move || {
            c::open_close(&in_c(Rr), flows(1), HELD * n)
        }));
        plans.push(Plan::new(key(name::C, "wlc"), move || {
            c::connect_close(&in_c(Wlc), flows(1), HELD * n)
        }));
    }
    plans.into_iter().map(|plan| plan.of_parts(HELD * n)).collect()
}
