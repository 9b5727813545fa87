//! The nested attributes of a real server, which the kernel calls a destination.

use super::attribute::{Value, Writer, attributes};
use super::{Figures, WireError};

/// The attributes of a real server, as in a message.
///
/// ```
/// use vsched::config::{Family, RealServer};
/// use vsched::netlink::wire::DestAttributes;
/// let server = RealServer::new("192.168.5.11:80".parse()?).with_weight(2);
/// let mut attributes = DestAttributes::of_server(&server);
/// // What kernels before 3.18 do not send is the service's.
/// attributes.family = None;
/// assert_eq!(attributes.server(Family::Inet)?, server);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DestAttributes {
    /// Address family; kernels before 3.18 do not send it: then it is the service's.
    pub family: Option<u16>,
    /// Address; IPv4 uses the first four bytes.
    pub address: Option<[u8; 16]>,
    /// Port.
    pub port: Option<u16>,
    /// Forwarding method: 0 masquerading, 1 local, 2 tunnel, 3 direct routing, 4 bypass.
    pub forwarding: Option<u32>,
    /// Weight; the kernel reads it as a signed number.
    pub weight: Option<u32>,
    /// Tunnel type: 0 ipip, 1 gue, 2 gre.
    pub tunnel_type: Option<u8>,
    /// Tunnel port.
    pub tunnel_port: Option<u16>,
    /// Tunnel flags: 0 no checksum, 1 checksum, 2 remote checksum.
    pub tunnel_flags: Option<u16>,
    /// Upper threshold.
    pub upper: Option<u32>,
    /// Lower threshold.
    pub lower: Option<u32>,
    /// Active connections.
    pub active: Option<u32>,
    /// Inactive connections.
    pub inactive: Option<u32>,
    /// Persistence templates.
    pub persistent: Option<u32>,
    /// 32-bit statistics.
    pub statistics: Option<Figures>,
    /// 64-bit statistics.
    pub statistics64: Option<Figures>,
}

impl DestAttributes {
    /// The best available statistics: 64-bit, else 32-bit, else zero.
    pub fn figures(&self) -> Figures {
        self.statistics64.or(self.statistics).unwrap_or_default()
    }

    // In ipvsadm's order.
    pub(super) fn encode(&self, writer: &mut Writer<'_>) -> Result<(), WireError> {
        writer.u16(11, self.family);
        writer.optional(1, self.address);
        writer.port(2, self.port);
        writer.u32(3, self.forwarding);
        writer.u32(4, self.weight);
        writer.u8(13, self.tunnel_type);
        writer.port(14, self.tunnel_port);
        writer.u16(15, self.tunnel_flags);
        writer.u32(5, self.upper);
        writer.u32(6, self.lower);
        writer.u32(7, self.active);
        writer.u32(8, self.inactive);
        writer.u32(9, self.persistent);
        if let Some(figures) = &self.statistics {
            writer.nest(10, |writer| figures.encode(false, writer))?;
        }
        if let Some(figures) = &self.statistics64 {
            writer.nest(12, |writer| figures.encode(true, writer))?;
        }
        Ok(())
    }

    /// Statistics are most of a message: they are skipped unless `figures` is set.
    pub(super) fn decode(nest: Value<'_>, figures: bool) -> Result<Option<Self>, WireError> {
        let mut dest = DestAttributes::default();
        for attribute in attributes(nest.0, "DEST") {
            let (kind, value) = attribute?;
            match kind {
                1 => dest.address = value.address("DEST.ADDR")?,
                2 => dest.port = value.port("DEST.PORT")?,
                3 => dest.forwarding = value.u32("DEST.FWD_METHOD")?,
                4 => dest.weight = value.u32("DEST.WEIGHT")?,
                5 => dest.upper = value.u32("DEST.U_THRESH")?,
                6 => dest.lower = value.u32("DEST.L_THRESH")?,
                7 => dest.active = value.u32("DEST.ACTIVE_CONNS")?,
                8 => dest.inactive = value.u32("DEST.INACT_CONNS")?,
                9 => dest.persistent = value.u32("DEST.PERSIST_CONNS")?,
                10 if figures => dest.statistics = Figures::decode(value, false)?,
                11 => dest.family = value.u16("DEST.ADDR_FAMILY")?,
                12 if figures => dest.statistics64 = Figures::decode(value, true)?,
                13 => dest.tunnel_type = value.u8("DEST.TUN_TYPE")?,
                14 => dest.tunnel_port = value.port("DEST.TUN_PORT")?,
                15 => dest.tunnel_flags = value.u16("DEST.TUN_FLAGS")?,
                _ => {}
            }
        }
        Ok(Some(dest))
    }
}
