//! Command lines for which the example differs from the real ipvsadm, with the reasons.

/// In what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    State,
    Status,
    Stdout,
    Stderr,
}

use What::{State, Status, Stderr, Stdout};

/// Before help and the version, which end a program: ipvsadm's text is its authors', ours says the
/// same in other words.
const HELP: [&str; 2] = ["ipvsadm v1.31 ", "ipvsadm of vsched "];

/// What was printed, without the words of help.
pub(super) fn without_help(stdout: &str) -> String {
    let mut lines = stdout.split_inclusive('\n');
    let mut text = String::new();
    while let Some(line) = lines.next() {
        if HELP.iter().any(|start| line.starts_with(start)) {
            return text + if lines.next().is_some() { "(help)" } else { "(version)" };
        }
        text += line;
    }
    text
}

pub(super) struct Difference {
    pub(super) line: &'static str,
    pub(super) what: &'static [What],
    #[allow(dead_code)]
    pub(super) why: &'static str,
}

const fn difference(line: &'static str, what: &'static [What], why: &'static str) -> Difference {
    Difference { line, what, why }
}

const SAVED: &str =
    "ipvsadm saves marks above 2147483647 as negative numbers, which only we read back";
const FOREIGN: &str =
    "a protocol that this crate does not have: said so, and nothing saved in part";

pub(super) const DIFFERENCES: &[Difference] = &[
    // There is such a service already.
    difference("-A -f -1", &[Status, Stderr], SAVED),
    difference("-A -f -1294967296", &[State, Status, Stderr], SAVED),
    difference("-R < -A -f -1294967296 -s rr | -A -f 5", &[State, Status, Stderr], SAVED),
    difference("-L -n --sort", &[Status, Stdout, Stderr], FOREIGN),
    difference("-S -n --sort --sort", &[Status, Stdout, Stderr], FOREIGN),
];
