//! What a service remembers of addresses: persistence, and how large its address maps are.

use std::net::Ipv4Addr;

/// Persistence of a virtual service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(remote = "Self", deny_unknown_fields, default))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Persistence", transform = super::schema::persistence))]
#[non_exhaustive]
pub struct Persistence {
    /// Seconds that a client's template lives after its last new connection, 1 to 2678400.
    pub timeout: u32,
    /// Which clients count as one; `None` = each address separately.
    pub netmask: Option<Netmask>,
}

impl Persistence {
    /// Returns persistence with templates that live this many seconds, 1 to 2678400, for each address
    /// separately.
    ///
    /// ```
    /// use vsched::config::{Netmask, Persistence};
    /// let persistence = Persistence::new(600).with_netmask(Netmask::Inet("255.255.255.0".parse()?));
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    pub const fn new(timeout: u32) -> Self {
        Persistence { timeout, netmask: None }
    }

    /// Returns the persistence with one template for all clients of a network.
    pub const fn with_netmask(mut self, netmask: Netmask) -> Self {
        self.netmask = Some(netmask);
        self
    }
}

impl Default for Persistence {
    /// ipvsadm's default: 360 seconds, each address separately.
    fn default() -> Self {
        Persistence::new(360)
    }
}

/// Size and expiration of a service's address maps.
///
/// In rules texts `--vsched-affinity-capacity` and `--vsched-affinity-expiration`. In the kernel the
/// expiration is a sysctl (`net.ipv4.vs.lblc_expiration`, `lblcr_expiration`) and the capacity is
/// unbounded or fixed.
///
/// ```
/// use vsched::config::{Affinity, ServiceKey, VirtualService};
/// use vsched::{Config, SchedulerKind};
/// let cache = |capacity| {
///     let service = VirtualService::new(ServiceKey::tcp(([10, 0, 0, 1], 3128).into()))
///         .with_scheduler(SchedulerKind::Lblc)
///         .with_affinity(Affinity::default().with_capacity(capacity).with_expiration(3600));
///     Config::new().with_service(service)
/// };
/// assert!(cache(1_000).memory() < cache(1_000_000).memory());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(remote = "Self", deny_unknown_fields, default))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Affinity", transform = super::schema::affinity))]
#[non_exhaustive]
pub struct Affinity {
    /// Most addresses remembered, 1 to 16777216. Further addresses are scheduled each time, and counted
    /// ([`Remembered::refused`](super::Remembered::refused)). A change of the capacity forgets nothing.
    ///
    /// Reserves address space as soon as the service runs: 48 bytes per address for lblc, 192 for lblcr,
    /// 96 for persistence, rounded up to a power of two
    /// ([`Config::memory`](super::Config::memory)). Memory is committed page by page as addresses
    /// arrive, or in steps of 2 MiB if the system uses huge pages for everything.
    pub capacity: u32,
    /// Seconds after its last pick until an address may be forgotten (lblc), or after its last change
    /// until a set loses a member (lblcr); 1 to 2678400.
    pub expiration: u32,
}

impl Affinity {
    /// Returns the size and expiration with this capacity, 1 to 16777216 addresses.
    pub const fn with_capacity(mut self, capacity: u32) -> Self {
        self.capacity = capacity;
        self
    }

    /// Returns the size and expiration with this expiration in seconds, 1 to 2678400.
    pub const fn with_expiration(mut self, seconds: u32) -> Self {
        self.expiration = seconds;
        self
    }
}

impl Default for Affinity {
    /// 16384 addresses; one day, as in the kernel.
    fn default() -> Self {
        Affinity { capacity: 16_384, expiration: 86_400 }
    }
}

/// Granularity of persistence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(untagged))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Netmask", transform = super::schema::netmask))]
pub enum Netmask {
    /// IPv4: mask of the significant bits of the client address, such as 255.255.255.0.
    Inet(Ipv4Addr),
    /// IPv6: prefix length, 1 to 128.
    Inet6(u8),
}
