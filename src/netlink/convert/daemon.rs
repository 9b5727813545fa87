//! Synchronization daemons.

use std::net::IpAddr;

use super::sent;
use crate::config::{SyncDaemon, SyncRole};
use crate::netlink::wire::{DaemonAttributes, WireError};

impl DaemonAttributes {
    /// What names a daemon in a request.
    pub fn of_role(role: SyncRole) -> Self {
        let state = match role {
            SyncRole::Master => 1,
            SyncRole::Backup => 2,
        };
        DaemonAttributes { state: Some(state), ..DaemonAttributes::default() }
    }

    /// The whole description of a daemon. The kernel chooses what it leaves open.
    pub fn of_daemon(daemon: &SyncDaemon) -> Self {
        let (group, group6) = match daemon.group {
            Some(IpAddr::V4(group)) => (Some(group.octets()), None),
            Some(IpAddr::V6(group)) => (None, Some(group.octets())),
            None => (None, None),
        };
        DaemonAttributes {
            interface: Some(daemon.interface.clone()),
            sync_id: Some(daemon.sync_id.into()),
            max_len: daemon.max_len,
            group,
            group6,
            port: daemon.port,
            ttl: daemon.ttl,
            ..DaemonAttributes::of_role(daemon.role)
        }
    }

    /// The daemon that the attributes describe, with every value that the kernel sends.
    ///
    /// # Errors
    /// A missing part, an unknown role, an id above 255.
    pub fn daemon(&self) -> Result<SyncDaemon, WireError> {
        let role = match sent(self.state, "DAEMON.STATE")? {
            1 => SyncRole::Master,
            2 => SyncRole::Backup,
            other => {
                let problem = format!("{other} is neither 1 (master) nor 2 (backup)");
                return Err(WireError::new("DAEMON.STATE", problem));
            }
        };
        let sync_id = sent(self.sync_id, "DAEMON.SYNC_ID")?;
        let sync_id = u8::try_from(sync_id)
            .map_err(|_| WireError::new("DAEMON.SYNC_ID", format!("{sync_id} is more than 255")))?;
        let group6 = self.group6.map(IpAddr::from);
        Ok(SyncDaemon {
            role,
            interface: sent(self.interface.clone(), "DAEMON.MCAST_IFN")?,
            sync_id,
            max_len: self.max_len,
            group: self.group.map(IpAddr::from).or(group6),
            port: self.port,
            ttl: self.ttl,
        })
    }
}
