//! Plain data that crosses the border by value or in the caller's memory, with the layout of the
//! Rust types behind it.

use std::mem::{MaybeUninit, offset_of};

use crate::{Flow, Lease, Pick, ServerId, ServiceId};

/// Names a virtual service. A plain value: copy it as you like. It survives reloads and edits, and is
/// stale once the service is deleted: every function then answers VSCHED_NO_SERVICE, also if a service
/// with the same key is added again, which has another id. Look an id up once per service and keep it;
/// look it up again after VSCHED_NO_SERVICE. All zeros name none. Another director does not know it.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct vsched_service_id {
    /// Private.
    pub slot: u32,
    /// Private.
    pub generation: u32,
}

/// Names a real server of a service. A plain value: copy and compare it as you like. It survives
/// reloads; it is stale once the server was removed and its last connection has closed. All zeros
/// name none. Another director does not know it.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct vsched_server_id {
    /// Private.
    pub slot: u32,
    /// Private.
    pub generation: u32,
}

/// One connection attempt, as its first packet shows it: what a scheduler may look at.
///
/// A plain value; start from all zeros, which is a flow that shows nothing and will do for every
/// scheduler that does not hash (rr wrr lc wlc sed nq fo ovf twos), unless the service is persistent.
/// vsched_flow_from_sockaddr fills in the addresses. Ports and mark are numbers in host order. Fill in
/// by hand what is IPv4 as IPv4: only vsched_flow_from_sockaddr recognizes IPv4-mapped IPv6 addresses.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct vsched_flow {
    /// The client's address in network order; IPv4 in the first four bytes, the others 0.
    pub client: [u8; 16],
    /// The destination (virtual) address, likewise.
    pub destination: [u8; 16],
    /// Of your choice: schedulers that hash the client hash this instead, if `has_key` is not 0.
    pub key: u64,
    /// Firewall mark; 0 = none.
    pub fwmark: u32,
    /// The client's port.
    pub client_port: u16,
    /// The destination port.
    pub destination_port: u16,
    /// 4 or 6; 0 = the addresses are not given.
    pub family: u8,
    /// IP protocol number: 6 TCP, 17 UDP, 132 SCTP; 0 = not given.
    pub protocol: u8,
    /// 0 = `key` is not given.
    pub has_key: u8,
    /// 0.
    pub reserved: [u8; 5],
}

/// A decision: which server, and how to reach it. A plain value, good as long as you like: should
/// the server be gone when you open, the answer is VSCHED_STALE.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct vsched_pick {
    /// The server, to open a connection on or to exclude from the next try.
    pub server: vsched_server_id,
    /// The server's address in network order; IPv4 in the first four bytes.
    pub address: [u8; 16],
    /// Its port in host order; the flow's destination port where the server has none of its own.
    pub port: u16,
    /// 4 or 6.
    pub family: u8,
    /// How packets reach it: VSCHED_MASQ, …; a proxy treats all alike.
    pub forwarding: u8,
    /// VSCHED_TUNNEL_IPIP, …, where `forwarding` is VSCHED_TUNNEL.
    pub tunnel: u8,
    /// VSCHED_CHECKSUM_NONE, …, of the tunnel.
    pub tunnel_checksum: u8,
    /// UDP port of a GUE tunnel.
    pub tunnel_port: u16,
    /// Private: the persistence template that led here.
    pub opaque: [u64; 2],
}

/// An open connection, in your memory: keep it where you keep the connection, and give it back to
/// vsched_worker_close, on any thread, through any worker of the same director, whatever was
/// reloaded meanwhile. All zeros are an empty lease, which is open nowhere; closing makes it so.
///
/// Move it rather than copy it: a copy of a lease that was closed cannot be told from one that is
/// open. Even then no count ever goes below zero.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct vsched_lease {
    /// The server.
    pub server: vsched_server_id,
    /// Private.
    pub opaque: [u64; 3],
}

/// Forwarding method: masquerading (LVS-NAT); both directions pass the director.
pub const VSCHED_MASQ: u32 = 0;
/// Forwarding method: the server is the director itself.
pub const VSCHED_LOCAL: u32 = 1;
/// Forwarding method: tunnelling (LVS-TUN).
pub const VSCHED_TUNNEL: u32 = 2;
/// Forwarding method: direct routing (LVS-DR).
pub const VSCHED_ROUTE: u32 = 3;
/// Forwarding method: sent on to its original destination.
pub const VSCHED_BYPASS: u32 = 4;

/// Tunnel type: IP in IP.
pub const VSCHED_TUNNEL_IPIP: u32 = 0;
/// Tunnel type: generic UDP encapsulation.
pub const VSCHED_TUNNEL_GUE: u32 = 1;
/// Tunnel type: GRE.
pub const VSCHED_TUNNEL_GRE: u32 = 2;

/// Outer header of a tunnel: no checksum.
pub const VSCHED_CHECKSUM_NONE: u32 = 0;
/// Outer header of a tunnel: checksum.
pub const VSCHED_CHECKSUM_FULL: u32 = 1;
/// Outer header of a tunnel: remote checksum offload, GUE only.
pub const VSCHED_CHECKSUM_REMOTE: u32 = 2;

/// The connection counts as inactive: UDP always, TCP and SCTP while closing.
pub const VSCHED_INACTIVE: u32 = 1;
/// The connection counts as active: TCP from the first SYN until a FIN or RST; what a host uses that
/// knows begin and end only.
pub const VSCHED_ACTIVE: u32 = 2;

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

/// One layout under two names: `$c` in the header, `$rust` in the crate.
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

    /// The caller's memory for a pick.
    #[inline]
    pub(super) fn room(memory: &mut MaybeUninit<Self>) -> &mut MaybeUninit<Pick> {
        // SAFETY: both are `repr(C)` of the same fields, and neither need hold anything yet.
        unsafe { &mut *std::ptr::from_mut(memory).cast() }
    }
}

same_layout!(vsched_flow = Flow, 56);
same_layout!(vsched_pick = Pick, 48);
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
    assert!(offset_of!(vsched_pick, opaque) == Pick::LAYOUT[8]);
};
