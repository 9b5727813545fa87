//! The targets themselves.

use crate::case::{Key, Regime, Weights};
use crate::questions::connections::OPEN_CLOSE;
use crate::questions::regimes::LOCKED;
use crate::questions::{affinity, name, size};
use crate::report::table::short;
use crate::report::targets::sheet::{Measured, Sheet, least, most};
use crate::report::targets::{Limit, Target};
use crate::subjects::name::{
    BUCKETS, C, LIST, PINGORA, RINGS, RUST, SCATTERED, SLABS, TOURNAMENT, TOWER, TREE,
};
use vsched::SchedulerKind;

use Limit::{AtLeast, AtMost, Beside};
use Weights::{Equal, Skewed};

/// Pairs of peers are compared from 10 servers up.
const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];

fn target(goal: &'static str, limit: Limit, measured: Measured) -> Target {
    Target { goal, measured, limit }
}

pub fn targets(sheet: &Sheet<'_>) -> Vec<Target> {
    let parts =
        [picks(sheet), lists(sheet), costs(sheet), per_worker(sheet), locked(sheet), others(sheet)];
    parts.into_iter().flatten().collect()
}

fn picks(sheet: &Sheet<'_>) -> Vec<Target> {
    let times = |ours, other, how| sheet.times(name::SIZE, ours, other, how, &SIZES);
    let pingora = |subject| {
        let mut all = times((subject, "rr"), (PINGORA, "RoundRobin"), Equal);
        all.extend(times((subject, "rr"), (PINGORA, "Random"), Equal));
        all.extend(times((subject, "wrr"), (PINGORA, "RoundRobin"), Skewed));
        least(all)
    };
    let mut per_worker = times((RUST, "rr, per-worker"), (PINGORA, "RoundRobin"), Equal);
    per_worker.extend(times((RUST, "wrr, per-worker"), (PINGORA, "RoundRobin"), Skewed));
    vec![
        target("rr, wrr: 40 times as fast as pingora's select", AtLeast(40.0), pingora(RUST)),
        target("rr, wrr per worker: likewise", AtLeast(40.0), least(per_worker)),
        target("rr, wrr from C: likewise", AtLeast(40.0), pingora(C)),
        target(
            "mh from C, up to 1,000 servers: at most 1.1 times the time from Rust",
            AtMost(1.1),
            most([Equal, Skewed].into_iter().flat_map(|how| {
                let sizes = [10, 100, 1_000];
                sheet.times(name::SIZE, (RUST, "mh"), (C, "mh"), how, &sizes)
            })),
        ),
        target(
            "a pick allocates nothing",
            AtMost(0.0),
            most(sheet.allocations(&[name::SIZE], RUST)),
        ),
        target(
            "connect and close allocate nothing",
            AtMost(0.0),
            most(sheet.allocations(&[name::CONNECTIONS, name::REGIMES, name::AFFINITY], RUST)),
        ),
        target(
            "(pingora's select allocates)",
            AtLeast(1.0),
            least(sheet.allocations(&[name::SIZE], PINGORA)),
        ),
        target(
            "rr: 25 times as fast as tower's p2c",
            AtLeast(25.0),
            least(times((RUST, "rr"), (TOWER, "p2c"), Equal)),
        ),
    ]
}

fn lists(sheet: &Sheet<'_>) -> Vec<Target> {
    let list =
        |list, n| least(sheet.times(name::CONNECTIONS, (RUST, "wlc"), (list, "wlc"), Skewed, &[n]));
    let walks = |goal, least, n| {
        [
            target(goal, AtLeast(least), list(SCATTERED, n)),
            target("(a list in slabs)", Beside, list(SLABS, n)),
            target("(a contiguous list, its best case)", Beside, list(LIST, n)),
        ]
    };
    let few = "wlc, connection, n=1k: 25 times a walk of a scattered list";
    let many = "wlc, connection, n=10k: 400 times a walk of a scattered list";
    [walks(few, 25.0, 1_000), walks(many, 400.0, 10_000)].into_iter().flatten().collect()
}

fn costs(sheet: &Sheet<'_>) -> Vec<Target> {
    let wlc = |sizes| sheet.connection_instructions("wlc", sizes);
    vec![
        target(
            "rr, wrr: at most 75 instructions per pick, beyond an empty call",
            AtMost(75.0),
            sheet.pick_instructions(
                &[("rr", Equal), ("rr", Skewed), ("wrr", Equal), ("wrr", Skewed)],
                size::ONE_FLOW,
            ),
        ),
        target(
            "mh, the kernel's hash: at most 190, likewise",
            AtMost(190.0),
            sheet.pick_instructions(&[("mh", Equal)], size::FLOWS_IN_TURN),
        ),
        target(
            "open + close: at most 220 instructions, beyond the loop",
            AtMost(220.0),
            sheet.connection_instructions(OPEN_CLOSE, &[10, 1_000]),
        ),
        target("wlc, connect + close, n=10: at most 550, likewise", AtMost(550.0), wlc(&[10])),
        target("wlc, connect + close, n=1k: at most 750, likewise", AtMost(750.0), wlc(&[1_000])),
        target(
            "connect + close through a handle: at most 25 ns above a worker's, up to 1,000 servers",
            AtMost(25.0),
            sheet.handle(&["rr", "wlc"]),
        ),
    ]
}

/// Least loaded per worker: as cheap as exact, and two threads do not disturb each other.
fn per_worker(sheet: &Sheet<'_>) -> Vec<Target> {
    const OURS: [&str; 2] = ["lc, per-worker", "wlc, per-worker"];
    let (sizes, weights) = ([10, 1_000], [Equal, Skewed]);
    let growth = |regime| {
        let alone = |scheduler: &str| (RUST, scheduler.to_owned(), 1);
        sheet.connections((&OURS, 2), alone, regime, &sizes, &weights)
    };
    let exact = |_: &str| (RUST, "wlc".to_owned(), 1);
    vec![
        target(
            "lc, wlc per worker, connect + close, n=10 and 1k: at most 1.1 times exact wlc",
            AtMost(1.1),
            sheet.connections((&OURS, 1), exact, Regime::Hot, &sizes, &weights),
        ),
        target("the same: 2 threads within 10 % of 1", AtMost(1.1), growth(Regime::Hot)),
        target("(with work between operations)", Beside, growth(Regime::Work)),
    ]
}

/// Exact least loaded beside what one lock protects.
fn locked(sheet: &Sheet<'_>) -> Vec<Target> {
    let beside = |subject: &'static str, threads, regime| {
        let other = move |_: &str| (subject, LOCKED.to_owned(), threads);
        sheet.connections((&["lc", "wlc"], threads), other, regime, &[100, 1_000], &[Equal])
    };
    vec![
        target(
            "lc, wlc, equal weights, n=100 and 1k: at most the time of an ordered tree under a lock",
            AtMost(1.0),
            beside(TREE, 1, Regime::Hot),
        ),
        target("(2 threads)", Beside, beside(TREE, 2, Regime::Hot)),
        target("(2 threads, with work between operations)", Beside, beside(TREE, 2, Regime::Work)),
        target("(a tree of rings, 1 thread)", Beside, beside(RINGS, 1, Regime::Hot)),
        target("(a tournament, 1 thread)", Beside, beside(TOURNAMENT, 1, Regime::Hot)),
        target("(a bucket queue, 1 thread)", Beside, beside(BUCKETS, 1, Regime::Hot)),
        target(
            "(a bucket queue, 2 threads, with work between operations)",
            Beside,
            beside(BUCKETS, 2, Regime::Work),
        ),
    ]
}

fn others(sheet: &Sheet<'_>) -> Vec<Target> {
    let ns =
        |key: Key| sheet.ns(&key).map(|ns| (ns, format!("ns, {}, {}", key.scheduler, key.weights)));
    let lblc = affinity::scheduler(SchedulerKind::Lblc, affinity::FEW);
    let random = ["twos", "p2c"].into_iter().flat_map(|scheduler| {
        [Equal, Skewed].map(|how| ns(Key::new(name::SIZE, RUST, scheduler, 10_000).weights(how)))
    });
    let consistent = |how, sizes: &[usize]| {
        sheet.times(name::SIZE, (RUST, "mh"), (PINGORA, "Consistent"), how, sizes)
    };
    let mut hashes = consistent(Equal, &size::SIZES[..5]);
    hashes.extend(consistent(Skewed, &size::SIZES[..4]));
    let apply =
        |scheduler| sheet.ns(&Key::new(name::TABLE, RUST, scheduler, 1_000).weights(Skewed));
    let table = apply("mh").and_then(|all| {
        let rest = short(apply("rr")? / 1e6);
        Ok((all / 1e6, format!("ms, the whole apply; the same without a table {rest} ms")))
    });
    vec![
        target(
            "lblc, a remembered destination, n=10k, 1,000 addresses: at most 90 ns, connect + close",
            AtMost(90.0),
            ns(Key::new(name::AFFINITY, RUST, &lblc, 10_000)),
        ),
        target("twos, p2c, n=10k: at most 45 ns per pick", AtMost(45.0), most(random)),
        target("mh: 15 times as fast as pingora's Consistent", AtLeast(15.0), least(hashes)),
        target("mh table, 65521 slots, 1,000 skewed servers: at most 1.6 ms", AtMost(1.6), table),
        target(
            "rr and wrr per worker, mh: 2 threads within 15 % of 1",
            AtMost(1.15),
            sheet.growth(&["rr, per-worker", "wrr, per-worker", "mh"]),
        ),
    ]
}
