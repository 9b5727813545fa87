//! How much memory a config takes when it runs, and how much it may take.

use std::fmt;

use crate::config::SchedulerKind;
use crate::config::{Config, ServiceKey, VirtualService, mh_table_size};

/// Limits on what a director may take of its machine.
///
/// ```
/// use vsched::{Config, Director, config::ResourceLimits};
/// let config: Config = "-A -t 10.0.0.1:80 -s lblcr".parse()?;
/// let tight = ResourceLimits::default().with_memory(1 << 20);
/// let error = Director::with_limits(&config, tight).expect_err("3 MB for 16384 addresses");
/// assert!(error.to_string().contains("lower its affinity.capacity"), "{error}");
/// Director::with_limits(&config, tight.with_memory(4 << 20))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResourceLimits {
    /// The most bytes that [`Config::memory`] may return.
    pub memory: u64,
}

impl Default for ResourceLimits {
    /// 8 GiB of address space, of which only used pages become resident: enough for ten thousand
    /// services with scheduler lblc and the default `affinity.capacity`.
    fn default() -> Self {
        ResourceLimits { memory: 8 << 30 }
    }
}

impl ResourceLimits {
    /// Returns these limits with this many bytes; `u64::MAX` = as many as the system gives.
    pub const fn with_memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }
}

/// Bytes per entry of an affinity map: of lblc, lblcr, and persistence.
pub(crate) const LBLC_ENTRY: usize = 24;
pub(crate) const LBLCR_ENTRY: usize = 96;
pub(crate) const TEMPLATE_ENTRY: usize = 48;

/// Entries of the table for `capacity` addresses: a power of two, at most half of which are used, and
/// at least two windows (`memory::address_table`).
pub(crate) fn affinity_entries(capacity: u32) -> u64 {
    (2 * u64::from(capacity)).max(32).next_power_of_two()
}

/// With more entries than this, an affinity cache is collected in part every minute
/// (`sched::collector`).
pub(crate) const MANY_ENTRIES: u32 = 16_384;
/// Upper bound for what that takes.
const COLLECTING: u64 = 40 << 10;

/// Upper bound for a director with an empty config.
pub(crate) const DIRECTOR: u64 = 24 << 10;
/// Upper bound per service without the parts listed below: slots, indexes of services, the compiled
/// pool.
const SERVICE: u64 = 3072;
/// Upper bound per server: its slots, its entries in the pool and its indexes, its config. Segments of
/// slots double, so at its worst every other slot is free.
const SERVER: u64 = 456;
/// Upper bound per turn of a precomputed schedule.
const TURN: u64 = 16;
/// Longest schedule that is precomputed: `FEW_TURNS`, or `TURNS_A_SERVER` per server up to `MOST_TURNS`
/// (`sched::wrr_schedule`).
const MOST_TURNS: u64 = 1 << 22;
const FEW_TURNS: u64 = 1 << 18;
const TURNS_A_SERVER: u64 = 64;

/// The sum of the weights of this many servers to which slow start and spill-over scale them, unless it
/// is more as configured; rounding adds at most one for each.
pub(crate) fn shaped_turns(servers: u64) -> u64 {
    (servers * TURNS_A_SERVER).max(4096)
}

/// The memory of one service, by part.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    affinity: u64,
    mh_table: u64,
    rotation: u64,
    servers: u64,
}

impl Memory {
    /// The memory of a service whose servers have these weights.
    pub(crate) fn of<S>(
        settings: &VirtualService<S>,
        weights: impl ExactSizeIterator<Item = u32> + Clone,
    ) -> Self {
        Self::with_cycle(settings, weights, |length, most| if length > most { 0 } else { length })
    }

    /// An upper bound for a service with any subset of these servers.
    pub(crate) fn at_most<S>(
        settings: &VirtualService<S>,
        weights: impl ExactSizeIterator<Item = u32> + Clone,
    ) -> Self {
        Self::with_cycle(settings, weights, u64::min)
    }

    fn with_cycle<S>(
        settings: &VirtualService<S>,
        weights: impl ExactSizeIterator<Item = u32> + Clone,
        cycle: fn(u64, u64) -> u64,
    ) -> Self {
        let count = weights.len() as u64;
        let map = |entry: usize| {
            let entries = affinity_entries(settings.affinity.capacity);
            // One bit per 16 entries; the partial pages at both ends; the map's own structures.
            let bytes = entries * entry as u64 + entries / 128;
            bytes + bytes.min(8192) + 1024
        };
        let collecting = u64::from(settings.affinity.capacity > MANY_ENTRIES) * COLLECTING;
        let remembered = match settings.scheduler {
            Some(SchedulerKind::Lblc) => map(LBLC_ENTRY) + collecting,
            Some(SchedulerKind::Lblcr) => map(LBLCR_ENTRY) + collecting,
            _ => 0,
        };
        let templates = settings.persistence.map_or(0, |_| map(TEMPLATE_ENTRY));
        let slots = match settings.scheduler {
            Some(SchedulerKind::Mh) => {
                u64::from(mh_table_size(settings.mh_table_index).unwrap_or(0))
            }
            _ => 0,
        };
        let schedule_length = match settings.scheduler {
            Some(SchedulerKind::Rr) => count,
            Some(SchedulerKind::Wrr) => {
                let length = schedule_length(weights, cycle);
                let shaped = settings.slow_start.is_some() || settings.spill_over.is_some();
                if shaped { length.max(shaped_turns(count) + count) } else { length }
            }
            _ => 0,
        };
        Memory {
            affinity: remembered + templates,
            mh_table: slots * if count <= 1 << 16 { 2 } else { 4 },
            rotation: schedule_length * TURN,
            servers: SERVICE + count * SERVER,
        }
    }

    /// The memory of a service of a config.
    pub(crate) fn of_service(service: &VirtualService) -> Self {
        Self::of(service, service.servers.iter().map(|server| server.weight))
    }

    pub(crate) fn total(self) -> u64 {
        self.affinity + self.compiled()
    }

    /// Bytes of the address maps.
    pub(crate) fn affinity(self) -> u64 {
        self.affinity
    }

    /// Bytes of everything except the address maps.
    pub(crate) fn compiled(self) -> u64 {
        self.mh_table + self.rotation + self.servers
    }

    /// Upper bound of the additional bytes per worker.
    pub(crate) fn per_worker(self) -> u64 {
        self.servers
    }

    /// How to reduce the largest part.
    fn advice(self) -> &'static str {
        let parts = [
            (self.affinity, "lower its affinity.capacity"),
            (self.mh_table, "lower its mh_table_index"),
            (self.rotation, "lower its weights"),
            (self.servers, "have fewer services or servers"),
        ];
        parts.into_iter().max_by_key(|(bytes, _)| *bytes).map_or("", |(_, advice)| advice)
    }
}

/// Length of wrr's precomputed schedule: `cycle` applied to the cycle's length and the maximum.
fn schedule_length(
    weights: impl ExactSizeIterator<Item = u32> + Clone,
    cycle: fn(u64, u64) -> u64,
) -> u64 {
    let step = weights.clone().fold(0, gcd).max(1);
    let most = (weights.len() as u64 * TURNS_A_SERVER).clamp(FEW_TURNS, MOST_TURNS);
    cycle(weights.map(|weight| u64::from(weight / step)).sum(), most)
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Config {
    /// Returns an upper bound in bytes of the memory that a director takes to run this config: address
    /// maps, tables of mh, precomputed schedules, slots, and the compiled services. O(services), plus
    /// O(servers) for services with scheduler wrr.
    ///
    /// In most configs the address maps are nearly all of it; they reserve address space at once, and
    /// memory page by page as addresses arrive. Not included, because a config does not know the number
    /// of workers or the previous configs: the state of each worker (at most 16 bytes per server and 256
    /// per service), the previous config while a new one replaces it, and maps of a previous
    /// `affinity.capacity` until they are empty. Plans for a kernel are not limited by it, because a
    /// kernel runs the config in its own memory.
    ///
    /// ```
    /// use vsched::Config;
    /// let mut config: Config = "-A -t 10.0.0.1:80 -s lblc".parse()?;
    /// assert!(config.memory() < 1 << 20);
    /// config.services[0].affinity.capacity = 1 << 24;
    /// assert!(config.memory() > 800_000_000);
    /// # Ok::<(), vsched::error::RulesError>(())
    /// ```
    pub fn memory(&self) -> u64 {
        let services = self.services.iter().map(|service| Memory::of_service(service).total());
        DIRECTOR + services.sum::<u64>()
    }
}

/// A total above the limit, and the service that takes the most of it.
pub(crate) struct Excess {
    pub(crate) total: u64,
    pub(crate) limit: u64,
    pub(crate) largest: Option<(ServiceKey, Memory)>,
}

impl Excess {
    /// Finds the largest of these services.
    pub(crate) fn of(
        total: u64,
        limit: u64,
        services: impl Iterator<Item = (ServiceKey, Memory)>,
    ) -> Self {
        Excess { total, limit, largest: services.max_by_key(|(_, memory)| memory.total()) }
    }
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes are more than the limit of {}", self.total, self.limit)?;
        if let Some((key, memory)) = self.largest {
            let (bytes, advice) = (memory.total(), memory.advice());
            write!(f, "; most of all, {bytes}, takes service {key}: {advice}")?;
        }
        Ok(())
    }
}
