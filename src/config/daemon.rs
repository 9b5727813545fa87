//! Connection synchronization daemons.

use std::net::IpAddr;

/// A connection synchronization daemon of the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(remote = "Self", deny_unknown_fields))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "SyncDaemon", transform = super::schema::daemon))]
#[non_exhaustive]
pub struct SyncDaemon {
    /// Sender or receiver.
    pub role: SyncRole,
    /// Network interface for the multicast, at most 15 characters.
    pub interface: String,
    /// Synchronization id, 0 to 255: daemons with the same id exchange connections.
    #[cfg_attr(feature = "serde", serde(default))]
    pub sync_id: u8,
    /// Maximum message length in bytes, 1 to 65507; `None` = derived from the interface's MTU.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub max_len: Option<u16>,
    /// Multicast group; `None` = 224.0.0.81.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub group: Option<IpAddr>,
    /// UDP port, 1 to 65535; `None` = 8848.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub port: Option<u16>,
    /// Time to live, 1 to 255; `None` = 1.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub ttl: Option<u8>,
}

impl SyncDaemon {
    /// Returns a daemon with synchronization id 0 and the kernel's defaults.
    ///
    /// ```
    /// use vsched::config::{Config, SyncDaemon, SyncRole};
    /// let daemon = SyncDaemon::new(SyncRole::Master, "eth0").with_sync_id(7).with_ttl(2);
    /// assert_eq!(
    ///     Config::new().with_daemon(daemon).to_string(),
    ///     "--start-daemon master --mcast-interface eth0 --syncid 7 --mcast-ttl 2\n"
    /// );
    /// ```
    pub fn new(role: SyncRole, interface: impl Into<String>) -> Self {
        let interface = interface.into();
        SyncDaemon {
            role,
            interface,
            sync_id: 0,
            max_len: None,
            group: None,
            port: None,
            ttl: None,
        }
    }

    /// Returns the daemon with this synchronization id.
    pub fn with_sync_id(mut self, id: u8) -> Self {
        self.sync_id = id;
        self
    }

    /// Returns the daemon with this maximum message length in bytes, 1 to 65507.
    pub fn with_max_len(mut self, bytes: u16) -> Self {
        self.max_len = Some(bytes);
        self
    }

    /// Returns the daemon with this multicast group.
    pub fn with_group(mut self, group: IpAddr) -> Self {
        self.group = Some(group);
        self
    }

    /// Returns the daemon with this UDP port, 1 to 65535.
    pub fn with_port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Returns the daemon with this time to live, 1 to 255.
    pub fn with_ttl(mut self, ttl: u8) -> Self {
        self.ttl = Some(ttl);
        self
    }
}

/// Role of a synchronization daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(remote = "Self", rename_all = "lowercase"))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "SyncRole", transform = super::schema::plain))]
pub enum SyncRole {
    /// Sends this director's connections.
    Master,
    /// Receives another director's connections.
    Backup,
}

impl SyncRole {
    /// Returns the name, as in every text.
    pub const fn name(self) -> &'static str {
        match self {
            SyncRole::Master => "master",
            SyncRole::Backup => "backup",
        }
    }
}
