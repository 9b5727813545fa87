//! Measures reading a rules text, by kind of command and number of lines: `make bench-rules`.
//!
//! Lines per second should stay about the same as a text grows: it is read in O(length).

use std::fmt;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use vsched::Config;

const SIZES: [usize; 3] = [1_000, 10_000, 100_000];

struct Row {
    what: &'static str,
    /// Number of lines per unit of `n`.
    lines: usize,
    text: fn(usize) -> String,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }
}

fn rows() -> [Row; 6] {
    let row = |what, lines, text| Row { what, lines, text };
    [
        row("add servers", 1, |n| servers("-a", " -m -w 3", n)),
        row("edit servers", 2, |n| servers("-a", " -m", n) + &servers("-e", " -m -w 3", n)),
        row("delete servers", 2, |n| servers("-a", " -m", n) + &servers("-d", "", n)),
        row("add services", 1, |n| services("-A", " -s rr", n)),
        row("delete services", 2, |n| services("-A", " -s rr", n) + &services("-D", "", n)),
        row("extension", 1, |n| {
            services("-A", " -s mh --vsched-mh-table-index 8 --vsched-sharing per-worker", n)
        }),
    ]
}

fn ip(i: usize) -> String {
    format!("10.{}.{}.{}", 1 + i / 65536, i / 256 % 256, i % 256)
}

fn services(verb: &str, rest: &str, n: usize) -> String {
    (0..n).map(|i| format!("{verb} -t {}:80{rest}\n", ip(i))).collect()
}

fn servers(verb: &str, rest: &str, n: usize) -> String {
    let first = if verb == "-a" { "-A -t 10.0.0.1:80 -s rr\n" } else { "" };
    let line = |i| format!("{verb} -t 10.0.0.1:80 -r {}:80{rest}\n", ip(i));
    first.to_owned() + &(0..n).map(line).collect::<String>()
}

#[divan::bench(args = rows(), consts = SIZES, sample_count = 7, sample_size = 1)]
fn read<const SIZE: usize>(bencher: Bencher<'_, '_>, row: &Row) {
    let text = (row.text)(SIZE);
    bencher
        .counter(ItemsCount::new(row.lines * SIZE))
        .bench_local(|| black_box(&text).parse::<Config>().expect("a rules text"));
}

fn main() {
    divan::main();
}
