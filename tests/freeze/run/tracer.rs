//! The parent: steps the child's thread to random instructions and lets the other threads run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::frozen::{DONE, END, WINDOW};
use super::ptrace::{Event, Thread, wait_any};
use super::scenarios::Scenario;
use super::symbols;
use super::trap::{Call, ENOUGH};
use crate::common::Random;

/// Stops in one call of one scenario, unless VSCHED_STOPS says otherwise.
const STOPS: u64 = 20;
/// Stops in one run of a call at most: what was retried is stopped in again.
const STOPS_A_RUN: u64 = 3;
/// Runs of a call for one stop, after which it is given up: it is too short, or others never let it.
const RUNS: u64 = 50;
/// More instructions than any call has, despite interference by other threads.
const ENDLESS: u64 = 2_000_000;

pub(crate) struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable}: {text} is no number")),
        Err(_) => default,
    }
}

/// What is known of one call in the present scenario.
#[derive(Default)]
struct Known {
    runs: u64,
    stops: u64,
    /// Instructions of the longest run so far.
    longest: u64,
    /// Instructions of the latest run, of those that ended.
    latest: u64,
    /// Instructions after which the thread was stopped.
    places: BTreeSet<u64>,
}

struct Tracer {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    random: Random,
    stops: u64,
    calls: BTreeMap<Call, Known>,
}

/// Runs all scenarios in a child.
pub(crate) fn run(scenarios: &[Scenario], words: &[&str]) -> Result<(), Failure> {
    let seed = number("VSCHED_SEED", 1);
    let program = std::env::current_exe().expect("this program");
    let mut child = Command::new(program)
        .arg(super::AS_CHILD)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program once more");
    let to = child.stdin.take().expect("a pipe");
    let from = BufReader::new(child.stdout.take().expect("a pipe"));
    let stops = number("VSCHED_STOPS", STOPS);
    let mut tracer =
        Tracer { child, to, from, random: Random(seed), stops, calls: BTreeMap::new() };
    println!("each call: stops/at so many different instructions/instructions of the longest run");
    let result = scenarios.iter().try_for_each(|scenario| tracer.scenario(scenario));
    if result.is_err() {
        // It may be stopped, or stuck: it cannot end by itself.
        let _ = tracer.child.kill();
    }
    result.map_err(|Failure(text)| Failure(format!("{text}\n(VSCHED_SEED={seed})")))
}

impl Tracer {
    fn scenario(&mut self, scenario: &Scenario) -> Result<(), Failure> {
        self.calls = Call::ALL.map(|call| (call, Known::default())).into();
        loop {
            let (thread, event) = self.next()?;
            match event {
                Event::Breakpoint(0) => {
                    let enough = self
                        .calls
                        .values()
                        .all(|known| known.stops >= self.stops || known.runs >= RUNS * self.stops);
                    thread.answer(if enough { ENOUGH } else { 0 });
                    thread.go_on();
                    if enough {
                        break;
                    }
                }
                Event::Breakpoint(word) => {
                    let call = Call::of(word).expect("a call's number");
                    self.call(&thread, call, scenario)?;
                }
                Event::Step => unreachable!("nobody steps here"),
                Event::Gone => {}
            }
        }
        self.say(END)?;
        let answer = self.hear()?;
        if answer != DONE {
            return Err(Failure(answer));
        }
        self.report(scenario)
    }

    /// The thread's next breakpoint.
    fn next(&mut self) -> Result<(Thread, Event), Failure> {
        wait_any(self.child.id()).map_err(|what| Failure(format!("the child {what}")))
    }

    /// From the breakpoint at its beginning to the end, stopped on the way.
    fn call(&mut self, thread: &Thread, call: Call, scenario: &Scenario) -> Result<(), Failure> {
        let known = self.calls.get_mut(&call).expect("all calls are known");
        known.runs += 1;
        if known.stops >= self.stops && known.longest > 0 {
            thread.go_on();
            return Ok(());
        }
        let survey = known.longest == 0;
        let mut at = 0;
        for stop in 0..STOPS_A_RUN {
            let known = &self.calls[&call];
            // The longest run may be rare, such as the first pick after a reload, and many times
            // as long as the others.
            let range = if self.random.below(2) == 0 { known.longest } else { known.latest };
            let steps = 1 + self.random.below(range.max(2));
            for _ in 0..if survey { ENDLESS } else { steps } {
                at += 1;
                match thread.step().map_err(|what| Failure(format!("the child {what}")))? {
                    Event::Step => {}
                    // The breakpoint at the end.
                    Event::Breakpoint(_) => return self.ended(thread, call, at),
                    Event::Gone => return Err(Failure("the thread has ended".into())),
                }
            }
            let known = self.calls.get_mut(&call).expect("all calls are known");
            known.stops += 1;
            known.places.insert(at);
            self.window(thread, &format!("{}, {call:?}, stop {stop}", scenario.name), at)?;
            if self.random.below(2) == 0 {
                break;
            }
        }
        thread.go_on();
        Ok(())
    }
}

impl Tracer {
    fn ended(&mut self, thread: &Thread, call: Call, steps: u64) -> Result<(), Failure> {
        let known = self.calls.get_mut(&call).expect("all calls are known");
        known.longest = known.longest.max(steps);
        known.latest = steps;
        thread.go_on();
        Ok(())
    }

    /// The thread stays where it is while the others work.
    fn window(&mut self, thread: &Thread, what: &str, steps: u64) -> Result<(), Failure> {
        self.say(WINDOW)?;
        match self.hear()? {
            answer if answer == DONE => Ok(()),
            answer => {
                let place = symbols::place(self.child.id(), thread.place());
                Err(Failure(format!(
                    "a stopped thread holds up others.\n  stopped: {what}, after {steps} \
                     instructions, at {place}\n  others:  {answer}"
                )))
            }
        }
    }

    fn say(&mut self, line: &str) -> Result<(), Failure> {
        writeln!(self.to, "{line}").map_err(|error| Failure(format!("the child is gone: {error}")))
    }

    fn hear(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        match self.from.read_line(&mut line) {
            Ok(length) if length > 0 => Ok(line.trim_end().to_owned()),
            _ => Err(Failure("the child has ended; it has said why".into())),
        }
    }

    /// The proof that it was stopped where it should be, in every call and in many places.
    fn report(&self, scenario: &Scenario) -> Result<(), Failure> {
        let words = self.calls.iter().map(|(call, known)| {
            format!("{call:?} {}/{}/{}", known.stops, known.places.len(), known.longest)
        });
        println!("{:18} {}", scenario.name, words.collect::<Vec<_>>().join(", "));
        match self.calls.iter().find(|(_, known)| known.stops < self.stops) {
            Some((call, known)) => {
                Err(Failure(format!("{}: only {} stops in {call:?}", scenario.name, known.stops)))
            }
            None => Ok(()),
        }
    }
}
