//! Plots: one SVG per question, with logarithmic axes.

use crate::case::{Key, Weights};
use crate::questions::{connections, name, reload, size, table, threads};
use crate::report::Summary;
use crate::report::svg::{Line, Plot};

/// File names with their plots.
pub fn all(summary: &Summary) -> Vec<(&'static str, String)> {
    let plots = [
        ("size-equal.svg", sizes(summary, Weights::Equal)),
        ("size-skewed.svg", sizes(summary, Weights::Skewed)),
        ("connections.svg", by_size(summary, name::CONNECTIONS, &connections::SIZES)),
        ("threads.svg", by_threads(summary)),
        ("table.svg", by_size(summary, name::TABLE, &table::SIZES)),
        ("scale.svg", ways(summary)),
        ("reload.svg", histogram(summary)),
    ];
    plots
        .into_iter()
        .filter(|(_, plot)| !plot.lines.is_empty())
        .map(|(n, p)| (n, p.svg()))
        .collect()
}

fn line(subject: &str, scheduler: &str, points: Vec<(f64, f64)>) -> Option<Line> {
    let name = format!("{subject} {scheduler}");
    let ours = subject.starts_with("vsched");
    (!points.is_empty()).then_some(Line { name, ours, points })
}

fn sizes(summary: &Summary, how: Weights) -> Plot {
    let lines = summary.lines(name::SIZE).into_iter().filter(|line| line.2 == how);
    let lines = lines.filter_map(|(subject, scheduler, _)| {
        let point = |n: &usize| {
            let key = Key::new(name::SIZE, &subject, &scheduler, *n).weights(how);
            Some((*n as f64, summary.ns(&key)?))
        };
        line(&subject, &scheduler, size::SIZES.iter().filter_map(point).collect())
    });
    let title = match how {
        Weights::Equal => "A pick against the number of servers, equal weights",
        Weights::Skewed => "A pick against the number of servers, skewed weights",
    };
    Plot { title, across: "servers", up: "ns per pick", lines: lines.collect() }
}

fn by_size(summary: &Summary, question: &str, sizes: &[usize]) -> Plot {
    let lines = summary.lines(question).into_iter().filter_map(|(subject, scheduler, how)| {
        let point = |n: &usize| {
            let key = Key::new(question, &subject, &scheduler, *n).weights(how);
            Some((*n as f64, summary.ns(&key)?))
        };
        let scheduler =
            if question == name::TABLE { format!("{scheduler}, {how}") } else { scheduler.clone() };
        let points = sizes.iter().filter_map(point).collect();
        line(&subject, &scheduler, points)
    });
    let (title, up) = match question {
        name::TABLE => ("Building a table of 65521 slots", "ns per apply"),
        _ => ("A whole connection against the number of servers", "ns a connection"),
    };
    Plot { title, across: "servers", up, lines: lines.collect() }
}

fn by_threads(summary: &Summary) -> Plot {
    let n = threads::SIZES[threads::SIZES.len() - 1];
    let lines = summary.lines(name::THREADS).into_iter().filter_map(|(subject, scheduler, how)| {
        let point = |threads: usize| {
            let key = Key::new(name::THREADS, &subject, &scheduler, n).weights(how);
            Some((threads as f64, summary.ns(&key.threads(threads))?))
        };
        let points = threads::THREAD_COUNTS.into_iter().filter_map(point).collect();
        line(&subject, &scheduler, points)
    });
    let title = "One and two threads on one service, 1,000 servers";
    Plot { title, across: "threads", up: "ns per operation and thread", lines: lines.collect() }
}

/// One point per value, by rank: bars would show no more than the table.
fn ways(summary: &Summary) -> Plot {
    let rows = summary.of(name::SCALE).filter_map(|row| Some((row, row.ns_median?)));
    let lines = rows.enumerate().filter_map(|(at, (row, ns))| {
        let points = vec![(at as f64 + 1.0, ns / 1e6)];
        line("vsched", &format!("{} ({:.1} ms)", row.key.scheduler, ns / 1e6), points)
    });
    let title = "The ways of a config: 100,000 servers in 1,000 services";
    Plot { title, across: "number in the list", up: "ms", lines: lines.collect() }
}

fn histogram(summary: &Summary) -> Plot {
    let lines = reload::WAYS.iter().filter_map(|way| {
        let row = summary.of(name::RELOAD).find(|row| row.key.scheduler == *way)?;
        let mut points: Vec<(f64, f64)> = row
            .detail
            .iter()
            .filter_map(|(name, picks)| {
                let from: f64 = name.strip_prefix(reload::BUCKET)?.parse().ok()?;
                (*picks > 0.0).then_some((from, *picks))
            })
            .collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        line(if *way == "reloads" { "vsched" } else { "(vsched)" }, way, points)
    });
    Plot {
        title: "How long picks take while configs change, clock included",
        across: "a pick took at least so many ns, and less than twice",
        up: "picks per second",
        lines: lines.collect(),
    }
}
