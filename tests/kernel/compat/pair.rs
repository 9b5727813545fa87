//! The two programs, each in its own network namespace, and the effect of one line in both.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};

use super::differences::{What, without_help};
use super::meaning;
use crate::guest::part;

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

/// Status of a program that a signal ended.
const CRASHED: i64 = -1;
/// Status after options or values that do not fit.
const USAGE: i64 = 2;

/// A process that runs command lines in a namespace.
struct Worker {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// What a line did.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) status: i64,
    stdout: String,
    stderr: String,
    /// What the kernel has afterwards; empty after lines that only show.
    state: String,
}

impl Outcome {
    fn text(&self, what: What) -> String {
        match what {
            What::State => self.state.clone(),
            What::Status => self.status.to_string(),
            What::Stdout => format!("{:?}", self.stdout),
            What::Stderr => format!("{:?}", self.stderr),
        }
    }
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

    /// `@NAME` before a line is what the program is called by.
    fn run(&mut self, ours: bool, line: &str, state: bool) -> Outcome {
        let (program, line) = match line.strip_prefix('@') {
            Some(rest) => rest.split_once(' ').unwrap_or((rest, "")),
            None => ("ipvsadm", line),
        };
        let (words, input) = match line.split_once(" < ") {
            Some((words, input)) => (words, input.replace(" | ", "\n") + "\n"),
            None => (line, String::new()),
        };
        let words = words.split(' ').filter(|word| !["", "(nothing)"].contains(word));
        let words: Vec<&str> = words.map(|word| if word == "''" { "" } else { word }).collect();
        let request = json!({
            "ours": ours, "program": program, "words": words, "input": input, "state": state,
        });
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

/// What one line did in both programs.
#[derive(Debug)]
pub(super) struct Compared {
    pub(super) differs: Vec<What>,
    /// The real program refused the line in its words, ours in its own.
    pub(super) worded: bool,
    /// A signal ended the real program.
    pub(super) crashed: bool,
    pub(super) real: Outcome,
    ours: Outcome,
}

impl Compared {
    /// What differs, side by side.
    pub(super) fn report(&self) -> String {
        let Compared { differs, real, ours, .. } = self;
        let side = |outcome: &Outcome, name| {
            let texts = differs.iter().map(|what| format!("{what:?} {}", outcome.text(*what)));
            format!("  {name}: {}", texts.collect::<Vec<_>>().join(", "))
        };
        format!("{}\n{}", side(real, "real"), side(ours, "ours"))
    }
}

/// A line that changes something is run by the real program in the first namespace and by ours in the
/// second. A line that only shows is run by both in the first, where the order of the kernel's tables
/// is the same for both.
pub(super) struct Pair {
    first: Worker,
    second: Worker,
}

impl Pair {
    pub(super) fn start() -> Self {
        Pair { first: Worker::start(), second: Worker::start() }
    }

    pub(super) fn compare(&mut self, line: &str) -> Compared {
        let shows = ["-L", "-l", "--list", "-S", "--save", "(nothing)"];
        let shows = shows.iter().any(|start| line.starts_with(start));
        let real = self.first.run(false, line, !shows);
        let other = if shows { &mut self.first } else { &mut self.second };
        let ours = other.run(true, line, !shows);
        let mut differs = Vec::new();
        let mut check = |what, same: bool| {
            if !same {
                differs.push(what);
            }
        };
        check(What::State, real.state == ours.state);
        // What cannot be imitated: then a refusal will do.
        let crashed = real.status == CRASHED;
        if crashed {
            check(What::Status, ours.status == USAGE);
        } else {
            check(What::Status, real.status == ours.status);
            let [real, ours] = [&real, &ours].map(|outcome| without_help(&outcome.stdout));
            check(What::Stdout, comparable(line, &real) == comparable(line, &ours));
        }
        let worded = !crashed && real.stderr != ours.stderr;
        let same = !worded || (real.status == USAGE && meaning::same(&real.stderr, &ours.stderr));
        check(What::Stderr, same);
        Compared { differs, worded: worded && same, crashed, real, ours }
    }

    /// Back to a namespace in which nothing was ever configured.
    pub(super) fn reset(&mut self) {
        for worker in [&mut self.first, &mut self.second] {
            assert_eq!(worker.run(true, "!reset", false).status, 0);
        }
    }

    pub(super) fn end(mut self) {
        self.second.run(true, "!noise", false);
        self.first.end();
        self.second.end();
    }
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
