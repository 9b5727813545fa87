//! vsched beside tower's own balancer: whole requests per second, and the 99th percentile of their time.
//!
//! HTTP/1 servers on loopback and all clients in one process. The contestants take turns within each
//! repetition, and the figures are medians of all repetitions. Each client sends its next request when it
//! has read the answer to the one before. tower's `Balance` cannot be cloned: the clients share it behind
//! a mutex, which costs less than the usual `Buffer`.

mod contestants;
mod servers;

use std::time::{Duration, Instant};

use contestants::{Contestant, Sender};
use servers::Server;

const REPETITIONS: usize = 7;
const DURATION: Duration = Duration::from_millis(600);

/// Servers, and the number of clients.
struct Scenario {
    name: &'static str,
    clients: usize,
    servers: Vec<Server>,
    /// Options of vsched's service.
    rules: &'static str,
}

/// What one run of one contestant measured.
#[derive(Clone, Copy)]
struct Run {
    per_second: f64,
    p99: f64,
}

fn main() {
    // `cargo test` builds and runs it too.
    let measures = std::env::args().any(|argument| argument == "--bench");
    let (repetitions, duration) =
        if measures { (REPETITIONS, DURATION) } else { (1, Duration::from_millis(20)) };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    println!("| servers | balancer | requests/s | p99, ms |");
    println!("|---|---|---:|---:|");
    for scenario in runtime.block_on(scenarios()) {
        let contestants =
            runtime.block_on(async { contestants::all(&scenario.servers, scenario.rules) });
        let mut runs = vec![Vec::new(); contestants.len()];
        for repetition in 0..repetitions {
            for n in 0..contestants.len() {
                // The order changes, so that none always follows the same one.
                let n = (n + repetition) % contestants.len();
                let run = run(&contestants[n], scenario.clients, duration);
                runs[n].push(runtime.block_on(run));
            }
        }
        for (Contestant { name, .. }, runs) in contestants.iter().zip(runs) {
            let per_second = median(runs.iter().map(|run| run.per_second));
            let p99 = median(runs.iter().map(|run| run.p99));
            println!("| {} | {name} | {per_second:.0} | {p99:.2} |", scenario.name);
        }
    }
}

async fn scenarios() -> Vec<Scenario> {
    let ms = Duration::from_millis;
    let mut even = Vec::new();
    let mut skewed = Vec::new();
    let mut one_slow = Vec::new();
    for n in 0..8 {
        even.push(Server::start(1, Duration::ZERO, usize::MAX).await);
        // Weight and requests at a time: the others wait in line.
        let capacity = if n < 4 { 4 } else { 1 };
        skewed.push(Server::start(capacity, ms(4), capacity).await);
    }
    for n in 0..4 {
        one_slow.push(Server::start(1, if n == 1 { ms(40) } else { ms(2) }, usize::MAX).await);
    }
    vec![
        Scenario { name: "even", clients: 32, servers: even, rules: "-s lc" },
        Scenario { name: "skewed 4:1", clients: 16, servers: skewed, rules: "-s wlc" },
        Scenario { name: "one slow", clients: 16, servers: one_slow, rules: "-s lc" },
    ]
}

async fn run(contestant: &Contestant, clients: usize, duration: Duration) -> Run {
    let warm = Instant::now() + duration / 4;
    let end = warm + duration;
    let tasks: Vec<_> =
        (0..clients).map(|_| tokio::spawn(client((contestant.client)(), warm, end))).collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.expect("no panic"));
    }
    times.sort_unstable();
    let p99 = times.get(times.len() * 99 / 100).copied().unwrap_or_default();
    Run { per_second: times.len() as f64 / duration.as_secs_f64(), p99: 1e3 * p99.as_secs_f64() }
}

/// The times of the requests that ended after `warm`.
async fn client(mut send: Box<dyn Sender>, warm: Instant, end: Instant) -> Vec<Duration> {
    let mut times = Vec::new();
    loop {
        let start = Instant::now();
        send.send().await;
        let now = Instant::now();
        if now >= end {
            return times;
        }
        if now >= warm {
            times.push(now - start);
        }
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
