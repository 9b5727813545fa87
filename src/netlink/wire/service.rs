//! The nested attributes of a virtual service.

use super::attribute::{Value, Writer, attributes};
use super::{Figures, WireError};

/// Flag: the service is persistent.
pub const FLAG_PERSISTENT: u32 = 1;
/// Flag: the kernel has the service in its table. Always set in answers.
pub const FLAG_HASHED: u32 = 2;
/// Flag: one-packet scheduling. Above it come the three scheduler flags: 8, 16 and 32.
pub const FLAG_ONE_PACKET: u32 = 4;

/// Longest scheduler name.
const MAX_SCHEDULER: usize = 15;
/// Longest engine name.
const MAX_ENGINE: usize = 16;

/// Flags of a virtual service, and which of them a request changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ServiceFlags {
    /// The flags.
    pub flags: u32,
    /// Which flags an edit changes.
    pub mask: u32,
}

impl ServiceFlags {
    /// Returns the flags with the mask of those that an edit changes.
    pub const fn new(flags: u32, mask: u32) -> Self {
        ServiceFlags { flags, mask }
    }
}

/// The attributes of a virtual service, as in a message.
///
/// ```
/// use vsched::config::{ServiceKey, VirtualService};
/// use vsched::netlink::wire::ServiceAttributes;
/// let service = VirtualService::new("fwmark 7".parse()?);
/// let mut attributes = ServiceAttributes::of_settings(&service);
/// assert_eq!((attributes.mark, attributes.protocol), (Some(7), None));
/// assert_eq!(attributes.settings()?, service.settings());
/// attributes.scheduler = Some("new".to_owned());
/// let error = attributes.settings().expect_err("a scheduler of a newer kernel");
/// assert_eq!(error.attribute(), "SERVICE.SCHED_NAME");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ServiceAttributes {
    /// Address family, [`INET`](super::INET) or [`INET6`](super::INET6).
    pub family: Option<u16>,
    /// IP protocol number; absent for firewall marks.
    pub protocol: Option<u16>,
    /// Address; IPv4 uses the first four bytes; absent for firewall marks.
    pub address: Option<[u8; 16]>,
    /// Port; absent for firewall marks.
    pub port: Option<u16>,
    /// Firewall mark; if present, it is the key.
    pub mark: Option<u32>,
    /// Scheduler name; `none` stands for no scheduler.
    pub scheduler: Option<String>,
    /// Flags.
    pub flags: Option<ServiceFlags>,
    /// Lifetime of a persistence template in seconds.
    pub timeout: Option<u32>,
    /// IPv4: a mask in network byte order. IPv6: a prefix length in host byte order.
    pub netmask: Option<[u8; 4]>,
    /// Persistence engine. An edit without it removes the engine.
    pub engine: Option<String>,
    /// 32-bit statistics.
    pub statistics: Option<Figures>,
    /// 64-bit statistics.
    pub statistics64: Option<Figures>,
}

impl ServiceAttributes {
    /// The best available statistics: 64-bit, else 32-bit, else zero.
    pub fn figures(&self) -> Figures {
        self.statistics64.or(self.statistics).unwrap_or_default()
    }

    // In the order of kernel and ipvsadm.
    pub(super) fn encode(&self, writer: &mut Writer<'_>) -> Result<(), WireError> {
        writer.u16(1, self.family);
        writer.u32(5, self.mark);
        writer.u16(2, self.protocol);
        writer.optional(3, self.address);
        writer.port(4, self.port);
        let scheduler = self.scheduler.as_deref();
        writer.name(6, scheduler, "SERVICE.SCHED_NAME", MAX_SCHEDULER)?;
        writer.name(11, self.engine.as_deref(), "SERVICE.PE_NAME", MAX_ENGINE)?;
        writer.optional(7, self.flags.map(ServiceFlags::to_bytes));
        writer.u32(8, self.timeout);
        writer.optional(9, self.netmask);
        if let Some(figures) = &self.statistics {
            writer.nest(10, |writer| figures.encode(false, writer))?;
        }
        if let Some(figures) = &self.statistics64 {
            writer.nest(12, |writer| figures.encode(true, writer))?;
        }
        Ok(())
    }

    pub(super) fn decode(nest: Value<'_>, figures: bool) -> Result<Option<Self>, WireError> {
        let mut service = ServiceAttributes::default();
        for attribute in attributes(nest.0, "SERVICE") {
            let (kind, value) = attribute?;
            match kind {
                1 => service.family = value.u16("SERVICE.AF")?,
                2 => service.protocol = value.u16("SERVICE.PROTOCOL")?,
                3 => service.address = value.address("SERVICE.ADDR")?,
                4 => service.port = value.port("SERVICE.PORT")?,
                5 => service.mark = value.u32("SERVICE.FWMARK")?,
                6 => service.scheduler = value.name("SERVICE.SCHED_NAME", MAX_SCHEDULER)?,
                7 => service.flags = value.first("SERVICE.FLAGS").map(ServiceFlags::from_bytes)?,
                8 => service.timeout = value.u32("SERVICE.TIMEOUT")?,
                9 => service.netmask = value.first("SERVICE.NETMASK").map(Some)?,
                10 if figures => service.statistics = Figures::decode(value, false)?,
                11 => service.engine = value.name("SERVICE.PE_NAME", MAX_ENGINE)?,
                12 if figures => service.statistics64 = Figures::decode(value, true)?,
                _ => {}
            }
        }
        Ok(Some(service))
    }
}

impl ServiceFlags {
    fn to_bytes(self) -> [u8; 8] {
        let [a, b, c, d] = self.flags.to_ne_bytes();
        let [e, f, g, h] = self.mask.to_ne_bytes();
        [a, b, c, d, e, f, g, h]
    }

    fn from_bytes([a, b, c, d, e, f, g, h]: [u8; 8]) -> Option<Self> {
        let flags = u32::from_ne_bytes([a, b, c, d]);
        Some(ServiceFlags { flags, mask: u32::from_ne_bytes([e, f, g, h]) })
    }
}
