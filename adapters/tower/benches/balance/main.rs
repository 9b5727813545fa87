//! vsched beside tower's own balancer: whole requests per second, and the 99th percentile of their time.
//!
//! The servers are HTTP/1 servers on loopback, or answer at once in memory, where the balancer's own cost
//! shows; all clients are in one process. The contestants alternate within each repetition, and the
//! figures are medians of all repetitions. Each client sends its next request when it has read the answer
//! to the one before. tower's `Balance` cannot be cloned: the clients share it behind a mutex, which costs
//! less than the usual `Buffer`.

mod contestants;
mod servers;

use std::convert::Infallible;
use std::future::ready;
use std::time::{Duration, Instant};

use contestants::{Body, Contestant, Sender, to};
use hyper::{Request, Response};
use servers::Server;

const REPETITIONS: usize = 7;
/// More than the answers of a server in order take, less than those of a slow one.
const SLOW: Duration = Duration::from_millis(100);
const DURATION: Duration = Duration::from_secs(1);

/// Balancers, and the number of clients of each.
struct Scenario {
    name: &'static str,
    clients: usize,
    contestants: Vec<Contestant>,
}

/// What one run of one contestant measured.
#[derive(Clone, Copy)]
struct Run {
    per_second: f64,
    p99: f64,
}

fn main() {
    // `cargo test --benches` runs it too.
    let measures = std::env::args().any(|argument| argument == "--bench");
    let (repetitions, duration) =
        if measures { (REPETITIONS, DURATION) } else { (1, Duration::from_millis(20)) };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    println!("| servers | balancer | requests/s | p99, ms |");
    println!("|---|---|---:|---:|");
    for Scenario { name, clients, contestants } in runtime.block_on(scenarios()) {
        let mut runs = vec![Vec::new(); contestants.len()];
        for repetition in 0..repetitions {
            for n in 0..contestants.len() {
                // The order changes, so that none always follows the same one.
                let n = (n + repetition) % contestants.len();
                runs[n].push(runtime.block_on(run(&contestants[n], clients, duration)));
            }
        }
        for (contestant, runs) in contestants.iter().zip(runs) {
            let per_second = median(runs.iter().map(|run| run.per_second));
            let p99 = median(runs.iter().map(|run| run.p99));
            println!("| {name} | {} | {per_second:.0} | {p99:.3} |", contestant.name);
        }
    }
}

async fn scenarios() -> Vec<Scenario> {
    let ms = Duration::from_millis;
    let (mut memory, mut even, mut skewed, mut one_slow) = (vec![], vec![], vec![], vec![]);
    let at_once = |_: Request<Body>| ready(Ok::<_, Infallible>(Response::new(Body::default())));
    for n in 0..8_u8 {
        let address = ([10, 0, 1, n], 80).into();
        memory.push((Server { address, weight: 1 }, tower::service_fn(at_once)));
        even.push(Server::start(1, Duration::ZERO, usize::MAX).await);
        // Weight and requests at a time: the others wait in line.
        let capacity = if n < 4 { 4 } else { 1 };
        skewed.push(Server::start(capacity, ms(20), capacity).await);
    }
    for n in 0..4 {
        one_slow.push(Server::start(1, ms(if n == 1 { 200 } else { 10 }), usize::MAX).await);
    }
    let over_http = |servers: Vec<Server>, rules, slow_after| {
        let client = |server: Server| {
            let client = to(server.address);
            (server, client)
        };
        contestants::all(&servers.into_iter().map(client).collect::<Vec<_>>(), rules, slow_after)
    };
    let memory = contestants::all(&memory, "-s lc", None);
    let even = over_http(even, "-s lc", None);
    let skewed = over_http(skewed, "-s wlc", None);
    let one_slow = over_http(one_slow, "-s lc", Some(SLOW));
    vec![
        Scenario { name: "8, in memory", clients: 2, contestants: memory },
        Scenario { name: "8 equal", clients: 32, contestants: even },
        Scenario { name: "4 with capacity 4, 4 with 1", clients: 16, contestants: skewed },
        Scenario { name: "3 equal, 1 is 20 times slower", clients: 16, contestants: one_slow },
    ]
}

async fn run(contestant: &Contestant, clients: usize, duration: Duration) -> Run {
    let warm = Instant::now() + duration / 4;
    let end = warm + duration;
    let client = |_| tokio::spawn(client((contestant.client)(), warm, end));
    let tasks: Vec<_> = (0..clients).map(client).collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.expect("no panic"));
    }
    times.sort_unstable();
    let p99 = times.get(times.len() * 99 / 100).copied().unwrap_or_default();
    Run { per_second: times.len() as f64 / duration.as_secs_f64(), p99: 1e3 * p99.as_secs_f64() }
}

/// The times of the requests that ended after `warm`.
async fn client(mut sender: Box<dyn Sender>, warm: Instant, end: Instant) -> Vec<Duration> {
    let (mut times, mut count) = (Vec::new(), 0_u64);
    loop {
        let start = Instant::now();
        sender.send().await;
        let now = Instant::now();
        if now >= end {
            return times;
        }
        if now >= warm {
            times.push(now - start);
        }
        // Servers in memory never make their client wait.
        count += 1;
        if count % 64 == 0 {
            tokio::task::yield_now().await;
        }
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
