//! The example `ipvsadm` beside the real one: every command line of `commands.txt` is run by both, on
//! equal kernels, and leaves the same state, output, errors and exit status, but for the lines of
//! `differences.rs`.
//!
//! Two processes in network namespaces of their own carry the lines out. A line that changes
//! something is run by the real program in one and by ours in the other. A line that only shows is
//! run by both in the first, where the order of the kernel's tables is the same for both.

mod differences;
mod noise;
pub(crate) mod worker;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

use crate::guest::{note, part};
use differences::{DIFFERENCES, What};

const COMMANDS: &str = include_str!("commands.txt");
/// Both programs see these names and no others, on whatever host.
const FILES: &str = "
printf '%s\\n' '127.0.0.1 localhost' '10.0.0.1 web.example.com web alias' \\
    '10.9.0.1 a-very-long-name-of-a-real-server.example.com real' '10.9.0.2 two' \\
    '2001:db8::9 real6.example.com' '2001:db8::7 six' >/tmp/compat-hosts
printf '%s\\n' 'domain 53/tcp' 'domain 53/udp' 'tftp 69/udp' 'http 80/tcp www # web' \\
    'https 443/tcp' 'https 443/udp' 'sip 5060/tcp' 'sip 5060/udp' >/tmp/compat-services
printf '%s\\n' 'hosts: files' 'services: files' >/tmp/compat-switch
mount --bind /tmp/compat-hosts /etc/hosts
mount --bind /tmp/compat-services /etc/services
mount --bind /tmp/compat-switch /etc/nsswitch.conf
ip link set lo up
ip link add eth0 type dummy
ip link set eth0 up
ip address add 10.0.0.1/8 dev eth0
for last in 2 3; do ip address add 10.0.0.$last/32 dev eth0; done
ip address add 2001:db8::1/64 dev eth0 nodad
exec \"$@\"
";

/// Somebody who runs command lines in a namespace.
struct Worker {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// What a line did.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    status: i64,
    stdout: String,
    stderr: String,
    /// What the kernel has afterwards; empty after lines that only show.
    state: String,
}

impl Worker {
    fn start() -> Self {
        let wrapper = ["unshare", "-n", "-m", "sh", "-e", "-c", FILES, "sh"];
        let mut command = part(&wrapper, "compat_worker");
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a worker starts");
        let requests = process.stdin.take().expect("piped");
        let answers = BufReader::new(process.stdout.take().expect("piped"));
        Worker { process, requests, answers }
    }

    fn run(&mut self, ours: bool, line: &str, state: bool) -> Outcome {
        let (words, input) = match line.split_once(" < ") {
            Some((words, input)) => (words, input.replace(" | ", "\n") + "\n"),
            None => (line, String::new()),
        };
        let words = words.split(' ').filter(|word| !["", "(nothing)"].contains(word));
        let words: Vec<&str> = words.map(|word| if word == "''" { "" } else { word }).collect();
        let request = json!({ "ours": ours, "words": words, "input": input, "state": state });
        writeln!(self.requests, "{request}").expect("the worker listens");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("an answer");
        let answer: Value = serde_json::from_str(&answer).expect("an answer in JSON");
        let text = |name: &str| answer[name].as_str().expect("a text").to_owned();
        Outcome {
            status: answer["status"].as_i64().expect("a number"),
            stdout: text("stdout"),
            stderr: text("stderr"),
            state: text("state"),
        }
    }

    fn end(mut self) {
        drop(self.requests);
        assert!(self.process.wait().expect("its end").success());
    }
}

pub(crate) fn run() {
    let begun = Instant::now();
    let (mut first, mut second) = (Worker::start(), Worker::start());
    let (mut lines, mut worded, mut problems) = (0, 0, Vec::new());
    let mut expected: BTreeSet<(&str, What)> = BTreeSet::new();
    for difference in DIFFERENCES {
        expected.extend(difference.what.iter().map(|what| (difference.line, *what)));
    }
    for line in COMMANDS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let shows = ["-L", "-l", "--list", "-S", "--save", "(nothing)"];
        let shows = shows.iter().any(|start| line.starts_with(start));
        let real = first.run(false, line, !shows);
        let other = if shows { &mut first } else { &mut second };
        let ours = other.run(true, line, !shows);
        if line.starts_with('!') {
            continue;
        }
        lines += 1;
        let mut differs = Vec::new();
        let mut check = |what, same: bool| {
            if !same {
                differs.push(what);
            }
        };
        check(What::State, real.state == ours.state);
        check(What::Status, real.status == ours.status);
        check(What::Stdout, comparable(line, &real.stdout) == comparable(line, &ours.stdout));
        // A value that cannot be read: the library says what it should be.
        let own_words = real.status == 2 && ours.stderr.starts_with('`') && !real.stderr.is_empty();
        worded += usize::from(own_words);
        check(What::Stderr, own_words || real.stderr == ours.stderr);
        for what in differs {
            if !expected.remove(&(line, what)) {
                problems.push(format!("{line}: {what:?} differs\nreal: {real:?}\nours: {ours:?}"));
            }
        }
    }
    second.run(true, "!noise", false);
    first.end();
    second.end();
    for (line, what) in expected {
        problems
            .push(format!("{line}: listed as different in {what:?}, but is not, or is not run"));
    }
    assert!(problems.is_empty(), "{} differences\n{}", problems.len(), problems.join("\n"));
    assert!(lines >= 250 && worded >= 30, "{lines} lines, {worded} refused in words of our own");
    let time = begun.elapsed();
    note(format!(
        "{lines} command lines like ipvsadm's, {worded} of them refused in own words, {time:.1?}"
    ));
}

/// Without what is another one each time: how long connections still live, and their order and that
/// of services in the kernel's tables.
fn comparable(line: &str, stdout: &str) -> Vec<String> {
    if line.starts_with("-L -c") {
        let connection = |line: &str| match line.split_once(' ') {
            Some((protocol, rest))
                if rest.trim_start().starts_with(|c: char| c.is_ascii_digit()) =>
            {
                let rest = rest.trim_start();
                let time = rest.split(' ').next().unwrap_or_default();
                assert_eq!(time.len(), "05:00".len(), "{rest}");
                format!("{protocol} {}", rest.replacen(time, "", 1))
            }
            _ => line.to_owned(),
        };
        return stdout.lines().map(connection).collect();
    }
    let mut parts: Vec<String> = Vec::new();
    for line in stdout.split_inclusive('\n') {
        match parts.last_mut() {
            Some(service) if line.starts_with("  ->") => service.push_str(line),
            _ => parts.push(line.to_owned()),
        }
    }
    if line.contains("--nosort") {
        parts.sort_unstable();
    }
    parts
}
