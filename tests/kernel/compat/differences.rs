//! Command lines on which the example differs from the real ipvsadm, and why.

/// In what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    State,
    Status,
    Stdout,
    Stderr,
}

use What::{State, Status, Stderr, Stdout};

pub(super) struct Difference {
    pub(super) line: &'static str,
    pub(super) what: &'static [What],
    #[allow(dead_code)]
    pub(super) why: &'static str,
}

const fn difference(line: &'static str, what: &'static [What], why: &'static str) -> Difference {
    Difference { line, what, why }
}

const HELP: &str = "ipvsadm's text is its authors'; ours says the same in other words";
const SAVED: &str =
    "ipvsadm saves marks above 2147483647 as negative numbers, which only we read back";
const FIRST: &str = "we look for words that are no options before we read values";
const FOREIGN: &str =
    "a protocol that this crate does not have: said so, and nothing saved in part";

pub(super) const DIFFERENCES: &[Difference] = &[
    difference("-h", &[Stdout], HELP),
    difference("--help", &[Stdout], HELP),
    difference("-hL", &[Stdout], HELP),
    difference("-h --bogus", &[Stdout], HELP),
    difference("-v", &[Stdout], HELP),
    difference("--version", &[Stdout], HELP),
    // There is such a service already.
    difference("-A -f -1", &[Status, Stderr], SAVED),
    difference("-A -f -1294967296", &[State, Status, Stderr], SAVED),
    difference("-R < -A -f -1294967296 -s rr | -A -f 5", &[State, Status, Stderr], SAVED),
    difference("-A -t bogus: --bogus", &[Status, Stderr], FIRST),
    difference("-L -n --sort", &[Status, Stdout, Stderr], FOREIGN),
    difference("-S -n --sort --sort", &[Status, Stdout, Stderr], FOREIGN),
    difference("--set 1 x 3 4", &[Stderr], "we count the values before we read them"),
];
