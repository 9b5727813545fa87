//! What a director needs from time to time, as a background service of pingora.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::server::ShutdownWatch;
use pingora_core::services::background::BackgroundService;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};
use vsched::Director;

use crate::config_file::ConfigFile;
use crate::health::HealthChecks;

/// How often the director gets its tick.
const TICK: Duration = Duration::from_secs(1);

/// Runs a director's periodic work: its [`tick`](Director::tick) once per second, and, if there are any,
/// health checks and reloads of a config file.
///
/// ```no_run
/// use pingora_core::server::Server;
/// use pingora_core::services::background::background_service;
/// use pingora_load_balancing::health_check::TcpHealthCheck;
/// use vsched_pingora::{ConfigFile, ControlLoop, HealthChecks};
///
/// let mut server = Server::new(None)?;
/// let file = ConfigFile::new("/etc/gateway.toml");
/// let director = file.start()?;
/// let control_loop = ControlLoop::new(director.clone())
///     .with_health_checks(HealthChecks::new(TcpHealthCheck::new()))
///     .with_config_file(file);
/// server.add_service(background_service("vsched", control_loop));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ControlLoop {
    director: Director,
    health: Option<HealthChecks>,
    file: Option<ConfigFile>,
    poll: Duration,
}

impl ControlLoop {
    /// Returns a loop that only ticks. A director needs one loop, and no other caller of its `tick`.
    pub fn new(director: Director) -> Self {
        ControlLoop { director, health: None, file: None, poll: Duration::from_secs(1) }
    }

    /// Returns the loop with these health checks. The first round begins at once.
    pub fn with_health_checks(mut self, checks: HealthChecks) -> Self {
        self.health = Some(checks);
        self
    }

    /// Returns the loop that applies this file whenever it changes. A file that cannot be read, is invalid,
    /// or removes more than its guardrails allow is logged as an error; the config that runs stays.
    pub fn with_config_file(mut self, file: ConfigFile) -> Self {
        self.file = Some(file);
        self
    }

    /// Returns the loop that looks at the config file this often; once per second unless set.
    pub fn with_poll_interval(mut self, interval: Duration) -> Self {
        self.poll = interval;
        self
    }

    async fn tick(&self) {
        // After what another loop may have told.
        let (start, offset) = (Instant::now(), self.director.now());
        let mut times = regular(TICK);
        loop {
            times.tick().await;
            self.director.tick(offset + start.elapsed());
        }
    }

    async fn check(&self) {
        let Some(health) = &self.health else { return };
        let mut times = regular(health.interval());
        loop {
            times.tick().await;
            health.run_once(&self.director).await;
        }
    }

    async fn reload(&self) {
        let Some(file) = &self.file else { return };
        let mut times = regular(self.poll);
        loop {
            times.tick().await;
            match file.reload_if_changed(&self.director) {
                Ok(None) => {}
                Ok(Some(applied)) => log::info!(
                    "config {} applied: {} added, {} changed, {} drained, {} removed",
                    file.path().display(),
                    applied.added.len(),
                    applied.changed.len(),
                    applied.drained.len(),
                    applied.removed.len(),
                ),
                Err(error) => log::error!("config not applied, the former one runs: {error}"),
            }
        }
    }
}

/// Begins at once; after a delay the next times move too.
fn regular(period: Duration) -> Interval {
    let mut times = interval(period.max(Duration::from_millis(1)));
    times.set_missed_tick_behavior(MissedTickBehavior::Delay);
    times
}

#[async_trait]
impl BackgroundService for ControlLoop {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let stopped = async {
            if shutdown.wait_for(|stop| *stop).await.is_err() {
                // No sender is left that could ask for the end.
                std::future::pending::<()>().await;
            }
        };
        let work = async { tokio::join!(self.tick(), self.check(), self.reload()) };
        tokio::select! {
            () = stopped => {}
            _ = work => {}
        }
    }
}

impl fmt::Debug for ControlLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlLoop")
            .field("health", &self.health)
            .field("file", &self.file)
            .field("poll", &self.poll)
            .finish_non_exhaustive()
    }
}
