//! What a pick and an open + close cost, per scheduler and number of servers.
//!
//! Every case of a launch is interleaved with all others, round by round; a case's figure is the
//! median of its rounds, the table's the median of five launches, because on a shared machine the
//! launch (placement of pages, neighbours) moves a figure more than the rounds do.

#[path = "../tests/common/mod.rs"]
mod common;

use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use common::{Random, config, flow};
use vsched::{Activity, Config, Director, Flow, Lease, SchedulerKind, ServiceId, Worker};

const SIZES: [u16; 4] = [2, 16, 256, 4096];
const LAUNCHES: usize = 5;
const ROUNDS: usize = 31;
const ROUND: Duration = Duration::from_micros(150);
const CHILD: &str = "--one-launch";

struct Case {
    name: &'static str,
    servers: u16,
    worker: Worker,
    service: ServiceId,
    held: Vec<Lease>,
    random: Random,
    picks_a_round: u32,
    samples: [Vec<f64>; 2],
}

impl Case {
    fn new(name: &'static str, servers: u16, config: &Config) -> Self {
        let director = Director::new(config).expect("a valid config");
        let service = director.service_for(&flow(0)).expect("it runs");
        let worker = director.worker();
        let mut case = Case {
            name,
            servers,
            worker,
            service,
            held: Vec::new(),
            random: Random(7),
            picks_a_round: 16,
            samples: Default::default(),
        };
        // About two connections a server, so that least-loaded searches have something to compare.
        for _ in 0..2 * u32::from(servers) {
            let pick = case.worker.pick_server(service, &Flow::default());
            let open = |pick: vsched::Pick| case.worker.open(pick.server(), Activity::Active);
            case.held.extend(pick.and_then(|pick| open(pick).ok()));
        }
        while case.picks().as_secs_f64() < ROUND.as_secs_f64() / 2.0 {
            case.picks_a_round *= 2;
        }
        case
    }

    fn picks(&mut self) -> Duration {
        let flow = flow(1);
        let start = Instant::now();
        for _ in 0..self.picks_a_round {
            black_box(self.worker.pick_server(self.service, black_box(&flow)));
        }
        start.elapsed()
    }

    /// Opens on the servers of earlier leases, and closes those.
    fn opens(&mut self) -> Duration {
        if self.held.is_empty() {
            return Duration::ZERO;
        }
        let start = Instant::now();
        for _ in 0..self.picks_a_round {
            let at = self.random.below(self.held.len() as u64) as usize;
            let new = self.worker.open(self.held[at].server(), Activity::Active).expect("it runs");
            let old = std::mem::replace(&mut self.held[at], new);
            self.worker.close(old).expect("an open lease");
        }
        start.elapsed()
    }

    fn round(&mut self) {
        let nanos = |time: Duration, count: u32| time.as_secs_f64() * 1e9 / f64::from(count);
        // The first, untimed round brings back the cache lines that other cases evicted.
        self.picks();
        let time = self.picks();
        self.samples[0].push(nanos(time, self.picks_a_round));
        self.opens();
        let time = self.opens();
        self.samples[1].push(nanos(time, self.picks_a_round));
    }
}

fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN)
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for servers in SIZES {
        let mut empty = config(SchedulerKind::Rr, servers, &[1]);
        empty.services[0].scheduler = None;
        cases.push(Case::new("floor", servers, &empty));
        for &kind in SchedulerKind::ALL {
            let mut config = config(kind, servers, &[1, 2, 3]);
            if kind == SchedulerKind::Mh && servers > 4000 {
                // More servers than the usual table has slots.
                config.services[0].mh_table_index = 16;
            }
            cases.push(Case::new(kind.name(), servers, &config));
        }
    }
    cases
}

fn one_launch() {
    let mut cases = cases();
    for _ in 0..ROUNDS {
        for case in &mut cases {
            case.round();
        }
    }
    for case in &mut cases {
        let [pick, open] = case.samples.each_mut().map(|samples| median(samples));
        println!("{} {} {pick} {open}", case.name, case.servers);
    }
}

type Figures = Vec<((String, u16), [Vec<f64>; 2])>;

fn launches() -> Figures {
    let program = std::env::current_exe().expect("this program's path");
    let mut figures: Figures = Vec::new();
    for _ in 0..LAUNCHES {
        let output = Command::new(&program).arg(CHILD).output().expect("a launch of this program");
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let mut words = line.split(' ');
            let mut word = || words.next().expect("four words a line");
            let case = (word().to_owned(), word().parse().expect("servers"));
            let at = figures.iter().position(|(known, _)| *known == case).unwrap_or_else(|| {
                figures.push((case, Default::default()));
                figures.len() - 1
            });
            for samples in &mut figures[at].1 {
                samples.push(word().parse().expect("nanoseconds"));
            }
        }
    }
    figures
}

fn main() {
    if std::env::args().any(|argument| argument == CHILD) {
        return one_launch();
    }
    if std::env::args().any(|argument| argument == "--test") {
        return cases().iter_mut().for_each(Case::round);
    }
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("ns, median of {LAUNCHES} launches of {ROUNDS} interleaved rounds; load {load}");
    let mut figures = launches();
    for (at, what) in ["pick", "open + close"].into_iter().enumerate() {
        println!("{what:<14}{}", SIZES.map(|n| format!("{:>10}", format!("n={n}"))).concat());
        let mut names: Vec<String> = figures.iter().map(|((name, _), _)| name.clone()).collect();
        names.dedup();
        names.truncate(SchedulerKind::ALL.len() + 1);
        for name in names {
            let cell = |n: u16| {
                let case =
                    figures.iter_mut().find(|((known, size), _)| *known == name && *size == n);
                let value = case.map_or(f64::NAN, |(_, samples)| median(&mut samples[at]));
                // The floor has no server to open on: its opens read 0.
                format!("{value:>10.1}")
            };
            println!("  {name:<12}{}", SIZES.map(cell).concat());
        }
    }
}
