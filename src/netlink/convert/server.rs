//! Real servers.

use std::net::SocketAddr;

use super::{address, address_bytes, family, family_number, sent};
use crate::config::{
    Family, Forwarding, ObservedServer, RealServer, ServerCounts, ServerHealth, ServerState,
    Thresholds, Tunnel, TunnelChecksum,
};
use crate::netlink::wire::{DestAttributes, WireError};

impl DestAttributes {
    /// What names a server in a request.
    pub fn of_address(address: SocketAddr) -> Self {
        DestAttributes {
            family: Some(family_number(Family::of(address.ip()))),
            address: Some(address_bytes(address.ip())),
            port: Some(address.port()),
            ..DestAttributes::default()
        }
    }

    /// The whole description of a server.
    pub fn of_server(server: &RealServer) -> Self {
        let (tunnel_type, tunnel_port, tunnel_flags) = match server.forwarding {
            Forwarding::Tunnel(Tunnel::Gue { port, checksum }) => (1, port, flags(checksum)),
            Forwarding::Tunnel(Tunnel::Gre { checksum }) => (2, 0, flags(checksum)),
            _ => (0, 0, 0),
        };
        let method = match server.forwarding {
            Forwarding::Masq => 0,
            Forwarding::Local => 1,
            Forwarding::Tunnel(_) => 2,
            Forwarding::Route => 3,
            Forwarding::Bypass => 4,
        };
        DestAttributes {
            forwarding: Some(method),
            weight: Some(server.weight),
            tunnel_type: Some(tunnel_type),
            tunnel_port: Some(tunnel_port),
            tunnel_flags: Some(tunnel_flags),
            upper: Some(server.thresholds.upper),
            lower: Some(server.thresholds.lower),
            ..DestAttributes::of_address(server.address)
        }
    }

    /// The server's address and port. `service` is the family of its service, used where the kernel sends
    /// none.
    ///
    /// # Errors
    /// A missing address or port, an unknown family.
    pub fn socket_address(&self, service: Family) -> Result<SocketAddr, WireError> {
        let family = match self.family {
            None | Some(0) => service,
            Some(number) => family(number, "DEST.ADDR_FAMILY")?,
        };
        let ip = address(family, sent(self.address, "DEST.ADDR")?);
        Ok(SocketAddr::new(ip, sent(self.port, "DEST.PORT")?))
    }

    /// The server that the attributes describe.
    ///
    /// # Errors
    /// As for [`socket_address`](Self::socket_address); a missing part of the description; a
    /// forwarding method or a tunnel that has no name.
    pub fn server(&self, service: Family) -> Result<RealServer, WireError> {
        Ok(RealServer {
            forwarding: self.forwarding()?,
            weight: sent(self.weight, "DEST.WEIGHT")?,
            thresholds: Thresholds {
                upper: sent(self.upper, "DEST.U_THRESH")?,
                lower: sent(self.lower, "DEST.L_THRESH")?,
            },
            ..RealServer::new(self.socket_address(service)?)
        })
    }

    /// The server with its connections and statistics. The kernel does not say whether it is overloaded.
    ///
    /// # Errors
    /// As for [`server`](Self::server).
    pub fn observed(&self, service: Family) -> Result<ObservedServer, WireError> {
        let (figures, server) = (self.figures(), self.server(service)?);
        Ok(ObservedServer {
            state: ServerState::Up,
            health: ServerHealth::default(),
            server: server.clone(),
            effective_weight: server.weight,
            counts: ServerCounts {
                active: self.active.unwrap_or_default(),
                inactive: self.inactive.unwrap_or_default(),
                persistent: self.persistent.unwrap_or_default(),
                overloaded: false,
            },
            statistics: figures.totals,
            rates: figures.rates,
        })
    }

    fn forwarding(&self) -> Result<Forwarding, WireError> {
        // The kernel keeps other things in the higher bits.
        match sent(self.forwarding, "DEST.FWD_METHOD")? & 7 {
            0 => Ok(Forwarding::Masq),
            1 => Ok(Forwarding::Local),
            2 => self.tunnel().map(Forwarding::Tunnel),
            3 => Ok(Forwarding::Route),
            4 => Ok(Forwarding::Bypass),
            other => {
                let problem = format!("{other} is not one of 0 to 4");
                Err(WireError::new("DEST.FWD_METHOD", problem))
            }
        }
    }

    // Kernels before 5.3 only support ipip and send none of this.
    fn tunnel(&self) -> Result<Tunnel, WireError> {
        let checksum = match self.tunnel_flags.unwrap_or_default() {
            0 => Ok(TunnelChecksum::None),
            1 => Ok(TunnelChecksum::Full),
            2 => Ok(TunnelChecksum::Remote),
            other => {
                let problem = format!("{other} is not one of 0 to 2");
                Err(WireError::new("DEST.TUN_FLAGS", problem))
            }
        };
        match self.tunnel_type.unwrap_or_default() {
            0 => Ok(Tunnel::Ipip {}),
            1 => Ok(Tunnel::Gue {
                port: sent(self.tunnel_port, "DEST.TUN_PORT")?,
                checksum: checksum?,
            }),
            2 => Ok(Tunnel::Gre { checksum: checksum? }),
            other => {
                let problem = format!("{other} is not one of 0 to 2");
                Err(WireError::new("DEST.TUN_TYPE", problem))
            }
        }
    }
}

fn flags(checksum: TunnelChecksum) -> u16 {
    match checksum {
        TunnelChecksum::None => 0,
        TunnelChecksum::Full => 1,
        TunnelChecksum::Remote => 2,
    }
}
