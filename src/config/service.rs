//! One virtual service: what names it, how it schedules, which servers it has.

use std::net::Ipv4Addr;

use crate::config::scheduler::{GENERIC_FLAG_NAMES, SchedulerKind};
use crate::config::{DEFAULT_MH_TABLE_INDEX, MAX_SERVERS, RealServer, ServiceKey, mh_table_size};

/// A virtual service and its real servers.
///
/// `servers` is in the order of adding. The kernel puts each new server at the head of its list,
/// so the *last* server here is the first of the live list, which all "first in list" tie-breaks
/// favour.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(into = "super::text::ServiceText"))]
pub struct VirtualService {
    /// What names it.
    pub key: ServiceKey,
    /// Its scheduler; `None` (in texts: `none`) refuses every new connection.
    pub scheduler: Option<SchedulerKind>,
    /// Scheduler flags, such as `sh-port`.
    pub flags: SchedulerFlags,
    /// Size of the table of scheduler `mh`, which also limits its servers: 8 to 17 for 251 to 131071
    /// slots, the primes below the powers of two. 12 (4093 slots) is what Debian's kernels are built
    /// with, and what every other scheduler has here. In rules texts
    /// `--vsched-mh-table-index`.
    pub mh_table_index: u8,
    /// Persistence: connections of one client go to one server.
    pub persistence: Option<Persistence>,
    /// Name of the persistence engine, such as `sip`.
    pub persistence_engine: Option<String>,
    /// One-packet scheduling: each UDP datagram is scheduled by itself.
    pub one_packet: bool,
    /// How many addresses lblc, lblcr and persistence remember, and the first two for how long.
    pub affinity: Affinity,
    /// Whether all workers share one sequence of decisions. In rules texts `--vsched-sharing`.
    pub sharing: Sharing,
    /// Real servers, oldest first.
    pub servers: Vec<RealServer>,
}

impl VirtualService {
    /// A service without servers and with ipvsadm's defaults: scheduler `wlc`, no persistence.
    pub fn new(service: ServiceKey) -> Self {
        VirtualService {
            key: service,
            scheduler: Some(SchedulerKind::Wlc),
            flags: SchedulerFlags::default(),
            mh_table_index: DEFAULT_MH_TABLE_INDEX,
            persistence: None,
            persistence_engine: None,
            one_packet: false,
            affinity: Affinity::default(),
            sharing: Sharing::Exact,
            servers: Vec::new(),
        }
    }

    /// The same with this scheduler.
    pub fn with_scheduler(mut self, scheduler: SchedulerKind) -> Self {
        self.scheduler = Some(scheduler);
        self
    }

    /// The same with decisions shared so.
    pub fn with_sharing(mut self, sharing: Sharing) -> Self {
        self.sharing = sharing;
        self
    }

    /// The same with one more server, added last.
    pub fn with_server(mut self, server: RealServer) -> Self {
        self.servers.push(server);
        self
    }

    /// Everything but the servers: what an edit of the service replaces.
    pub fn settings(&self) -> VirtualService {
        // Field by field: `..self.clone()` would clone the servers first.
        VirtualService {
            key: self.key,
            scheduler: self.scheduler,
            flags: self.flags,
            mh_table_index: self.mh_table_index,
            persistence: self.persistence,
            persistence_engine: self.persistence_engine.clone(),
            one_packet: self.one_packet,
            sharing: self.sharing,
            affinity: self.affinity,
            servers: Vec::new(),
        }
    }

    /// Most servers it can have.
    pub(crate) fn max_servers(&self) -> usize {
        match (self.scheduler, mh_table_size(self.mh_table_index)) {
            (Some(SchedulerKind::Mh), Some(slots)) => slots as usize,
            _ => MAX_SERVERS,
        }
    }
}

/// Persistence of a virtual service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(remote = "Self", deny_unknown_fields, default))]
pub struct Persistence {
    /// Seconds a client's template lives after its last new connection, 1 to 2678400.
    pub timeout: u32,
    /// Which clients count as one; `None` = each address by itself.
    pub netmask: Option<Netmask>,
}

impl Default for Persistence {
    /// ipvsadm's default, 360 seconds, each address by itself.
    fn default() -> Self {
        Persistence { timeout: 360, netmask: None }
    }
}

/// Memory of addresses. In rules texts `--vsched-affinity-capacity` and `--vsched-affinity-expiration`:
/// in the kernel the expiration is a sysctl (`net.ipv4.vs.lblc_expiration`, `lblcr_expiration`) and the
/// capacity is not bounded or fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(remote = "Self", deny_unknown_fields, default))]
pub struct Affinity {
    /// Most addresses remembered, 1 to 16777216. Others are scheduled anew each time, and counted
    /// ([`Remembered::refused`](super::Remembered::refused)). A change forgets nothing.
    ///
    /// Takes address space as soon as the service runs: 48 bytes each for lblc, 192 for lblcr, 96 for
    /// persistence, rounded up to a power of two ([`Config::memory`](super::Config::memory)). Memory
    /// comes page by page as addresses do; where the system makes all pages huge (2 MiB), in steps of
    /// those.
    pub capacity: u32,
    /// Seconds after its last pick that an address may be forgotten (lblc), or after its last change
    /// that a set loses a member (lblcr); 1 to 2678400.
    pub expiration: u32,
}

impl Default for Affinity {
    /// 16384 addresses; the kernel's day.
    fn default() -> Self {
        Affinity { capacity: 16_384, expiration: 86_400 }
    }
}

/// Whether the workers of a director decide together or each by itself.
///
/// Only where that differs: sh, dh and mh give every worker the same answer, and what lblc, lblcr and
/// persistence remember is shared in any case. So are all counts, thresholds and statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(remote = "Self", rename_all = "kebab-case"))]
pub enum Sharing {
    /// One sequence of decisions for all workers: together they pick as one kernel would.
    #[default]
    Exact,
    /// Each worker by itself: no word that another writes is written by a pick, so picks cost the
    /// same whatever the number of workers. A worker that is the only one picks as a kernel would;
    /// each of several as a kernel that had only its connections, and begins elsewhere in the
    /// rotation or list, so that they do not all begin with the same server.
    ///
    /// rr and wrr: with n workers a server has had at most n more turns than a single rotation with
    /// as many picks would have given it at any time. lc, wlc, sed and nq go by the connections that
    /// the worker opened itself, and by an equal part of those that no living worker opened itself
    /// (because that was before the service went by such counts, or because their worker is gone):
    /// each worker's are as even as the kernel's, so with equal weights two servers differ by at
    /// most n connections. twos draws numbers of its own.
    PerWorker,
}

impl Sharing {
    /// The name, as in serde texts.
    pub const fn name(self) -> &'static str {
        match self {
            Sharing::Exact => "exact",
            Sharing::PerWorker => "per-worker",
        }
    }
}

/// Granularity of persistence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(untagged))]
pub enum Netmask {
    /// IPv4: bits of the client address that count, such as 255.255.255.0.
    Inet(Ipv4Addr),
    /// IPv6: prefix length, 1 to 128.
    Inet6(u8),
}

/// The three scheduler flags of a virtual service.
///
/// What a flag means is the scheduler's affair: the first is `sh-fallback` or `mh-fallback`, the
/// second `sh-port` or `mh-port`; elsewhere they are `flag-1`, `flag-2`, `flag-3` and do nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SchedulerFlags(u8);

impl SchedulerFlags {
    /// The first flag (kernel value 8).
    pub const FLAG_1: Self = SchedulerFlags(1);
    /// The second flag (kernel value 16).
    pub const FLAG_2: Self = SchedulerFlags(2);
    /// The third flag (kernel value 32).
    pub const FLAG_3: Self = SchedulerFlags(4);
    /// All three, in order.
    pub const ALL: [Self; 3] = [Self::FLAG_1, Self::FLAG_2, Self::FLAG_3];

    /// True if no flag is set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// True if every flag of `other` is set here.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The flags of both.
    pub const fn union(self, other: Self) -> Self {
        SchedulerFlags(self.0 | other.0)
    }

    /// The names of the set flags under this scheduler, in order.
    pub fn names(self, scheduler: Option<SchedulerKind>) -> impl Iterator<Item = &'static str> {
        Self::ALL
            .into_iter()
            .zip(flag_names(scheduler))
            .filter(move |(flag, _)| self.contains(*flag))
            .map(|(_, name)| name)
    }

    /// The flag with this name under this scheduler. The numbered names work everywhere.
    pub fn named(name: &str, scheduler: Option<SchedulerKind>) -> Option<Self> {
        let numbered = GENERIC_FLAG_NAMES.iter().position(|known| *known == name);
        let index =
            numbered.or_else(|| flag_names(scheduler).iter().position(|known| *known == name))?;
        Self::ALL.get(index).copied()
    }

    /// The names that only this scheduler has for its flags; none if it gives them no meaning.
    pub(crate) fn own_names(
        scheduler: Option<SchedulerKind>,
    ) -> impl Iterator<Item = &'static str> {
        flag_names(scheduler).into_iter().filter(|name| !GENERIC_FLAG_NAMES.contains(name))
    }
}

fn flag_names(scheduler: Option<SchedulerKind>) -> [&'static str; 3] {
    scheduler.map_or(GENERIC_FLAG_NAMES, SchedulerKind::flag_names)
}
