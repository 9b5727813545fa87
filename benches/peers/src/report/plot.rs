//! Plots: one picture per question and family of subjects, at most eight lines each.

use crate::case::{Key, Regime, Weights};
use crate::questions::regimes::{LOCKED, TWO_ADDITIONS};
use crate::questions::threads::{ADDITION, ADDITION_AND_COPY};
use crate::questions::{affinity, connections, name, regimes, reload, size, table, threads};
use crate::report::Summary;
use crate::report::svg::{Line, Plot};
use crate::subjects::name::{
    ADDITION as BARE, BUCKETS, C, HASHRING, LIST, LOADWISE, LOOP, MAGLEV, PINGORA, RANDOM, RINGS,
    RUST, SCATTERED, SLABS, SMOOTH, TOURNAMENT, TOWER, TREE,
};

use Weights::{Equal, Skewed};

/// More lines cannot be told apart.
pub const MOST_LINES: usize = 8;

/// What the horizontal axis counts.
#[derive(Clone, Copy)]
enum Across {
    Servers(&'static [usize]),
    /// With this many servers.
    Threads(usize),
}

/// A picture of one question.
struct Picture {
    file: String,
    title: String,
    up: &'static str,
    across: Across,
    /// What all its cases have in common; the rest is filled in.
    of: Key,
    /// Subjects and schedulers. Where weights differ, they follow the scheduler.
    lines: Vec<(&'static str, String, Weights)>,
}

impl Picture {
    fn new(
        file: &str,
        title: &str,
        across: Across,
        of: Key,
        lines: &[(&'static str, &str)],
    ) -> Picture {
        let how = of.weights;
        Picture {
            file: file.to_owned(),
            title: title.to_owned(),
            up: "ns per operation",
            across,
            of,
            lines: lines
                .iter()
                .map(|(subject, what)| (*subject, (*what).to_owned(), how))
                .collect(),
        }
    }

    /// The cases of a line, by what the horizontal axis counts.
    fn cases(
        &self,
        (subject, scheduler, how): &(&'static str, String, Weights),
    ) -> Vec<(usize, Key)> {
        let key = |n| Key {
            subject: (*subject).to_owned(),
            scheduler: scheduler.clone(),
            weights: *how,
            n,
            ..self.of.clone()
        };
        match self.across {
            Across::Servers(sizes) => sizes.iter().map(|n| (*n, key(*n))).collect(),
            Across::Threads(n) => {
                threads::THREAD_COUNTS.map(|count| (count, key(n).threads(count))).to_vec()
            }
        }
    }

    fn plot(self, summary: &Summary) -> Plot {
        assert!(self.lines.len() <= MOST_LINES, "{}: {} lines", self.file, self.lines.len());
        let weights_differ = self.lines.iter().any(|line| line.2 != self.of.weights);
        let lines = self.lines.iter().filter_map(|line| {
            let point = |(x, key): (usize, Key)| Some((x as f64, summary.ns(&key)?));
            let (subject, scheduler, how) = line;
            let suffix = if weights_differ { format!(", {how}") } else { String::new() };
            let scheduler = if *scheduler == ADDITION { "" } else { scheduler };
            let name = format!("{subject} {scheduler}{suffix}").trim_end().to_owned();
            let points: Vec<_> = self.cases(line).into_iter().filter_map(point).collect();
            Line::new(name, subject.starts_with(RUST), points)
        });
        let across = match self.across {
            Across::Servers(_) => "servers",
            Across::Threads(_) => "threads",
        };
        Plot { lines: lines.collect(), title: self.title, across, up: self.up }
    }
}

/// File names with their plots.
pub fn all(summary: &Summary) -> Vec<(String, String)> {
    let plots = pictures().into_iter().map(|picture| (picture.file.clone(), picture.plot(summary)));
    let plots = plots.chain([("reload.svg".to_owned(), histogram(summary))]);
    plots
        .filter(|(_, plot)| !plot.lines.is_empty())
        .map(|(name, plot)| (name, plot.svg()))
        .collect()
}

fn pictures() -> Vec<Picture> {
    let mut all = picks();
    all.extend(calls());
    all.extend(in_regimes());
    all.extend(on_threads());
    all
}

fn picks() -> Vec<Picture> {
    let sizes = Across::Servers(&size::SIZES);
    let key = |how| Key::new(name::SIZE, "", "", 0).weights(how);
    let picture = |file, title: &str, how, lines: &[_]| {
        let title = format!("A pick {title}, {how} weights");
        Picture::new(file, &title, sizes, key(how), lines)
    };
    vec![
        picture(
            "pick-rr.svg",
            "in rotation",
            Equal,
            &[
                (RUST, "rr"),
                (RUST, "rr, per-worker"),
                (C, "rr"),
                (LIST, "rr"),
                (LOADWISE, "rr"),
                (PINGORA, "RoundRobin"),
                (LOOP, size::ONE_FLOW),
            ],
        ),
        picture(
            "pick-wrr.svg",
            "in weighted rotation",
            Skewed,
            &[
                (RUST, "wrr"),
                (RUST, "wrr, per-worker"),
                (C, "wrr"),
                (LIST, "wrr"),
                (SMOOTH, "swrr"),
                (LOADWISE, "swrr"),
                (PINGORA, "RoundRobin"),
                (LOOP, size::ONE_FLOW),
            ],
        ),
        picture(
            "pick-hash.svg",
            "by a hash",
            Equal,
            &[
                (RUST, "mh"),
                (C, "mh"),
                (MAGLEV, "maglev"),
                (HASHRING, "ring"),
                (LOADWISE, "consistent"),
                (PINGORA, "Consistent"),
                (LOOP, size::FLOWS_IN_TURN),
            ],
        ),
        picture(
            "pick-load.svg",
            "by load or at random",
            Equal,
            &[
                (RUST, "wlc"),
                (C, "wlc"),
                (RUST, "twos"),
                (RUST, "p2c"),
                (LIST, "wlc"),
                (SCATTERED, "wlc"),
                (TOWER, "p2c"),
                (PINGORA, "Random"),
            ],
        ),
    ]
}

fn calls() -> Vec<Picture> {
    let connection = Key::new(name::CONNECTIONS, "", "", 0).weights(Skewed);
    let remembering = Key::new(name::AFFINITY, "", "", 0);
    let filling = Key::new(name::TABLE, "", "", 0);
    let sizes = Across::Servers(&connections::SIZES);
    let mut remembered = Picture::new(
        "affinity.svg",
        "A connection of a remembered address, equal weights",
        Across::Servers(&affinity::SIZES),
        remembering,
        &[],
    );
    for kind in affinity::KINDS {
        let lines =
            affinity::ADDRESSES.map(|count| (RUST, affinity::scheduler(kind, count), Equal));
        remembered.lines.extend(lines);
    }
    let mut filled = Picture::new(
        "table.svg",
        "Building a table of 65521 slots",
        Across::Servers(&table::SIZES),
        filling,
        &[],
    );
    filled.up = "ns per apply";
    for scheduler in ["mh", "rr"] {
        filled.lines.extend([Equal, Skewed].map(|how| (RUST, scheduler.to_owned(), how)));
    }
    filled.lines.push((MAGLEV, "maglev".to_owned(), Equal));
    vec![
        Picture::new(
            "connections.svg",
            "A whole connection beside lists, skewed weights",
            sizes,
            connection.clone(),
            &[
                (RUST, "wlc"),
                (RUST, "lc"),
                (RUST, "rr"),
                (LIST, "wlc"),
                (LIST, "lc"),
                (SLABS, "wlc"),
                (SCATTERED, "wlc"),
            ],
        ),
        Picture::new(
            "calls.svg",
            "A whole connection by its calls, skewed weights",
            sizes,
            connection,
            &[
                (RUST, "wlc"),
                (RUST, "wlc, handle"),
                (C, "wlc"),
                (RUST, "rr"),
                (RUST, "rr, handle"),
                (RUST, connections::OPEN_CLOSE),
                (C, connections::OPEN_CLOSE),
                (LOOP, connections::NOTHING),
            ],
        ),
        remembered,
        filled,
    ]
}

/// Connections on one and two threads, hot and between work: by load beside locks, and the others.
fn in_regimes() -> Vec<Picture> {
    let mut all = Vec::new();
    for (regime, word, said) in
        [(Regime::Hot, "hot", "in a hot loop"), (Regime::Work, "work", "between work, net of it")]
    {
        for threads in threads::THREAD_COUNTS {
            let key = |how| {
                Key::new(name::REGIMES, "", "", 0).weights(how).threads(threads).regime(regime)
            };
            let on = if threads == 1 { "one thread" } else { "two threads" };
            let sizes = Across::Servers(&regimes::SIZES);
            for how in [Equal, Skewed] {
                let title = format!("Connect + close by load, {on}, {said}, {how} weights");
                let file = format!("least-{how}-{word}-{threads}.svg");
                let mut lines = vec![
                    (RUST, "wlc"),
                    (RUST, "lc"),
                    (RUST, "wlc, per-worker"),
                    (TREE, LOCKED),
                    (RINGS, LOCKED),
                    (TOURNAMENT, LOCKED),
                    (RANDOM, TWO_ADDITIONS),
                ];
                if how == Equal {
                    lines.insert(6, (BUCKETS, LOCKED));
                }
                all.push(Picture::new(&file, &title, sizes, key(how), &lines));
            }
            let title = format!("Connect + close, {on}, {said}, skewed weights");
            let lines = [
                (RUST, "rr"),
                (RUST, "rr, per-worker"),
                (RUST, "wrr"),
                (RUST, "wrr, per-worker"),
                (RUST, "p2c"),
                (RUST, "twos"),
            ];
            let file = format!("connect-{word}-{threads}.svg");
            let mut picture = Picture::new(&file, &title, sizes, key(Skewed), &lines);
            let remembered = affinity::KINDS.map(|kind| affinity::scheduler(kind, affinity::FEW));
            picture.lines.extend(remembered.map(|what| (RUST, what, Skewed)));
            all.push(picture);
        }
    }
    all
}

fn on_threads() -> Vec<Picture> {
    let n = threads::SIZES[threads::SIZES.len() - 1];
    let key = Key::new(name::THREADS, "", "", n).weights(Skewed);
    let picture = |file, title, lines: &[_]| {
        Picture::new(file, title, Across::Threads(n), key.clone(), lines)
    };
    let mut others = picture(
        "threads-others.svg",
        "Other picks, 1,000 servers",
        &[
            (RUST, "mh"),
            (C, "mh"),
            (RUST, "wlc"),
            (RUST, "wlc, per-worker"),
            (LIST, "wlc"),
            (PINGORA, "Random"),
        ],
    );
    others.lines.push((PINGORA, "Consistent".to_owned(), Equal));
    vec![
        picture(
            "threads-rotations.svg",
            "Rotations shared by threads, 1,000 servers",
            &[
                (RUST, "rr"),
                (RUST, "rr, per-worker"),
                (RUST, "wrr"),
                (C, "rr"),
                (LIST, "rr"),
                (PINGORA, "RoundRobin"),
                (BARE, ADDITION),
                (BARE, ADDITION_AND_COPY),
            ],
        ),
        others,
    ]
}

fn histogram(summary: &Summary) -> Plot {
    let lines = reload::WAYS.iter().filter_map(|way| {
        let row = summary.of(name::RELOAD).find(|row| row.key.scheduler == *way)?;
        let mut points: Vec<(f64, f64)> = row
            .detail
            .iter()
            .filter_map(|(name, picks)| {
                let from: f64 = name.strip_prefix(reload::BUCKET)?.parse().ok()?;
                Some((from, *picks))
            })
            .collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        Line::new((*way).to_owned(), *way == "reloads", points)
    });
    Plot {
        title: "How long picks take while configs change, clock included".to_owned(),
        across: "a pick took at least so many ns, and less than twice",
        up: "picks per second",
        lines: lines.collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{MOST_LINES, pictures};
    use crate::launch;

    #[test]
    fn every_picture_has_its_own_file_and_few_lines() {
        let files: BTreeSet<String> = pictures().into_iter().map(|picture| picture.file).collect();
        assert_eq!(files.len(), pictures().len());
        for picture in pictures() {
            assert!((2..=MOST_LINES).contains(&picture.lines.len()), "{}", picture.file);
        }
    }

    /// Each line has at least two points in a whole run.
    #[test]
    fn every_line_is_measured() {
        let keys: BTreeSet<_> = launch::plans().into_iter().map(|plan| plan.key).collect();
        let subjects: BTreeSet<_> = keys.iter().map(|key| key.subject.clone()).collect();
        for picture in pictures() {
            for line in &picture.lines {
                // Other crates are not measured in every build.
                let known = subjects.contains(line.0);
                let found = picture.cases(line).into_iter().filter(|(_, key)| keys.contains(key));
                assert!(!known || found.count() >= 2, "{}: {line:?}", picture.file);
                assert!(known || cfg!(not(feature = "peers")), "{}: {line:?}", picture.file);
            }
        }
    }
}
