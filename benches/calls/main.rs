//! A pick in a loop, for instruction counts: `calls SCHEDULER SERVERS PICKS`.
//!
//! The twin of `ffi-tests/calls.c`, which does the same through the C library. Two runs under
//! callgrind that differ in PICKS only give the cost of a pick to the last instruction, loop
//! included.

#[path = "../tests/common/mod.rs"]
mod common;

use std::hint::black_box;
use std::time::Instant;

use common::{config, flow};
use vsched::{Director, SchedulerKind};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let [scheduler, servers, picks] = arguments.as_slice() else {
        // As `cargo bench` and `cargo test --benches` call it.
        return println!("usage: calls SCHEDULER SERVERS PICKS");
    };
    let kind: SchedulerKind = scheduler.parse().expect("a scheduler");
    let servers = servers.parse().expect("a number of servers");
    let picks: u64 = picks.parse().expect("a number of picks");
    let director = Director::new(&config(kind, servers, &[1, 2, 3])).expect("a valid config");
    let worker = director.worker();
    let flow = flow(1);
    let service = director.service_for(&flow).expect("it runs");
    let start = Instant::now();
    for _ in 0..picks {
        black_box(worker.pick_server(service, black_box(&flow)));
    }
    let nanos = start.elapsed().as_secs_f64() * 1e9 / picks.max(1) as f64;
    println!("{scheduler} {servers} {nanos:.1} ns");
}
