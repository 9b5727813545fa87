//! The guest side: runs scenarios, each in its own process and network namespace.

use std::fmt::Display;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::ipvsadm::{self, Streams};
use crate::machine::can_run;
use crate::{PARTS, SCENARIOS, is_chosen};

pub(crate) fn program() -> PathBuf {
    std::env::current_exe().expect("this program's path")
}

/// Runs the scenarios of one stage whose names contain one of the words between commas.
pub(crate) fn run_all(early: bool, only: &str) -> ExitCode {
    let words: Vec<&str> = only.split(',').filter(|word| !word.is_empty()).collect();
    let chosen = |name: &str| is_chosen(name, &words);
    for scenario in SCENARIOS.iter().filter(|s| s.early == early && chosen(s.name) && can_run(s)) {
        let begun = Instant::now();
        let ended = shell(&format!(
            "exec unshare -n sh -c 'ip link set lo up; exec {} --scenario {}'",
            program().display(),
            scenario.name,
        ));
        // Whether it has passed is for the host to find out.
        let word = if ended { "ok" } else { "failed" };
        println!("@{word} {} {:.1?}", scenario.name, begun.elapsed());
    }
    ExitCode::SUCCESS
}

pub(crate) fn run_one(name: &str) -> ExitCode {
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name);
    (scenario.expect("a scenario").run)();
    ExitCode::SUCCESS
}

pub(crate) fn run_part(name: &str) -> ExitCode {
    let part = PARTS.iter().find(|(known, _)| *known == name);
    part.expect("a part").1();
    ExitCode::SUCCESS
}

/// The example `ipvsadm`, with the arguments behind the first.
pub(crate) fn run_ipvsadm() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(2).collect();
    let (mut input, mut out) = (std::io::stdin().lock(), std::io::stdout().lock());
    let streams = Streams { input: &mut input, out: &mut out, err: &mut std::io::stderr() };
    ipvsadm::run("ipvsadm", &words, streams).into()
}

/// Ends what other threads do when it goes, by a panic, too.
pub(crate) struct StopAtEnd<'s>(pub(crate) &'s AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Something worth telling, such as a rate.
pub(crate) fn note(text: impl Display) {
    println!("@note {text}");
}

/// Something worth telling at once.
pub(crate) fn now(text: impl Display) {
    println!("@now {text}");
}

/// Runs a line of shell; true if it ended well.
pub(crate) fn shell(line: &str) -> bool {
    Command::new("sh").args(["-c", line]).status().expect("a shell").success()
}

/// The command that runs a part of this program behind `wrapper`.
pub(crate) fn part(wrapper: &[&str], name: &str) -> Command {
    let mut command = Command::new(wrapper[0]);
    command.args(&wrapper[1..]).arg(program()).args(["--part", name]);
    command
}
