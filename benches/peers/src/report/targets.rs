//! The targets: the goal, the measured value, met or not.

use crate::case::{Key, Weights};
use crate::questions::connections::HANDLE;
use crate::questions::{name, size, threads};
use crate::report::Summary;
use crate::report::table::{servers, short};
use crate::subjects::name::{C, LIST, LOOP, PINGORA, RUST, SCATTERED, SLABS, TOWER};

use Weights::{Equal, Skewed};

/// A target, and the worst measured case with its value; `None` if nothing was measured.
struct Target {
    goal: &'static str,
    measured: Option<(f64, String)>,
    limit: Limit,
}

enum Limit {
    AtLeast(f64),
    AtMost(f64),
    /// Not a target: shown next to one.
    Beside,
}

impl Limit {
    fn met(&self, value: f64) -> bool {
        match *self {
            Limit::AtLeast(limit) => value >= limit,
            Limit::AtMost(limit) => value <= limit,
            Limit::Beside => true,
        }
    }
}

pub fn markdown(summary: &Summary) -> String {
    let mut text = "\n### Targets\n\n| goal | measured | |\n| --- | --- | --- |\n".to_owned();
    for target in targets(&Sheet(summary)) {
        let (measured, verdict) = match &target.measured {
            None => ("–".to_owned(), "not measured"),
            Some((value, at)) => (
                format!("{} ({at})", short(*value)),
                match target.limit {
                    Limit::Beside => "",
                    _ if target.limit.met(*value) => "met",
                    _ => "**NOT met**",
                },
            ),
        };
        text.push_str(&format!("| {} | {measured} | {verdict} |\n", target.goal));
    }
    text
}

/// Pairs of peers are compared where both were measured, from 10 servers up.
const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];

struct Sheet<'a>(&'a Summary);

type Found = Option<(f64, String)>;

fn least(found: impl IntoIterator<Item = (f64, String)>) -> Found {
    found.into_iter().min_by(|a, b| a.0.total_cmp(&b.0))
}

fn most(found: impl IntoIterator<Item = (f64, String)>) -> Found {
    found.into_iter().max_by(|a, b| a.0.total_cmp(&b.0))
}

impl Sheet<'_> {
    /// The ratio of the other's time to ours, at each size where both were measured.
    fn times(
        &self,
        question: &str,
        ours: (&str, &str),
        other: (&str, &str),
        how: Weights,
        sizes: &[usize],
    ) -> Vec<(f64, String)> {
        let ratio = |n: &usize| {
            let key = |(subject, scheduler): (&str, &str)| {
                Key::new(question, subject, scheduler, *n).weights(how)
            };
            let (ours_ns, other_ns) = (self.0.ns(&key(ours))?, self.0.ns(&key(other))?);
            let at = format!(
                "{} against {} {}: {} to {} ns, n={}, {how}",
                ours.1,
                other.0,
                other.1,
                short(ours_ns),
                short(other_ns),
                servers(*n),
            );
            Some((other_ns / ours_ns, at))
        };
        sizes.iter().filter_map(ratio).collect()
    }

    /// How many ns a connection through a handle takes beyond one through a worker.
    fn handle(&self, schedulers: &[&str]) -> Found {
        // With more servers the harness holds so many connections that it measures the cache.
        let lines = schedulers.iter().flat_map(|name| [10, 100, 1_000].map(|n| (name, n)));
        most(lines.filter_map(|(scheduler, n)| {
            let ns =
                |what: &str| self.0.ns(&Key::new(name::CONNECTIONS, RUST, what, n).weights(Skewed));
            let (worker, handle) = (ns(scheduler)?, ns(&format!("{scheduler}{HANDLE}"))?);
            let at = format!("{scheduler}, n={n}: {} to {} ns", short(worker), short(handle));
            Some((handle - worker, at))
        }))
    }

    /// Instructions of a pick, without those of the surrounding loop and the bare call.
    fn instructions(
        &self,
        schedulers: &'static [&'static str],
        around: &'static [&'static str],
    ) -> Found {
        let counts = |subject: &'static str, schedulers: &'static [&'static str]| {
            let rows = self.0.of(name::SIZE).filter(move |row| {
                row.key.subject == subject && schedulers.contains(&row.key.scheduler.as_str())
            });
            rows.filter_map(|row| Some((row.instructions?, &row.key)))
        };
        let around = counts(LOOP, around).map(|(count, _)| count).reduce(f64::min)?;
        let rows = counts(RUST, schedulers);
        most(rows.map(|(count, key)| {
            let at = format!("{}, n={}, {}", key.scheduler, servers(key.n), key.weights);
            (count - around, at)
        }))
    }

    fn allocations(&self, subject: &str) -> Vec<(f64, String)> {
        let rows = self.0.of(name::SIZE).filter(|row| row.key.subject == subject);
        rows.filter_map(|row| Some((row.allocations?, row.key.scheduler.clone()))).collect()
    }

    fn growth(&self, schedulers: &[&str]) -> Found {
        let lines = schedulers.iter().flat_map(|name| threads::SIZES.map(|n| (name, n)));
        most(lines.filter_map(|(scheduler, n)| {
            let ns = |threads| {
                let key = Key::new(name::THREADS, RUST, scheduler, n).weights(Skewed);
                self.0.ns(&key.threads(threads))
            };
            let (one, two) = (ns(1)?, ns(2)?);
            Some((two / one, format!("{scheduler}, n={n}: {} to {} ns", short(one), short(two))))
        }))
    }
}

fn targets(sheet: &Sheet<'_>) -> Vec<Target> {
    use Limit::{AtLeast, AtMost, Beside};
    let pingora = |subject| {
        let mut times =
            sheet.times(name::SIZE, (subject, "rr"), (PINGORA, "RoundRobin"), Equal, &SIZES);
        times.extend(sheet.times(name::SIZE, (subject, "rr"), (PINGORA, "Random"), Equal, &SIZES));
        times.extend(sheet.times(
            name::SIZE,
            (subject, "wrr"),
            (PINGORA, "RoundRobin"),
            Skewed,
            &SIZES,
        ));
        least(times)
    };
    let list =
        |list, n| least(sheet.times(name::CONNECTIONS, (RUST, "wlc"), (list, "wlc"), Skewed, &[n]));
    let consistent = [Equal, Skewed].into_iter().flat_map(|how| {
        sheet.times(name::SIZE, (RUST, "mh"), (PINGORA, "Consistent"), how, &size::SIZES)
    });
    let table = sheet.0.ns(&Key::new(name::TABLE, RUST, "mh", 1_000).weights(Skewed));
    let rest = sheet.0.ns(&Key::new(name::TABLE, RUST, "rr", 1_000).weights(Skewed));
    let table = table.zip(rest).map(|(all, rest)| {
        (
            all / 1e6,
            format!("ms, the whole apply; the same without a table {} ms", short(rest / 1e6)),
        )
    });
    let target = |goal, limit, measured| Target { goal, measured, limit };
    let walks = |goal, least, n| {
        [
            target(goal, AtLeast(least), list(SCATTERED, n)),
            target("(a list in slabs)", Beside, list(SLABS, n)),
            target("(a contiguous list, its best case)", Beside, list(LIST, n)),
        ]
    };
    let mut targets = vec![
        target("rr, wrr: 40 times as fast as pingora's select", AtLeast(40.0), pingora(RUST)),
        target(
            "rr, wrr per worker: likewise",
            AtLeast(40.0),
            least([("rr, per-worker", Equal), ("wrr, per-worker", Skewed)].into_iter().flat_map(
                |(ours, how)| {
                    let other = (PINGORA, "RoundRobin");
                    sheet.times(name::SIZE, (RUST, ours), other, how, &SIZES)
                },
            )),
        ),
        target("the same as a call from C", AtLeast(40.0), pingora(C)),
        target("a pick allocates nothing", AtMost(0.0), most(sheet.allocations(RUST))),
        target("(pingora's select allocates)", AtLeast(1.0), least(sheet.allocations(PINGORA))),
        target(
            "rr: 25 times as fast as tower's p2c",
            AtLeast(25.0),
            least(sheet.times(name::SIZE, (RUST, "rr"), (TOWER, "p2c"), Equal, &SIZES)),
        ),
    ];
    targets.extend(walks(
        "wlc, connection, n=1k: 25 times a walk of a scattered list",
        25.0,
        1_000,
    ));
    targets.extend(walks(
        "wlc, connection, n=10k: 400 times a walk of a scattered list",
        400.0,
        10_000,
    ));
    targets.extend([
        target(
            "rr, wrr: at most 75 instructions per pick, beyond an empty call",
            AtMost(75.0),
            sheet.instructions(&["rr", "wrr"], &[size::ONE_FLOW]),
        ),
        target(
            "mh, the kernel's hash: at most 190, likewise",
            AtMost(190.0),
            sheet.instructions(&["mh"], &[size::FLOWS_IN_TURN]),
        ),
        target(
            "connect + close through a handle: at most 25 ns above a worker's, up to 1,000 servers",
            AtMost(25.0),
            sheet.handle(&["rr", "wlc"]),
        ),
        target("mh: 15 times as fast as pingora's Consistent", AtLeast(15.0), least(consistent)),
        target("mh table, 65521 slots, 1,000 skewed servers: at most 1.6 ms", AtMost(1.6), table),
        target(
            "rr and wrr per worker, mh: 2 threads within 15 % of 1",
            AtMost(1.15),
            sheet.growth(&["rr, per-worker", "wrr, per-worker", "mh"]),
        ),
    ]);
    targets
}
