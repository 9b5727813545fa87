//! Random command lines: most are sensible and concern the same few services and servers, many of
//! these contain mistakes, some are arbitrary.

use super::draw::Draw;
use super::options::{COMMANDS, NAMES, OPTIONS, Opt, STRAY, Takes, named};

/// Lines of a sequence.
const LINES: usize = 8;
/// As many of them, at most, set something up.
const PREPARING: usize = 4;

/// An option with its value, or a word that is none.
#[derive(Debug, Clone)]
enum Part {
    Opt(&'static Opt, Option<String>),
    Word(String),
}

/// The lines of one sequence.
pub(super) fn sequence(draw: &mut Draw) -> Vec<String> {
    let mut lines: Vec<String> = (0..draw.below(PREPARING + 1))
        .map(|_| {
            let command = *draw.one(&["add-service", "add-service", "add-server"]);
            let parts = sensible(draw, command);
            rendered(draw, &parts)
        })
        .collect();
    while lines.len() < LINES {
        let text = match draw.below(100) {
            0..8 => restore(draw),
            8 => "(nothing)".to_owned(),
            _ => line(draw),
        };
        lines.push(if draw.percent(5) { format!("@{} {text}", draw.one(NAMES)) } else { text });
    }
    lines
}

/// One line, with or without mistakes.
fn line(draw: &mut Draw) -> String {
    let parts = if draw.percent(12) { anything(draw) } else { command(draw) };
    rendered(draw, &parts)
}

fn command(draw: &mut Draw) -> Vec<Part> {
    let command = match draw.below(100) {
        0..24 => "add-service",
        24..32 => "edit-service",
        32..38 => "delete-service",
        38..60 => "add-server",
        60..70 => "edit-server",
        70..75 => "delete-server",
        75 => "clear",
        76..85 => "list",
        85..88 => "save",
        88..92 => "zero",
        92..94 => "set",
        94..98 => "start-daemon",
        _ => "stop-daemon",
    };
    let mut parts = sensible(draw, command);
    for _ in 0..*draw.one(&[0, 0, 0, 0, 1, 1, 2, 3]) {
        mistake(draw, &mut parts);
    }
    parts
}

/// Lines on standard input.
fn restore(draw: &mut Draw) -> String {
    let mut text = if draw.percent(90) { "-R <".to_owned() } else { "-R -n <".to_owned() };
    for place in 0..1 + draw.below(4) {
        if place > 0 {
            text += " |";
        }
        match draw.below(20) {
            0 => {}
            1 => text += " # a comment",
            2 => text += &format!(" ipvsadm {}", line(draw)),
            _ => text += &format!(" {}", line(draw)),
        }
    }
    text
}

fn push(draw: &mut Draw, parts: &mut Vec<Part>, percent: usize, long: &str) {
    if draw.percent(percent) {
        let opt = named(long);
        let value = value(draw, opt, 0);
        parts.push(Part::Opt(opt, value));
    }
}

/// A value of an option; in so many of a hundred cases one that is odd or wrong.
fn value(draw: &mut Draw, opt: &Opt, odd: usize) -> Option<String> {
    let (good, bad) = match opt.takes {
        Takes::Nothing => return None,
        Takes::Maybe(..) if draw.percent(50) => return None,
        Takes::Value(good, bad) | Takes::Maybe(good, bad) => (good, bad),
    };
    let values = if draw.percent(odd) { bad } else { good };
    Some((*draw.one(values)).to_owned())
}

/// A line as it is meant.
fn sensible(draw: &mut Draw, command: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    push(draw, &mut parts, 100, command);
    match command {
        "add-service" | "edit-service" => {
            service(draw, &mut parts);
            for (percent, long) in [
                (60, "scheduler"),
                (35, "persistent"),
                (15, "netmask"),
                (12, "sched-flags"),
                (6, "pe"),
                (10, "ops"),
            ] {
                push(draw, &mut parts, percent, long);
            }
        }
        "add-server" | "edit-server" | "delete-server" => {
            service(draw, &mut parts);
            push(draw, &mut parts, 100, "real-server");
            if command != "delete-server" {
                let method = *draw.one(&["masquerading", "ipip", "gatewaying"]);
                push(draw, &mut parts, 75, method);
                let tunnel = if method == "ipip" { 40 } else { 3 };
                let checksum = *draw.one(&["tun-nocsum", "tun-csum", "tun-remcsum"]);
                for (percent, long) in [
                    (50, "weight"),
                    (20, "u-threshold"),
                    (15, "l-threshold"),
                    (tunnel, "tun-type"),
                    (tunnel, "tun-port"),
                    (tunnel / 2, checksum),
                ] {
                    push(draw, &mut parts, percent, long);
                }
            }
        }
        "delete-service" => service(draw, &mut parts),
        "zero" if draw.percent(60) => service(draw, &mut parts),
        "list" => {
            if draw.percent(25) {
                service(draw, &mut parts);
            }
            let views = ["stats", "rate", "thresholds", "persistent-conn", "tun-info", "nosort"];
            let others = ["connection", "timeout", "daemon", "exact", "sort"];
            for (percent, long) in [
                (70, "numeric"),
                (50, *draw.one(&views)),
                (15, *draw.one(&views)),
                (20, *draw.one(&others)),
            ] {
                push(draw, &mut parts, percent, long);
            }
        }
        "save" => push(draw, &mut parts, 60, "numeric"),
        "set" => {
            let seconds = ["0", "7", "900", "120", "300", "2678400", "+5"];
            parts.extend((0..3).map(|_| Part::Word((*draw.one(&seconds)).to_owned())));
        }
        "start-daemon" => {
            for long in [
                "mcast-interface",
                "syncid",
                "sync-maxlen",
                "mcast-group",
                "mcast-port",
                "mcast-ttl",
            ] {
                push(draw, &mut parts, 25, long);
            }
        }
        "stop-daemon" => push(draw, &mut parts, 20, "syncid"),
        _ => {}
    }
    parts
}

fn service(draw: &mut Draw, parts: &mut Vec<Part>) {
    let long = match draw.below(10) {
        0..5 => "tcp-service",
        5..7 => "udp-service",
        7 => "sctp-service",
        _ => "fwmark-service",
    };
    push(draw, parts, 100, long);
    if long == "fwmark-service" {
        push(draw, parts, 50, "ipv6");
    }
}

/// Anything at all, beginning with a command most of the time.
fn anything(draw: &mut Draw) -> Vec<Part> {
    let mut parts = Vec::new();
    if draw.percent(93) {
        let opt = draw.one(COMMANDS);
        let value = value(draw, opt, 20);
        parts.push(Part::Opt(opt, value));
    }
    for _ in 0..draw.below(7) {
        parts.push(any(draw));
    }
    if parts.is_empty() { command(draw) } else { parts }
}

fn any(draw: &mut Draw) -> Part {
    if draw.percent(8) {
        return Part::Word((*draw.one(STRAY)).to_owned());
    }
    let opt = draw.one(OPTIONS);
    let value = value(draw, opt, 35);
    Part::Opt(opt, value)
}

fn mistake(draw: &mut Draw, parts: &mut Vec<Part>) {
    // The command stays where it is.
    let at = 1 + draw.below(parts.len());
    let kind = draw.below(7);
    if kind < 2 {
        parts.insert(at, any(draw));
        return;
    }
    let Some(part) = parts.get(at).or(parts.last()).cloned() else { return };
    let at = at.min(parts.len() - 1);
    match kind {
        2 => parts.insert(at + 1, part),
        3 if at > 0 => {
            parts.remove(at);
        }
        4 if at > 1 => parts.swap(at - 1, at),
        _ => match &mut parts[at] {
            Part::Opt(opt, value) => {
                if let Takes::Value(_, bad) | Takes::Maybe(_, bad) = opt.takes {
                    *value = Some((*draw.one(bad)).to_owned());
                }
            }
            Part::Word(word) => *word = (*draw.one(STRAY)).to_owned(),
        },
    }
}

/// The line in one of the spellings that it has.
fn rendered(draw: &mut Draw, parts: &[Part]) -> String {
    let mut words: Vec<String> = Vec::new();
    // Whether the last word is of letters to which more can be added.
    let mut open = false;
    for part in parts {
        let (opt, value) = match part {
            Part::Opt(opt, value) => (opt, value),
            Part::Word(word) => {
                words.push(word.clone());
                open = false;
                continue;
            }
        };
        let letter = opt.short.filter(|_| draw.percent(70));
        let option = match (letter, words.last_mut()) {
            (Some(letter), Some(last)) if open && draw.percent(25) => {
                let bundle = format!("{last}{letter}");
                words.pop();
                bundle
            }
            (Some(letter), _) => format!("-{letter}"),
            (None, _) => format!("--{}", opt.long),
        };
        open = letter.is_some() && value.is_none() && opt.takes == Takes::Nothing;
        match value.as_deref() {
            None => words.push(option),
            Some(value) => match draw.below(10) {
                0 => words.push(format!("{option}={}", value.trim_matches('\''))),
                1 if letter.is_some() && value != "''" => words.push(format!("{option}{value}")),
                _ => words.extend([option, value.to_owned()]),
            },
        }
    }
    words.join(" ")
}
