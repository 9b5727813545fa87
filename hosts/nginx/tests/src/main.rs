//! Tests of vsched's nginx module: a real nginx between clients and servers in this program. All of them
//! are on 127.0.0.1, in a temporary folder. `hosts-nginx MODULES [WORD]` runs the cases with that word in
//! their names, with the modules in that folder.

mod backend;
mod client;
mod control;
mod crash;
mod health;
mod load;
mod nginx;
mod order;
mod refused;
mod reload;
mod status;
mod stream;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use nginx::Setup;

/// What went wrong; `Ok` if nothing did.
type Outcome = Result<(), String>;

struct Case {
    name: &'static str,
    run: fn(&Setup) -> Outcome,
}

macro_rules! cases {
    ($($name:literal $run:path,)*) => { &[$(Case { name: $name, run: $run }),*] };
}

const CASES: &[Case] = cases! {
    "two workers pick in one exact sequence" order::one_sequence,
    "retries do not advance the rotation" order::retries,
    "servers come from JSON" order::json,
    "least connections are least of all workers" load::least_of_all,
    "upper thresholds hold over all workers" load::thresholds,
    "every try that begins ends" load::every_try_ends,
    "connections that are kept alive count per request" load::keepalive,
    "sessions of TLS are reused" load::sessions,
    "connections that were kept too long are no failures" load::stale,
    "a dead server is ejected and comes back" health::ejected,
    "a backup serves while no other server is up" health::backup,
    "a reload keeps counts and loses no request" reload::counts,
    "a reload replaces blocks that old workers use" reload::blocks,
    "reloads leave nothing behind" reload::many,
    "two masters share a named block" reload::named,
    "an upgrade keeps counts in a named block" reload::upgrade,
    "what a killed worker held is given back" crash::killed,
    "a worker of an old generation is killed" crash::killed_while_it_drains,
    "what is known of servers outlives all workers" crash::killed_while_single,
    "a state that is set counts for all workers" control::states,
    "status has three formats" control::formats,
    "stream retries a refused server" stream::refused,
    "what cannot be shared is refused by name" refused::configs,
};

/// Fails with this text unless it holds.
fn check(holds: bool, what: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(what()) }
}

/// Waits until it holds, for at most ten seconds; says whether it did.
fn wait_until(mut holds: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(10);
    while !holds() {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(modules) = arguments.next() else {
        eprintln!("hosts-nginx MODULES [WORD]: MODULES is the folder of the modules");
        return ExitCode::FAILURE;
    };
    let word = arguments.next().unwrap_or_default();
    let (mut failed, mut ran) = (0, 0);
    for case in CASES.iter().filter(|case| case.name.contains(&word)) {
        let start = Instant::now();
        let result = Setup::new(&modules).and_then(|setup| {
            let result = (case.run)(&setup);
            result.map_err(|text| format!("{text}\n{}", setup.end_of_log()))
        });
        ran += 1;
        let seconds = start.elapsed().as_secs_f64();
        match result {
            Ok(()) => println!("ok     {seconds:5.1} s  {}", case.name),
            Err(text) => {
                failed += 1;
                println!("FAILED {seconds:5.1} s  {}: {text}", case.name);
            }
        }
    }
    println!("{ran} cases, {failed} failed");
    if failed == 0 && ran > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
