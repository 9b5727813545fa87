//! Parsing takes steps in proportion to the length of the text.

use crate::config::{Config, steps};

type Text = fn(usize) -> String;

/// Texts of about `count` lines or words each, with a description.
const TEXTS: &[(&str, Text)] = &[
    ("services come and go, oldest first", |n| {
        services("-A", " -s rr", 0..n) + &services("-D", "", 0..n)
    }),
    ("services come and go, newest first", |n| {
        services("-A", " -s rr", 0..n) + &services("-D", "", (0..n).rev())
    }),
    ("one service comes and goes", |n| "-A -t 10.0.0.1:80\n-D -t 10.0.0.1:80\n".repeat(n)),
    ("many services, then everything goes again and again", |n| {
        services("-A", "", 0..n) + &"-C\n-A -t 10.0.0.1:80\n".repeat(n)
    }),
    ("servers come and go, oldest first", |n| {
        servers("-a", " -m", 0..n) + &servers("-d", "", 0..n)
    }),
    ("servers come, are edited and go, newest first", |n| {
        let all = || (0..n).rev();
        servers("-a", " -m", all()) + &servers("-e", " -w 3", all()) + &servers("-d", "", all())
    }),
    ("many servers, their service edited between", |n| {
        let server =
            |i| servers("-a", "", i..i + 1).replace("-A -t 10.0.0.1:80\n", "-E -t 10.0.0.1:80\n");
        "-A -t 10.0.0.1:80\n".to_owned() + &(0..n).map(server).collect::<String>()
    }),
    ("services with pairs", |n| {
        services("-A", " --vsched-ejection trials=2,failures=3,outliers=mean,factor=9", 0..n)
    }),
    ("a bundle of letters", |n| format!("-A -f 7 -{}\n", "6".repeat(n))),
    ("an option again and again", |n| {
        format!("-A -f 7{}{}\n", " -6".repeat(n), " --sort".repeat(n))
    }),
    ("a long comment and many blanks", |n| format!("-C{}# {}\n", " ".repeat(n), "x ".repeat(n))),
];

fn services(verb: &str, rest: &str, places: impl Iterator<Item = usize>) -> String {
    let line = |i: usize| {
        format!("{verb} -t 10.{}.{}.{}:80{rest}\n", 1 + i / 65536, i / 256 % 256, i % 256)
    };
    places.map(line).collect()
}

fn servers(verb: &str, rest: &str, places: impl Iterator<Item = usize>) -> String {
    let to = |i: usize| format!("-r 10.{}.{}.{}:80", 1 + i / 65536, i / 256 % 256, i % 256);
    let lines = places.map(|i| format!("{verb} -t 10.0.0.1:80 {}{rest}\n", to(i)));
    let first = if verb == "-a" { "-A -t 10.0.0.1:80\n" } else { "" };
    first.to_owned() + &lines.collect::<String>()
}

#[test]
fn steps_grow_with_the_length_of_the_text() {
    for (what, text) in TEXTS {
        let texts = [text(200), text(1600)];
        let taken = texts.each_ref().map(|text| {
            let (config, taken) = steps::of(|| text.parse::<Config>());
            assert!(config.is_ok(), "{what}: {config:?}");
            taken
        });
        assert!(taken[0] >= texts[0].len(), "{what}: every character is looked at");
        let each = |at: usize| taken[at] as f64 / texts[at].len() as f64;
        assert!(each(0) < 4.0, "{what}: {} steps per character", each(0));
        assert!(
            each(1) < each(0) * 1.5,
            "{what}: {} steps per character, then {}",
            each(0),
            each(1)
        );
    }
}
