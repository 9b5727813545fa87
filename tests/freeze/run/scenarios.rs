//! Every scheduler, combined with everything that lengthens the hot path: thresholds, persistence,
//! and address maps that fill up, expire and are resized.

use vsched::config::{Affinity, Ejection, Persistence, Sharing, SlowStart, Ties};
use vsched::{Config, SchedulerKind};

use crate::common::{server, service};

pub(crate) struct Scenario {
    pub(crate) name: String,
    /// What the reloads go through, in turn. Any two neighbors differ.
    pub(crate) configs: Vec<Config>,
}

/// Seconds: a few ticks of the test's clock.
pub(crate) const SHORT: u32 = 60;

/// Where each worker by itself picks as all together.
const SAME_PER_WORKER: &[&str] = &["sh", "dh", "lblc", "lblcr", "mh", "fo", "ovf"];

pub(crate) fn all() -> Vec<Scenario> {
    let persistence = Some(Persistence::new(SHORT));
    let scenario = |kind: &SchedulerKind, what: &str, configs: Vec<Config>| Scenario {
        name: format!("{}{what}", kind.name()),
        configs,
    };
    let mut all = Vec::new();
    for kind in SchedulerKind::ALL {
        all.push(scenario(kind, "", configs(*kind, None)));
        all.push(scenario(kind, "+persistence", configs(*kind, persistence)));
    }
    let same = |kind: &SchedulerKind| SAME_PER_WORKER.contains(&kind.name());
    for kind in SchedulerKind::ALL.iter().filter(|kind| !same(kind)) {
        let mut configs = configs(*kind, None);
        for config in &mut configs {
            config.services[0].sharing = Sharing::PerWorker;
        }
        all.push(scenario(kind, "+per-worker", configs));
    }
    for kind in [SchedulerKind::Rr, SchedulerKind::Wrr] {
        let mut configs = configs(kind, None);
        for config in &mut configs {
            config.services[0].sharing = Sharing::Chunks(3);
        }
        all.push(scenario(&kind, "+chunks", configs));
    }
    // Failures eject, a backup takes over, and servers start slowly.
    for kind in [SchedulerKind::Wrr, SchedulerKind::Wlc, SchedulerKind::Mh] {
        let mut configs = configs(kind, None);
        for config in &mut configs {
            let service = &mut config.services[0];
            service.ejection = Some(Ejection::default().with_failures(2));
            service.servers[1].priority = 1;
            service.slow_start = kind.shares_by_weight().then(SlowStart::default);
        }
        configs[3].services[0].ejection = None;
        all.push(scenario(&kind, "+ejection", configs));
    }
    for sharing in [Sharing::Exact, Sharing::PerWorker] {
        let mut configs = configs(SchedulerKind::Wlc, None);
        for config in &mut configs {
            config.services[0].ties = Ties::Rotate;
            config.services[0].sharing = sharing;
        }
        all.push(scenario(&SchedulerKind::Wlc, &format!("+rotate+{}", sharing.name()), configs));
    }
    // With an index.
    for sharing in [Sharing::Exact, Sharing::PerWorker] {
        let mut configs = configs(SchedulerKind::Wlc, None);
        for config in &mut configs {
            config.services[0].servers.extend((10..80).map(|n| server(n, 1 + u32::from(n) % 5)));
            config.services[0].sharing = sharing;
        }
        all.push(scenario(&SchedulerKind::Wlc, &format!("+many+{}", sharing.name()), configs));
    }
    all
}

/// A server's number, weight and upper threshold.
type Server = (u16, u32, u32);

/// Servers, and for how many addresses there is room.
const VERSIONS: [(&[Server], u32); 4] = [
    (&[(1, 3, 9), (2, 1, 0), (3, 2, 4), (4, 1, 0), (5, 4, 7), (6, 1, 0)], 8),
    (&[(1, 1, 9), (2, 2, 0), (4, 2, 3), (5, 0, 7), (6, 2, 0)], 8),
    (&[(2, 3, 5), (4, 2, 3), (5, 1, 0), (6, 1, 0), (7, 5, 6)], 20),
    (&[(7, 1, 6), (1, 3, 0), (6, 1, 1), (3, 2, 4)], 20),
];

fn configs(kind: SchedulerKind, persistence: Option<Persistence>) -> Vec<Config> {
    let version = |(servers, capacity): &(&[Server], u32)| {
        let servers = servers
            .iter()
            .map(|(n, weight, upper)| server(*n, *weight).with_thresholds(*upper, upper / 2));
        let mut service = service(0, kind)
            .with_servers(servers.collect())
            .with_affinity(Affinity::default().with_capacity(*capacity).with_expiration(SHORT));
        service.persistence = persistence;
        Config::new().with_service(service)
    };
    VERSIONS.iter().map(version).collect()
}
