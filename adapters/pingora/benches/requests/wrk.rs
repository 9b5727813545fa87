//! The load generator: `wrk`, which needs little of the processors that the proxies share.

use std::error::Error;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

/// What a run measured.
#[derive(Clone)]
pub(crate) struct Sample {
    /// Requests per second.
    pub(crate) rate: f64,
    pub(crate) p99: Duration,
    /// Processor time of this process, which is the proxy and the servers, per request.
    pub(crate) processor: Duration,
}

/// 64 connections, each with one request at a time.
pub(crate) fn run(target: SocketAddr, duration: Duration) -> Result<Sample, Box<dyn Error>> {
    let seconds = format!("{}s", duration.as_secs().max(1));
    let url = format!("http://{target}/");
    let before = processor_time();
    let output = Command::new("wrk")
        .args(["--threads", "1", "--connections", "64", "--latency", "--duration", &seconds, &url])
        .output()
        .map_err(|error| format!("wrk, a package of Debian's, is needed: {error}"))?;
    let used = processor_time().saturating_sub(before);
    let text = String::from_utf8(output.stdout)?;
    let errors = text.contains("Non-2xx") || text.contains("Socket errors");
    if !output.status.success() || errors {
        return Err(format!("wrk: {text}{}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(name))?;
        line.split_whitespace().next()
    };
    let rate = value("Requests/sec:").ok_or("no rate")?.parse()?;
    let p99 = value("99%").and_then(time).ok_or("no p99")?;
    let requests = text.lines().find_map(|line| line.split_once(" requests in "));
    let requests: u32 = requests.ok_or("no requests")?.0.trim().parse()?;
    Ok(Sample { rate, p99, processor: used / requests.max(1) })
}

/// In user and kernel mode, in hundredths of a second; zero where there is no `/proc`.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the program's name, which may contain anything.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|it| it.parse::<u64>().ok()).sum();
    Duration::from_millis(10 * ticks)
}

/// `870.00us`, `12.34ms` or `1.20s`.
fn time(text: &str) -> Option<Duration> {
    let (number, unit) = match text.strip_suffix("us") {
        Some(number) => (number, 1e-6),
        None => match text.strip_suffix("ms") {
            Some(number) => (number, 1e-3),
            None => (text.strip_suffix('s')?, 1.0),
        },
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * unit).ok()
}
