//! The tables, as Markdown that is also readable in a terminal.

use std::fmt::Write;
use std::process::Command;

use crate::case::{Key, Regime, Weights};
use crate::questions::{affinity, connections, name, regimes, reload, scale, size, table, threads};
use crate::report::Summary;
use crate::subjects::name::RUST;
use crate::{instructions, work};

pub fn markdown(summary: &Summary, launches: usize, loads: &(String, String)) -> String {
    let parts = [
        machine(launches, loads),
        sizes(summary, Weights::Equal),
        sizes(summary, Weights::Skewed),
        counted(summary),
        connection_costs(summary),
        regime_costs(summary),
        remembering_costs(summary),
        thread_costs(summary),
        tables(summary),
        scales(summary),
        reloads(summary),
    ];
    parts.concat()
}

/// Three digits, thousands as k, millions as M.
pub fn short(value: f64) -> String {
    match value {
        _ if value >= 99_950_000.0 => format!("{:.0}M", value / 1e6),
        _ if value >= 999_500.0 => format!("{:.1}M", value / 1e6),
        _ if value >= 99_950.0 => format!("{:.0}k", value / 1e3),
        _ if value >= 9_999.5 => format!("{:.1}k", value / 1e3),
        _ if value >= 99.95 => format!("{value:.0}"),
        _ => format!("{value:.1}"),
    }
}

/// A number of servers.
pub fn servers(n: usize) -> String {
    match n {
        1_000_000.. if n.is_multiple_of(1_000_000) => format!("{}M", n / 1_000_000),
        1_000.. if n.is_multiple_of(1_000) => format!("{}k", n / 1_000),
        _ => n.to_string(),
    }
}

fn machine(launches: usize, loads: &(String, String)) -> String {
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().ok();
        let text = output.and_then(|output| String::from_utf8(output.stdout).ok());
        text.map_or("unknown".to_owned(), |text| text.trim().to_owned())
    };
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "{} {} processors, Linux {}, {}; commit {}, {}. Median of {launches} launches (least to \
         most); load average {} before, {} after.\n",
        model.trim_start_matches(['\t', ' ', ':']),
        count,
        said("uname", &["-r"]),
        said("rustc", &["--version"]),
        said("git", &["-C", env!("CARGO_MANIFEST_DIR"), "rev-parse", "--short", "HEAD"]),
        said("date", &["-u", "+%Y-%m-%d"]),
        loads.0,
        loads.1,
    )
}

/// The median, minimum and maximum of the launches.
fn cell(summary: &Summary, key: &Key, scale: f64) -> String {
    let Some(row) = summary.get(key) else { return "–".to_owned() };
    let [Some(median), Some(least), Some(most)] = [row.ns_median, row.ns_min, row.ns_max] else {
        return "–".to_owned();
    };
    format!("{} ({}–{})", short(median / scale), short(least / scale), short(most / scale))
}

/// A heading, and a table with one column per element of `heads`.
fn table(title: &str, heads: &[String], lines: Vec<(String, Vec<String>)>) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let mut widths: Vec<usize> = heads.iter().map(|head| head.chars().count()).collect();
    for (_, cells) in &lines {
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let first = lines.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
    let mut text = format!("\n### {title}\n\n");
    let mut put = |label: &str, cells: &[String]| {
        let _ = write!(text, "| {label:<first$} |");
        for (cell, width) in cells.iter().zip(&widths) {
            let _ = write!(text, " {cell:>width$} |");
        }
        text.push('\n');
    };
    put("", heads);
    let rules: Vec<String> =
        widths.iter().map(|width| format!("{}:", "-".repeat(width - 1))).collect();
    put(&"-".repeat(first), &rules);
    for (label, cells) in &lines {
        put(label, cells);
    }
    text
}

fn heads(sizes: &[usize]) -> Vec<String> {
    sizes.iter().map(|n| format!("n={}", servers(*n))).collect()
}

fn sizes(summary: &Summary, how: Weights) -> String {
    let lines = summary.lines(name::SIZE).into_iter().filter(|line| line.2 == how);
    let lines = lines.map(|(subject, scheduler, _)| {
        let key = |n: &usize| Key::new(name::SIZE, &subject, &scheduler, *n).weights(how);
        let cells = size::SIZES.iter().map(|n| cell(summary, &key(n), 1.0)).collect();
        (format!("{subject} {scheduler}"), cells)
    });
    let title = format!("A pick against the number of servers, {how} weights, ns");
    let mut text = table(&title, &heads(&size::SIZES), lines.collect());
    if how == Weights::Skewed && !text.is_empty() {
        text.push_str("\nWhere a row ends, and why:\n\n");
        size::CAPS.iter().for_each(|cap| {
            let _ = writeln!(text, "- {cap}.");
        });
    }
    text
}

fn counted(summary: &Summary) -> String {
    let mut lines = Vec::new();
    for question in [name::SIZE, name::CONNECTIONS, name::REGIMES] {
        for (subject, scheduler, how) in summary.lines(question) {
            let rows = instructions::SIZES
                .map(|n| summary.get(&Key::new(question, &subject, &scheduler, n).weights(how)));
            if rows.iter().flatten().all(|row| row.instructions.is_none()) {
                continue;
            }
            let show = |value: Option<f64>| value.map_or("–".to_owned(), short);
            let cells = rows.iter().map(|row| show(row.and_then(|row| row.instructions)));
            let allocations = rows[0].and_then(|row| row.allocations);
            let what = if question == name::SIZE { "pick" } else { "connection" };
            let label = format!("{what}: {subject} {scheduler}, {how}");
            lines.push((label, cells.chain([show(allocations)]).collect()));
        }
    }
    let mut heads = heads(&instructions::SIZES);
    heads.push("allocations".to_owned());
    table("Instructions per operation (callgrind, loop included), and allocations", &heads, lines)
}

fn connection_costs(summary: &Summary) -> String {
    let lines = summary.lines(name::CONNECTIONS).into_iter().map(|(subject, scheduler, how)| {
        let key = |n: &usize| Key::new(name::CONNECTIONS, &subject, &scheduler, *n).weights(how);
        let cells = connections::SIZES.iter().map(|n| cell(summary, &key(n), 1.0)).collect();
        (format!("{subject} {scheduler}"), cells)
    });
    let title = "A whole connection: pick, open, close of an older one; skewed weights, ns";
    table(title, &heads(&connections::SIZES), lines.collect())
}

/// One table per regime and kind of weights.
fn regime_costs(summary: &Summary) -> String {
    let both = regimes::BOTH
        .into_iter()
        .flat_map(|regime| [Weights::Equal, Weights::Skewed].map(|how| (regime, how)));
    let of = |(regime, how): (Regime, Weights)| {
        let lines = summary.lines(name::REGIMES).into_iter().filter(|line| line.2 == how);
        let lines = lines.map(|(subject, scheduler, _)| {
            let key = |n: &usize, threads| {
                let key = Key::new(name::REGIMES, &subject, &scheduler, *n).weights(how);
                key.threads(threads).regime(regime)
            };
            let cells = regimes::SIZES.iter().flat_map(|n| {
                threads::THREAD_COUNTS.map(|threads| cell(summary, &key(n, threads), 1.0))
            });
            (format!("{subject} {scheduler}"), cells.collect())
        });
        let heads = regimes::SIZES.iter().flat_map(|n| {
            ["1 thread", "2 threads"].map(|threads| format!("n={}, {threads}", servers(*n)))
        });
        let said = match regime {
            Regime::Hot => "in a hot loop".to_owned(),
            Regime::Work => {
                format!("with {:.1} µs of private work between, net of it", work::NANOSECONDS / 1e3)
            }
        };
        let title = format!("Connect + close {said}; {how} weights, ns per thread");
        table(&title, &heads.collect::<Vec<_>>(), lines.collect())
    };
    both.map(of).collect()
}

fn remembering_costs(summary: &Summary) -> String {
    let lines = summary.lines(name::AFFINITY).into_iter().map(|(subject, scheduler, how)| {
        let key = |n| Key::new(name::AFFINITY, &subject, &scheduler, n).weights(how);
        let mut cells: Vec<String> =
            affinity::SIZES.iter().map(|n| cell(summary, &key(*n), 1.0)).collect();
        for (threads, regime) in [(2, Regime::Hot), (1, Regime::Work), (2, Regime::Work)] {
            let key = key(affinity::SHARED).threads(threads).regime(regime);
            cells.push(cell(summary, &key, 1.0));
        }
        (format!("{subject} {scheduler}"), cells)
    });
    let mut heads = heads(&affinity::SIZES);
    let shared = ["2 threads", "with work", "2 threads, with work"];
    heads.extend(shared.map(|what| format!("n={}, {what}", affinity::SHARED)));
    let title =
        "A connection of a remembered address, closed at once; equal weights, ns per thread";
    table(title, &heads, lines.collect())
}

fn thread_costs(summary: &Summary) -> String {
    let lines = summary.lines(name::THREADS).into_iter().map(|(subject, scheduler, how)| {
        let mut cells = Vec::new();
        for n in threads::SIZES {
            let key = |threads| {
                Key::new(name::THREADS, &subject, &scheduler, n).weights(how).threads(threads)
            };
            cells.extend(threads::THREAD_COUNTS.map(|threads| cell(summary, &key(threads), 1.0)));
            let ratio = summary.ns(&key(2)).zip(summary.ns(&key(1))).map(|(two, one)| two / one);
            cells.push(ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.2}")));
        }
        (format!("{subject} {scheduler}"), cells)
    });
    let heads: Vec<String> = threads::SIZES
        .iter()
        .flat_map(|n| ["1 thread", "2 threads", "ratio"].map(|what| format!("n={n}, {what}")))
        .collect();
    table(
        "One and two threads on one service, ns per operation and thread",
        &heads,
        lines.collect(),
    )
}

fn tables(summary: &Summary) -> String {
    let lines = summary.lines(name::TABLE).into_iter().map(|(subject, scheduler, how)| {
        let key = |n: &usize| Key::new(name::TABLE, &subject, &scheduler, *n).weights(how);
        let cells = table::SIZES.iter().map(|n| cell(summary, &key(n), 1e6)).collect();
        (format!("{subject} {scheduler}, {how}"), cells)
    });
    let title = "Building a table of 65521 slots: `apply` with one changed weight (rr: the same \
                 without a table), ms";
    table(title, &heads(&table::SIZES), lines.collect())
}

fn scales(summary: &Summary) -> String {
    let ways = summary.of(name::SCALE).filter(|row| row.ns_median.is_some());
    let lines = ways.map(|row| (row.key.scheduler.clone(), vec![cell(summary, &row.key, 1e6)]));
    let title = "100,000 servers in 1,000 services";
    let mut text = table(title, &["ms".to_owned()], lines.collect());
    let names = [scale::BYTES_SERVER, scale::BYTES_CONFIG, scale::BYTES_SERVICE];
    let memory = scale::KINDS.iter().filter_map(|kind| {
        let line = |row: &&crate::report::Row| row.key.scheduler == kind.name();
        let row = summary.of(name::SCALE).find(line)?;
        let cells = names.map(|name| row.detail.get(name).map_or("–".to_owned(), |v| short(*v)));
        Some((kind.name().to_owned(), cells.to_vec()))
    });
    text += &table(
        "Memory of a director, the same config",
        &names.map(str::to_owned),
        memory.collect(),
    );
    text
}

fn reloads(summary: &Summary) -> String {
    let mut names: Vec<&str> = reload::SHARES.iter().map(|(name, _)| *name).collect();
    names.extend([reload::WORST, reload::RELOADS]);
    let lines = reload::WAYS.iter().filter_map(|way| {
        let row = summary.of(name::RELOAD).find(|row| row.key.scheduler == *way)?;
        let cell = |name: &&str| row.detail.get(*name).map_or("–".to_owned(), |v| short(*v));
        Some((format!("{RUST} wrr, {way}"), names.iter().map(cell).collect()))
    });
    let heads: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let title = "Picks during reloads, clock included: upper bounds of percentiles, ns";
    table(title, &heads, lines.collect())
}
