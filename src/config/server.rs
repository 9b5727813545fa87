//! Real servers: address, forwarding method, weight and connection limits.

use std::net::SocketAddr;

use crate::config::Name;

/// How the director hands a connection to a real server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Forwarding", transform = super::schema::plain))]
#[non_exhaustive]
pub enum Forwarding {
    /// Masquerading (LVS-NAT, `-m`): both directions pass through the director. What a proxy does.
    Masq,
    /// Direct routing, also called gatewaying (LVS-DR, `-g`): the server replies to the client directly.
    #[default]
    Route,
    /// Tunneling (LVS-TUN, `-i`): the packet is encapsulated in another one.
    Tunnel(Tunnel),
    /// The server is the director itself. Old kernels show it; ipvsadm cannot set it.
    Local,
    /// The packet is forwarded to its original destination. Kernels create such entries themselves.
    Bypass,
}

/// Encapsulation of a tunneled packet.
///
/// ```
/// use vsched::Config;
/// use vsched::config::{Forwarding, RealServer, ServiceKey, Tunnel, TunnelChecksum, VirtualService};
/// let tunnel = Tunnel::Gue { port: 6080, checksum: TunnelChecksum::Remote };
/// let server = RealServer::new("192.168.5.11:80".parse()?).with_forwarding(Forwarding::Tunnel(tunnel));
/// let service = VirtualService::new(ServiceKey::tcp("192.168.4.5:80".parse()?)).with_server(server);
/// assert_eq!(
///     Config::new().with_service(service).to_rules().to_string(),
///     "-A -t 192.168.4.5:80 -s wlc\n\
///      -a -t 192.168.4.5:80 -r 192.168.5.11:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-remcsum\n"
/// );
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(remote = "Self", tag = "type", rename_all = "lowercase", deny_unknown_fields)
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Tunnel", transform = super::schema::tunnel))]
#[non_exhaustive]
pub enum Tunnel {
    /// IP in IP.
    Ipip {},
    /// Generic UDP encapsulation, to this port.
    Gue {
        /// UDP port, 1 to 65535.
        port: u16,
        /// Checksum of the outer header.
        #[cfg_attr(feature = "serde", serde(default))]
        checksum: TunnelChecksum,
    },
    /// GRE.
    Gre {
        /// Checksum of the outer header; `remote` is not allowed here.
        #[cfg_attr(feature = "serde", serde(default))]
        checksum: TunnelChecksum,
    },
}

impl Default for Tunnel {
    fn default() -> Self {
        Tunnel::Ipip {}
    }
}

/// Checksum of a tunnel's outer header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(remote = "Self", rename_all = "lowercase"))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "TunnelChecksum", transform = super::schema::plain))]
#[non_exhaustive]
pub enum TunnelChecksum {
    /// No checksum (`--tun-nocsum`).
    #[default]
    None,
    /// Checksum (`--tun-csum`).
    Full,
    /// Remote checksum offload (`--tun-remcsum`), GUE only.
    Remote,
}

/// Connection limits of a real server, active and inactive connections together.
///
/// At `upper` connections the server is overloaded and gets no new ones until fewer than `lower` remain
/// (three quarters of `upper` if `lower` is 0). 0 means no limit.
///
/// ```
/// use vsched::{Activity, Config, Director, Flow, Refused};
/// let config: Config = "-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.0.1.1 -x 3 -y 2".parse()?;
/// let director = Director::new(&config)?;
/// let service = director.service("tcp 10.0.0.1:80")?;
/// let worker = director.worker();
/// let connect = || worker.connect(service, &Flow::default());
/// let mut connections = vec![connect()?, connect()?, connect()?];
/// assert_eq!(connect().unwrap_err(), Refused::AllOverloaded);
/// connections.pop();
/// assert_eq!(connect().unwrap_err(), Refused::AllOverloaded, "2 are not fewer than 2");
/// connections.pop();
/// connections.push(connect()?);
/// # drop(connections);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(remote = "Self", deny_unknown_fields, default))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Thresholds", transform = super::schema::plain))]
#[non_exhaustive]
pub struct Thresholds {
    /// Number of connections at which the server becomes overloaded; 0 = never.
    pub upper: u32,
    /// Number of connections below which an overloaded server becomes available again; 0 = three
    /// quarters of `upper`.
    pub lower: u32,
}

impl Thresholds {
    /// Returns these limits; 0 = no limit, as [`Thresholds`] says.
    pub const fn new(upper: u32, lower: u32) -> Self {
        Thresholds { upper, lower }
    }
}

/// One real server of a virtual service.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(remote = "Self", deny_unknown_fields))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "RealServer", transform = super::schema::server))]
#[non_exhaustive]
pub struct RealServer {
    /// Address and port: the server's identity within its service. Port 0 keeps the client's port.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "super::text::server_address"))]
    pub address: SocketAddr,
    /// How connections reach the server.
    #[cfg_attr(feature = "serde", serde(default))]
    pub forwarding: Forwarding,
    /// Share of the connections, 0 to 2147483647; 0 = quiesced: no new connections, existing ones
    /// continue.
    #[cfg_attr(feature = "serde", serde(default = "super::text::one"))]
    pub weight: u32,
    /// Connection limits.
    #[cfg_attr(feature = "serde", serde(default))]
    pub thresholds: Thresholds,
    /// Tier of the server: 0 serves first, greater numbers take over from it, as the service's
    /// [`spill_over`](super::VirtualService::spill_over) says. So 1 is a backup. In rules texts
    /// `--vsched-priority`.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "super::text::is_default"))]
    pub priority: u8,
    /// The host's own number for the server, such as an index or an address of its structure:
    /// [`Pick::user_data`](crate::Pick::user_data) returns it. 0 if the host needs none. In rules texts
    /// `--vsched-user-data`.
    #[cfg_attr(
        feature = "serde",
        serde(
            default,
            skip_serializing_if = "super::text::is_default",
            with = "super::text::wide"
        )
    )]
    #[cfg_attr(feature = "schema", schemars(with = "super::schema::Wide"))]
    pub user_data: u64,
    /// The server's name, unique within its service. In rules texts `--vsched-name`.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub name: Option<Name>,
}

impl RealServer {
    /// Returns a server with ipvsadm's defaults: direct routing, weight 1, no limits.
    ///
    /// ```
    /// use vsched::config::{Forwarding, RealServer};
    /// let server = RealServer::new("192.168.5.11:80".parse()?)
    ///     .with_forwarding(Forwarding::Masq)
    ///     .with_weight(2)
    ///     .with_thresholds(100, 80);
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    pub fn new(address: SocketAddr) -> Self {
        RealServer {
            address,
            forwarding: Forwarding::default(),
            weight: 1,
            thresholds: Thresholds::default(),
            priority: 0,
            user_data: 0,
            name: None,
        }
    }

    /// True if at most the name and the user data differ.
    pub(crate) fn equal_but_labels(&self, other: &RealServer) -> bool {
        let RealServer { address, forwarding, weight, thresholds, priority, user_data: _, name: _ } =
            self;
        (address, forwarding, weight, thresholds, priority)
            == (
                &other.address,
                &other.forwarding,
                &other.weight,
                &other.thresholds,
                &other.priority,
            )
    }

    /// Returns the server with this weight.
    pub fn with_weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// Returns the server with this forwarding method.
    pub fn with_forwarding(mut self, forwarding: Forwarding) -> Self {
        self.forwarding = forwarding;
        self
    }

    /// Returns the server with these connection limits.
    pub fn with_thresholds(mut self, upper: u32, lower: u32) -> Self {
        self.thresholds = Thresholds { upper, lower };
        self
    }

    /// Returns the server in this tier: 0 serves first, 1 is a backup.
    pub fn with_priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }

    /// Returns the server with this number of the host's own.
    pub fn with_user_data(mut self, user_data: u64) -> Self {
        self.user_data = user_data;
        self
    }

    /// Returns the server with this name.
    pub fn with_name(mut self, name: Name) -> Self {
        self.name = Some(name);
        self
    }
}
