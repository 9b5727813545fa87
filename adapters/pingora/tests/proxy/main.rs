//! A pingora server in this process, clients and servers on loopback: everything real but the network.

mod backend;
mod clients;
mod failures;
mod gateway;
mod health;
mod reload;
mod selection;
mod services;
mod shares;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

/// Limit of each test, for those that hang.
const LIMIT: Duration = Duration::from_secs(60);

fn runtime() -> &'static Runtime {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
        Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
    });
    &RUNTIME
}

/// Runs a test.
fn run(test: impl Future<Output = ()>) {
    let limited = async { tokio::time::timeout(LIMIT, test).await };
    runtime().block_on(limited).expect("the test ends in time");
}

/// Waits until this is so.
async fn eventually(what: &str, so: impl Fn() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < LIMIT / 3, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
