//! The example `ipvsadm` behaves like the real one: both run the same command lines on equal
//! kernels, and must produce the same state, output, errors and exit status. The lines are those of
//! `commands.txt`, except for the differences in `differences.rs`, and random ones from
//! `grammar.rs`.

mod differences;
mod draw;
mod grammar;
mod meaning;
mod noise;
mod options;
mod pair;
mod random;
pub(crate) mod worker;

use std::collections::BTreeSet;
use std::time::Instant;

use crate::guest::note;
use differences::{DIFFERENCES, What};
use pair::Pair;

pub(crate) use random::{soak, usual as random};

const COMMANDS: &str = include_str!("commands.txt");

/// What is wrong with a line is told where there is no IPVS, too: the real program looks for that
/// first.
pub(crate) fn without_ipvs() {
    const TRY: &str = "Try `vs -h' or 'vs --help' for more information.\n";
    const ABSENT: &str = "Can't initialize ipvs: Protocol not available\n";
    for (line, status, stderr) in [
        ("plan", 255, TRY),
        ("-n -L", 255, TRY),
        ("-L --bogus", 255, "--bogus: unknown option\n"),
        ("-L plan", 2, "unexpected argument plan\n"),
        ("-a -t 10.0.0.1:80 -r 10.0.0.2 -w x", 2, "--weight `x': illegal weight: "),
        ("-A -t 10.0.0.1:80 -w 1", 2, "Illegal 'weight' option with the 'add-service' command\n"),
        ("-L", 2, ABSENT),
        ("-R", 2, ABSENT),
    ] {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let (status_found, stdout, stderr_found) = worker::ours("vs", &words, "-C\n");
        let stderr_found = String::from_utf8_lossy(&stderr_found);
        assert_eq!((status_found, stdout.as_slice()), (status, &[][..]), "{line}: {stderr_found}");
        assert!(stderr_found.starts_with(stderr), "{line}: {stderr_found}");
    }
}

pub(crate) fn listed() {
    let begun = Instant::now();
    let mut pair = Pair::start();
    let (mut lines, mut own, mut problems) = (0, 0, Vec::new());
    let mut expected: BTreeSet<(&str, What)> = BTreeSet::new();
    for difference in DIFFERENCES {
        expected.extend(difference.what.iter().map(|what| (difference.line, *what)));
    }
    for line in COMMANDS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let compared = pair.compare(line);
        if line.starts_with('!') {
            continue;
        }
        lines += 1;
        own += usize::from(compared.worded);
        let known = |what: &What| expected.remove(&(line, *what));
        if compared.differs.iter().map(known).filter(|known| !known).count() > 0 {
            problems.push(format!("{line}\n{}", compared.report()));
        }
    }
    pair.end();
    for (line, what) in expected {
        problems
            .push(format!("{line}: listed as different in {what:?}, but is not, or is not run"));
    }
    assert!(problems.is_empty(), "{} differences\n{}", problems.len(), problems.join("\n"));
    assert!(lines >= 250 && own >= 30, "{lines} lines, {own} refused in words of our own");
    let time = begun.elapsed();
    note(format!(
        "{lines} command lines like ipvsadm's, {own} of them refused in own words, {time:.1?}"
    ));
}
