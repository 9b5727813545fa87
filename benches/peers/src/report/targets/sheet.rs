//! What targets read of a run. A value that is missing makes a target "not measured", even if the others
//! of its values are there.

use crate::case::{Key, Regime, Weights};
use crate::questions::connections::{HANDLE, NOTHING};
use crate::questions::{name, threads};
use crate::report::Summary;
use crate::report::table::{servers, short};
use crate::subjects::name::{LOOP, RUST};

use Weights::{Equal, Skewed};

/// A value and where it was measured; or which case is missing.
pub type Measured = Result<(f64, String), String>;

fn chosen(all: impl IntoIterator<Item = Measured>, better: fn(f64, f64) -> bool) -> Measured {
    let all: Vec<(f64, String)> = all.into_iter().collect::<Result<_, _>>()?;
    let choose = |one: (f64, String), other: (f64, String)| {
        if better(other.0, one.0) { other } else { one }
    };
    all.into_iter().reduce(choose).ok_or_else(|| "no case".to_owned())
}

pub fn least(all: impl IntoIterator<Item = Measured>) -> Measured {
    chosen(all, |one, other| one < other)
}

pub fn most(all: impl IntoIterator<Item = Measured>) -> Measured {
    chosen(all, |one, other| one > other)
}

pub struct Sheet<'a>(pub &'a Summary);

impl Sheet<'_> {
    pub fn ns(&self, key: &Key) -> Result<f64, String> {
        self.0.ns(key).ok_or_else(|| key.to_string())
    }

    fn instructions_of(&self, key: &Key) -> Result<f64, String> {
        let counted = self.0.get(key).and_then(|row| row.instructions);
        counted.ok_or_else(|| format!("instructions of {key}"))
    }

    /// The time of one case divided by that of another.
    pub fn ratio(&self, over: &Key, under: &Key) -> Measured {
        let (over_ns, under_ns) = (self.ns(over)?, self.ns(under)?);
        let Key { n, weights, .. } = over;
        let said = |key: &Key| {
            let threads =
                if key.threads > 1 { format!(", {} threads", key.threads) } else { String::new() };
            let subject = key.subject.strip_prefix(RUST).unwrap_or(&key.subject).trim();
            format!("{subject} {}{threads}", key.scheduler).trim().to_owned()
        };
        let at = format!(
            "{} to {}: {} to {} ns, n={}, {weights}",
            said(over),
            said(under),
            short(over_ns),
            short(under_ns),
            servers(*n),
        );
        Ok((over_ns / under_ns, at))
    }

    /// The ratio of the other's time to ours, at each size.
    pub fn times(
        &self,
        question: &str,
        ours: (&str, &str),
        other: (&str, &str),
        how: Weights,
        sizes: &[usize],
    ) -> Vec<Measured> {
        let ratio = |n: &usize| {
            let key = |(subject, scheduler): (&str, &str)| {
                Key::new(question, subject, scheduler, *n).weights(how)
            };
            let (ours_ns, other_ns) = (self.ns(&key(ours))?, self.ns(&key(other))?);
            let at = format!(
                "{} against {} {}: {} to {} ns, n={}, {how}",
                ours.1,
                other.0,
                other.1,
                short(ours_ns),
                short(other_ns),
                servers(*n),
            );
            Ok((other_ns / ours_ns, at))
        };
        sizes.iter().map(ratio).collect()
    }

    /// How many ns a connection through a handle takes beyond one through a worker.
    pub fn handle(&self, schedulers: &[&str]) -> Measured {
        // With more servers the harness holds so many connections that it measures the cache.
        let lines = schedulers.iter().flat_map(|name| [10, 100, 1_000].map(|n| (name, n)));
        most(lines.map(|(scheduler, n)| {
            let ns =
                |what: &str| self.ns(&Key::new(name::CONNECTIONS, RUST, what, n).weights(Skewed));
            let (worker, handle) = (ns(scheduler)?, ns(&format!("{scheduler}{HANDLE}"))?);
            let at = format!("{scheduler}, n={n}: {} to {} ns", short(worker), short(handle));
            Ok((handle - worker, at))
        }))
    }

    /// Instructions of a pick, without those of the surrounding loop and the bare call.
    pub fn pick_instructions(&self, picks: &[(&str, Weights)], around: &str) -> Measured {
        let lines = picks.iter().flat_map(|pick| [10, 1_000].map(|n| (pick, n)));
        most(lines.map(|((scheduler, how), n)| {
            let count = |subject, scheduler| {
                self.instructions_of(&Key::new(name::SIZE, subject, scheduler, n).weights(*how))
            };
            let around =
                self.instructions_of(&Key::new(name::SIZE, LOOP, around, n).weights(Equal))?;
            let at = format!("{scheduler}, n={}, {how}", servers(n));
            Ok((count(RUST, scheduler)? - around, at))
        }))
    }

    /// Instructions of a connection, without those of the surrounding loop.
    pub fn connection_instructions(&self, what: &str, sizes: &[usize]) -> Measured {
        most(sizes.iter().map(|n| {
            let count = |subject, what: &str| {
                let key = Key::new(name::CONNECTIONS, subject, what, *n).weights(Skewed);
                self.instructions_of(&key)
            };
            let beyond = count(RUST, what)? - count(LOOP, NOTHING)?;
            Ok((beyond, format!("{what}, n={}", servers(*n))))
        }))
    }

    /// Allocations of all cases of a subject.
    pub fn allocations(&self, questions: &[&str], subject: &str) -> Vec<Measured> {
        let rows = questions.iter().flat_map(|question| self.0.of(question));
        let rows = rows.filter(|row| row.key.subject == subject);
        rows.filter_map(|row| Some(Ok((row.allocations?, row.key.scheduler.clone())))).collect()
    }

    /// How much longer picks take on two threads than on one.
    pub fn growth(&self, schedulers: &[&str]) -> Measured {
        let lines = schedulers.iter().flat_map(|name| threads::SIZES.map(|n| (name, n)));
        most(lines.map(|(scheduler, n)| {
            let key = Key::new(name::THREADS, RUST, scheduler, n).weights(Skewed);
            self.ratio(&key.clone().threads(2), &key)
        }))
    }

    /// The time of connections divided by that of others, the worst of all pairs: ours and the others, at
    /// these sizes and weights, each with its number of threads.
    pub fn connections(
        &self,
        (ours, threads): (&[&str], usize),
        other: impl Fn(&str) -> (&'static str, String, usize),
        regime: Regime,
        sizes: &[usize],
        weights: &[Weights],
    ) -> Measured {
        let mut found = Vec::new();
        for scheduler in ours {
            for n in sizes {
                for how in weights {
                    let key = |subject: &str, scheduler: &str, threads| {
                        let key = Key::new(name::REGIMES, subject, scheduler, *n).weights(*how);
                        key.threads(threads).regime(regime)
                    };
                    let (subject, other, others_threads) = other(scheduler);
                    let other = key(subject, &other, others_threads);
                    found.push(self.ratio(&key(RUST, scheduler, threads), &other));
                }
            }
        }
        most(found)
    }
}
