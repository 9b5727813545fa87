//! Plots: one picture per question and family of subjects, at most eight lines each.

mod pictures;

use crate::case::{Key, Weights};
use crate::questions::threads::ADDITION;
use crate::questions::{name, reload, threads};
use crate::report::Summary;
use crate::report::svg::{Line, Plot};
use crate::subjects::name::RUST;

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
    let plots =
        pictures::all().into_iter().map(|picture| (picture.file.clone(), picture.plot(summary)));
    let plots = plots.chain([("reload.svg".to_owned(), histogram(summary))]);
    plots
        .filter(|(_, plot)| !plot.lines.is_empty())
        .map(|(name, plot)| (name, plot.svg()))
        .collect()
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
        let files: BTreeSet<String> =
            pictures::all().into_iter().map(|picture| picture.file).collect();
        assert_eq!(files.len(), pictures::all().len());
        for picture in pictures::all() {
            assert!((2..=MOST_LINES).contains(&picture.lines.len()), "{}", picture.file);
        }
    }

    /// Each line has at least two points in a whole run.
    #[test]
    fn every_line_is_measured() {
        let keys: BTreeSet<_> = launch::plans().into_iter().map(|plan| plan.key).collect();
        let subjects: BTreeSet<_> = keys.iter().map(|key| key.subject.clone()).collect();
        for picture in pictures::all() {
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
