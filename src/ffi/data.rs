//! # Ids, flows, picks and leases
//!
//! Plain values in the caller's memory: copy them freely, except leases, and free nothing.
//! Addresses are in network order, with IPv4 in the first four bytes and zeros after it. Ports,
//! marks and other numbers are in host order. Fields named "private" are the library's.

use std::mem::{MaybeUninit, offset_of};

use crate::{Flow, Lease, Pick, ServerId, ServiceId};

/// Id of a virtual service in one director. It survives reloads and edits. After the service is
/// deleted it is stale for good: functions return VSCHED_NO_SERVICE, even if a service with the
/// same key is added again under a new id. Look an id up once per service, and again after
/// VSCHED_NO_SERVICE. All zeros identify no service.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct vsched_service_id {
    /// Private.
    pub slot: u32,
    /// Private.
    pub generation: u32,
}

/// Id of a real server in one director. It survives reloads and edits, and becomes stale once the
/// server is removed and its last connection has closed. Compare ids bytewise. All zeros identify
/// no server.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct vsched_server_id {
    /// Private.
    pub slot: u32,
    /// Private.
    pub generation: u32,
}

/// One connection attempt as its first packet shows it: the input of schedulers.
///
/// Start from all zeros. A zero flow is enough for schedulers that do not hash (all but sh, dh, mh,
/// lblc and lblcr) unless the service is persistent. vsched_flow_from_sockaddr fills in the
/// addresses; it also recognizes IPv4-mapped IPv6 addresses, which must be written as IPv4 when
/// filling in a flow directly.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct vsched_flow {
    /// Address of the client.
    pub client: [u8; 16],
    /// Destination (virtual) address.
    pub destination: [u8; 16],
    /// If `has_key` is not 0, schedulers that hash the client hash this instead.
    pub key: u64,
    /// Firewall mark; 0: none.
    pub fwmark: u32,
    /// Port of the client.
    pub client_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// 4 or 6; 0: no addresses given.
    pub family: u8,
    /// IP protocol number: 6 TCP, 17 UDP, 132 SCTP; 0: not given.
    pub protocol: u8,
    /// Not 0: `key` is given.
    pub has_key: u8,
    /// Set to 0.
    pub reserved: [u8; 5],
}

/// A scheduling decision: the server, and how to reach it. It stays usable for any time; opening a
/// connection on a server that has gone returns VSCHED_STALE.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct vsched_pick {
    /// The server, to open a connection on or to exclude from the next attempt.
    pub server: vsched_server_id,
    /// Address of the server.
    pub address: [u8; 16],
    /// Port of the server; the flow's destination port if the server has port 0.
    pub port: u16,
    /// 4 or 6.
    pub family: u8,
    /// Forwarding method, VSCHED_MASQ to VSCHED_BYPASS; proxies treat all alike.
    pub forwarding: u8,
    /// VSCHED_TUNNEL_IPIP to VSCHED_TUNNEL_GRE if `forwarding` is VSCHED_TUNNEL.
    pub tunnel: u8,
    /// VSCHED_CHECKSUM_NONE to VSCHED_CHECKSUM_REMOTE of the tunnel.
    pub tunnel_checksum: u8,
    /// UDP port of a GUE tunnel.
    pub tunnel_port: u16,
    /// Your own number for the server, from its configuration (vsched_server).
    pub user_data: u64,
    /// Private: the persistence template that led to the server.
    pub opaque: [u64; 2],
}

/// An open connection: keep it with the connection and pass it to vsched_worker_close, through any
/// worker of the same director, whatever reloads happened in between. All zeros are an empty lease;
/// closing empties it.
///
/// Move leases instead of copying them: the library cannot tell a copy of a closed lease from an
/// open one. No count drops below zero even then.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct vsched_lease {
    /// The server.
    pub server: vsched_server_id,
    /// Private.
    pub opaque: [u64; 3],
}

impl From<ServiceId> for vsched_service_id {
    fn from(id: ServiceId) -> Self {
        let [slot, generation] = id.to_raw();
        vsched_service_id { slot, generation }
    }
}

impl From<vsched_service_id> for ServiceId {
    #[inline]
    fn from(id: vsched_service_id) -> Self {
        ServiceId::from_raw([id.slot, id.generation])
    }
}

impl From<ServerId> for vsched_server_id {
    fn from(id: ServerId) -> Self {
        let [slot, generation] = id.to_raw();
        vsched_server_id { slot, generation }
    }
}

impl From<vsched_server_id> for ServerId {
    #[inline]
    fn from(id: vsched_server_id) -> Self {
        ServerId::from_raw([id.slot, id.generation])
    }
}

/// One layout with two names: `$c` in the header, `$rust` in the crate.
macro_rules! same_layout {
    ($c:ident = $rust:ident, $size:literal) => {
        const _: () = assert!(
            size_of::<$c>() == $size
                && size_of::<$rust>() == $size
                && align_of::<$c>() == align_of::<$rust>()
        );

        impl $c {
            #[inline]
            pub(super) fn of(rust: $rust) -> Self {
                // SAFETY: both are `repr(C)` of the same fields (asserted below and beside the Rust
                // type), all of them numbers, for which every value is valid.
                unsafe { std::mem::transmute::<$rust, $c>(rust) }
            }
        }
    };
}

impl vsched_flow {
    #[inline]
    pub(super) fn as_rust(&self) -> &Flow {
        // SAFETY: as in `same_layout`.
        unsafe { &*std::ptr::from_ref(self).cast() }
    }
}

impl vsched_lease {
    #[inline]
    pub(super) fn as_rust_mut(&mut self) -> &mut Lease {
        // SAFETY: as in `same_layout`.
        unsafe { &mut *std::ptr::from_mut(self).cast() }
    }
}

impl vsched_pick {
    #[inline]
    pub(super) fn as_rust(&self) -> &Pick {
        // SAFETY: as in `same_layout`.
        unsafe { &*std::ptr::from_ref(self).cast() }
    }

    /// The caller's memory for a pick, as Rust's type.
    #[inline]
    pub(super) fn room(memory: &mut MaybeUninit<Self>) -> &mut MaybeUninit<Pick> {
        // SAFETY: both are `repr(C)` of the same fields, and neither has to be initialized yet.
        unsafe { &mut *std::ptr::from_mut(memory).cast() }
    }
}

same_layout!(vsched_flow = Flow, 56);
same_layout!(vsched_pick = Pick, 56);
same_layout!(vsched_lease = Lease, 32);

const _: () = {
    assert!(offset_of!(vsched_flow, client) == Flow::LAYOUT[0]);
    assert!(offset_of!(vsched_flow, destination) == Flow::LAYOUT[1]);
    assert!(offset_of!(vsched_flow, key) == Flow::LAYOUT[2]);
    assert!(offset_of!(vsched_flow, fwmark) == Flow::LAYOUT[3]);
    assert!(offset_of!(vsched_flow, client_port) == Flow::LAYOUT[4]);
    assert!(offset_of!(vsched_flow, destination_port) == Flow::LAYOUT[5]);
    assert!(offset_of!(vsched_flow, family) == Flow::LAYOUT[6]);
    assert!(offset_of!(vsched_flow, protocol) == Flow::LAYOUT[7]);
    assert!(offset_of!(vsched_flow, has_key) == Flow::LAYOUT[8]);
    assert!(offset_of!(vsched_pick, server) == Pick::LAYOUT[0]);
    assert!(offset_of!(vsched_pick, address) == Pick::LAYOUT[1]);
    assert!(offset_of!(vsched_pick, port) == Pick::LAYOUT[2]);
    assert!(offset_of!(vsched_pick, family) == Pick::LAYOUT[3]);
    assert!(offset_of!(vsched_pick, forwarding) == Pick::LAYOUT[4]);
    assert!(offset_of!(vsched_pick, tunnel) == Pick::LAYOUT[5]);
    assert!(offset_of!(vsched_pick, tunnel_checksum) == Pick::LAYOUT[6]);
    assert!(offset_of!(vsched_pick, tunnel_port) == Pick::LAYOUT[7]);
    assert!(offset_of!(vsched_pick, user_data) == Pick::LAYOUT[8]);
    assert!(offset_of!(vsched_pick, opaque) == Pick::LAYOUT[9]);
};
