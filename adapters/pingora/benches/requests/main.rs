//! Whole requests through a pingora proxy: vsched's balancer against pingora's own RoundRobin.
//!
//! `cargo bench -p vsched-pingora` measures for about two minutes and prints the table of the README. All
//! proxies run in this process, one is loaded at a time by `wrk`, and all take turns in every round, so that
//! a busy machine disturbs all of them alike. Each figure is the median of the rounds.

#![forbid(unsafe_code)]

mod backends;
mod calls;
mod proxies;
mod wrk;

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use pingora_core::server::Server;
use pingora_core::server::configuration::ServerConf;

use backends::Speed;
use proxies::PROXIES;
use wrk::Sample;

const ROUNDS: usize = 6;

/// Before each run.
const PAUSE: Duration = Duration::from_millis(500);

/// Servers of one scenario: how long each works on a request, and on how many at a time.
struct Scenario {
    name: &'static str,
    speeds: [Speed; 3],
}

const SCENARIOS: [Scenario; 3] = [
    Scenario { name: "even: three that answer at once", speeds: [Speed::AT_ONCE; 3] },
    Scenario {
        name: "skewed: 1, 2 and 4 ms, 8 at a time",
        speeds: [Speed::of(1, 8), Speed::of(2, 8), Speed::of(4, 8)],
    },
    Scenario {
        name: "one slow: 1, 1 and 20 ms, 8 at a time",
        speeds: [Speed::of(1, 8), Speed::of(1, 8), Speed::of(20, 8)],
    },
];

fn main() -> Result<(), Box<dyn Error>> {
    // Otherwise a run of the tests.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    calls::report()?;
    let conf = ServerConf { threads: 2, ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let mut targets = Vec::new();
    for scenario in &SCENARIOS {
        let servers = scenario.speeds.map(backends::start);
        for proxy in &PROXIES {
            targets.push((proxy.start)(&mut server, &servers)?);
        }
    }
    std::thread::spawn(move || server.run_forever());
    std::thread::sleep(Duration::from_millis(500));
    report(&measure(&targets)?);
    Ok(())
}

/// The samples of each target, in the targets' order.
fn measure(targets: &[SocketAddr]) -> Result<Vec<Vec<Sample>>, Box<dyn Error>> {
    let mut samples = vec![Vec::new(); targets.len()];
    for target in targets {
        // Connections, caches, and the processor's clock.
        wrk::run(*target, Duration::from_millis(500))?;
    }
    for round in 0..ROUNDS {
        eprintln!("round {} of {ROUNDS}", round + 1);
        for (scenario, of_scenario) in targets.chunks(PROXIES.len()).enumerate() {
            for step in 0..of_scenario.len() {
                // Each round begins with another proxy.
                let proxy = (step + round) % of_scenario.len();
                // What the run before left in the queues of these servers.
                std::thread::sleep(PAUSE);
                let sample = wrk::run(of_scenario[proxy], Duration::from_secs(2))?;
                samples[scenario * PROXIES.len() + proxy].push(sample);
            }
        }
    }
    Ok(samples)
}

fn report(samples: &[Vec<Sample>]) {
    print!("| backends |");
    PROXIES.iter().for_each(|proxy| print!(" {} |", proxy.name));
    print!("\n|---|");
    PROXIES.iter().for_each(|_| print!("---:|"));
    println!();
    for (scenario, of_scenario) in SCENARIOS.iter().zip(samples.chunks(PROXIES.len())) {
        print!("| {} |", scenario.name);
        for samples in of_scenario {
            let rate = median(samples.iter().map(|sample| sample.rate));
            let p99 = median(samples.iter().map(|sample| sample.p99.as_secs_f64() * 1e3));
            let used = median(samples.iter().map(|sample| sample.processor.as_secs_f64() * 1e6));
            print!(" {rate:.0}/s, p99 {p99:.1} ms, {used:.0} µs |");
        }
        println!();
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
