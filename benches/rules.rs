//! What reading a line of a rules text costs, by what the lines do and how many there are.
//!
//! All rows should stay about as they are from left to right: a text is read in O(length).

use std::hint::black_box;
use std::time::Instant;

use vsched::Config;

const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
const ROUNDS: usize = 7;

type Text = fn(usize) -> String;

/// Texts, and how many lines they have for each of `n`.
const ROWS: &[(&str, usize, Text)] = &[
    ("add servers", 1, |n| servers("-a", " -m -w 3", n)),
    ("edit servers", 2, |n| servers("-a", " -m", n) + &servers("-e", " -m -w 3", n)),
    ("delete servers", 2, |n| servers("-a", " -m", n) + &servers("-d", "", n)),
    ("add services", 1, |n| services("-A", " -s rr", n)),
    ("delete services", 2, |n| services("-A", " -s rr", n) + &services("-D", "", n)),
    ("extension", 1, |n| {
        services("-A", " -s mh --vsched-mh-table-index 8 --vsched-sharing per-worker", n)
    }),
];

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

/// Nanoseconds a line, the median of so many readings.
fn measure(text: &str, lines: usize, rounds: usize) -> f64 {
    let mut samples: Vec<f64> = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            black_box(black_box(text).parse::<Config>().expect("a rules text"));
            start.elapsed().as_secs_f64() * 1e9 / lines as f64
        })
        .collect();
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        for (_, lines, text) in ROWS {
            measure(&text(100), lines * 100, 1);
        }
        return;
    }
    println!("ns a line{}", SIZES.map(|n| format!("{:>12}", format!("n={n}"))).concat());
    for (name, lines, text) in ROWS {
        let cell = |n| format!("{:>12.0}", measure(&text(n), lines * n, ROUNDS));
        println!("  {name:<16}{}", SIZES.map(cell).concat());
    }
}
