//! Limits of a config.
//!
//! A valid config is one that the kernel accepts and carries out as written. Where kernels are more
//! permissive (any timeout, port 0 without persistence, one-packet TCP), ipvsadm's checks apply.

mod daemon;
mod known;
mod report;
mod server;
mod service;

use std::fmt;

use ahash::HashMapExt;
pub(crate) use daemon::{MAX_INTERFACE, MAX_MESSAGE};
pub(crate) use known::Known;
use report::{Path, Problems, outside};
#[cfg(feature = "schema")]
pub(crate) use service::MAX_ENGINE;
pub(crate) use service::{MAX_AFFINITY, SPILL_OVER};

use crate::config::{
    Config, Excess, MAX_SERVICES, MAX_TIMEOUT, Memory, Name, ResourceLimits, Timeouts,
    VirtualService,
};
use crate::error::ConfigError;

impl Config {
    /// Checks every limit and reports all problems at once; for memory the default of
    /// [`ResourceLimits`].
    ///
    /// ```
    /// use vsched::config::{Config, RealServer, ServiceKey, VirtualService};
    /// let service = ServiceKey::tcp("192.168.4.5:80".parse()?);
    /// let server = RealServer::new("192.168.5.11:80".parse()?).with_weight(3_000_000_000);
    /// let config = Config::new().with_service(VirtualService::new(service).with_server(server));
    /// assert_eq!(
    ///     config.validate().unwrap_err().to_string(),
    ///     "service tcp 192.168.4.5:80: server 192.168.5.11:80: weight: \
    ///      3000000000 is more than 2147483647"
    /// );
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    ///
    /// # Errors
    /// Every problem with its path and its limit, in the order of the config.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.validate_within(&ResourceLimits::default())
    }

    /// Like [`validate`](Self::validate), for a director with these limits.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn validate_within(&self, limits: &ResourceLimits) -> Result<(), ConfigError> {
        self.validate_beside(Some(limits), |_| Known::No)
    }

    /// Like [`validate`](Self::validate), for a kernel: without the limit on memory, because a kernel
    /// does not use this crate's address maps, and only with what Linux has.
    #[cfg(all(feature = "netlink", target_os = "linux"))]
    pub(crate) fn validate_for_kernel(&self) -> Result<(), ConfigError> {
        use super::NotInLinux;
        let mut report = self.problems(None, |_| Known::No);
        for service in &self.services {
            let mut add = |path, setting: NotInLinux| {
                report.item(path).add(setting.field(), format!("Linux has no {}", setting.what()));
            };
            for setting in NotInLinux::of_service(service) {
                add(Path::Service(service.key), setting);
            }
            for server in &service.servers {
                for setting in NotInLinux::of_server(service.key.family(), server) {
                    add(Path::Server(service.key, server.address), setting);
                }
            }
        }
        ConfigError::from_problems(report.problems)
    }

    /// Like [`validate`](Self::validate), but checks only the limits on totals of what is known to be
    /// valid. That must be known from a config with the same kernel rules and daemons.
    pub(crate) fn validate_beside<'a>(
        &self,
        limits: Option<&ResourceLimits>,
        known: impl Fn(&VirtualService) -> Known<'a>,
    ) -> Result<(), ConfigError> {
        ConfigError::from_problems(self.problems(limits, known).problems)
    }

    fn problems<'a>(
        &self,
        limits: Option<&ResourceLimits>,
        known: impl Fn(&VirtualService) -> Known<'a>,
    ) -> Problems {
        let mut report = Problems::default();
        check_timeouts(self.timeouts, &mut report);
        daemon::check(&self.daemons, &mut report);
        if self.services.len() > MAX_SERVICES {
            report.add("services", too_many(self.services.len(), MAX_SERVICES));
        }
        let mut names = ahash::HashMap::default();
        let mut first_places = ahash::HashMap::with_capacity(self.services.len());
        for (place, settings) in self.services.iter().enumerate() {
            let first = *first_places.entry(settings.key).or_insert(place);
            if first != place {
                report.add(
                    format!("service {}", settings.key),
                    format!("services[{place}] is services[{first}] once more"),
                );
            }
            if let Some(name) = &settings.name {
                let first = self.services[*names.entry(name).or_insert(place)].key;
                if first != settings.key {
                    let mut item = report.item(Path::Service(settings.key));
                    item.add("name", also_of(name, "service", first));
                }
            }
            service::check(self, settings, known(settings), &mut report);
        }
        if let Some(excess) = limits.and_then(|limits| self.excess(limits)) {
            report.add("memory", excess.to_string());
        }
        report
    }

    fn excess(&self, limits: &ResourceLimits) -> Option<Excess> {
        let services = || self.services.iter().map(|it| (it.key, Memory::of_service(it)));
        let total = self.memory();
        (total > limits.memory).then(|| Excess::of(total, limits.memory, services()))
    }
}

fn check_timeouts(timeouts: Timeouts, report: &mut Problems) {
    let each = [("tcp", timeouts.tcp), ("tcp_fin", timeouts.tcp_fin), ("udp", timeouts.udp)];
    for (name, timeout) in each {
        if let Some(timeout) = timeout.filter(|timeout| !(1..=MAX_TIMEOUT).contains(timeout)) {
            report.add(format!("timeouts: {name}"), outside(timeout, 1, MAX_TIMEOUT));
        }
    }
}

/// Why a name is refused: another service or server has it.
pub(crate) fn also_of(name: &Name, what: &str, other: impl fmt::Display) -> String {
    format!("{name} is also the name of {what} {other}")
}

fn too_many(count: usize, limit: usize) -> String {
    format!("{count} are more than {limit}")
}
