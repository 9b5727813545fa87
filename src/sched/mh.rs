//! Maglev hashing: maps each client to one server; when servers are added or removed, few other clients
//! move.
//!
//! Formula: a lookup table of 4093 slots (`mh_table_index` selects another prime), filled in turns. A
//! server's j-th preference, with v = port + address, is slot
//! (H(v, k1) + j (H(v, k2) mod (size - 1) + 1)) mod size; in each turn it takes its first free
//! preferences, as many as weight / gcd, divided by the power of two that brings the highest below
//! 2^(index / 2), at least 1. A client's slot is H(client port + client address, k1) mod size, the port
//! only with `mh-port`. H is SipHash-1-3; an IPv6 address is the exclusive or of its four words.
//! Source: Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI
//! 2016, section 3.4; Linux IPVS `mh` on 64-bit machines, as observed (ipvsadm(8), `-s mh`).
//! Weight 0 and overloaded: the clients of such a server are refused; with `mh-fallback` they go to
//! others. Draining and down: they go to others in any case. The table uses a server's last weight that was not 0: a server that is edited to 0 keeps its
//! slots, so no clients of other servers move; a server that was added with 0 has no slots. Empty, or
//! no server ever had a weight: no server.
//! State: none; the table is filled when the pool is built, and shared with the previous pool if
//! weights and servers are the same. 2 bytes per slot (4 if there are more than 65,536 servers) and 8
//! per server: 8 KiB of slots by default, 128 KiB at index 16.
//! Cost: O(1), one hash and one slot. A fallback hashes until it finds an available server; as in the
//! kernel it tries as many slots as the table has, and may miss a server that holds very few of them; a
//! retry then ends at any available server.
//! Differences from the kernel: more servers than slots are an error, where the kernel keeps the
//! previous table; a retry (which the kernel does not have) always falls back; a flow with a key set by
//! the caller is hashed by that key. 32-bit kernels hash differently.
//! Choose it when several directors must agree without communicating, or when clients should keep their
//! servers through changes. With many servers choose a table of at least a hundred slots per server:
//! the more slots, the more even the shares.

use std::net::IpAddr;

use crate::arena::id::ServerId;
use crate::config::{Family, PickReason, SchedulerFlags, mh_table_size};
use crate::flow;
use crate::pool::servers::{Member, Position, Servers};
use crate::rotation::version::Superseded;
use crate::sched::hash::buckets::client_value;
use crate::sched::hash::explained;
use crate::sched::hash::lookup_table::{LookupTable, Share, hash};
use crate::sched::{Build, Explained, PickRequest, Scheduler};

pub(crate) struct Mh {
    table: LookupTable,
    falls_back: bool,
    with_port: bool,
}

impl Scheduler for Mh {
    const REASON: PickReason = PickReason::Hash;
    const REFUSES_FLOWS: bool = true;
    const PER_WORKER: bool = false;

    fn build(build: &Build<'_>, former: Option<&Self>) -> Self {
        let settings = build.settings;
        let family = settings.key.family();
        let share = |member: &Member| Share {
            value: fold(member.server.address.ip(), family)
                .wrapping_add(u32::from(member.server.address.port())),
            weight: member.last_weight,
        };
        let index = settings.mh_table_index;
        // A director accepts only valid configs, so this index has a table size.
        let size = mh_table_size(index).unwrap_or(2);
        let shares = build.members.iter().map(share).collect();
        Mh {
            table: LookupTable::deal(
                size,
                u32::from(index / 2),
                shares,
                former.map(|mh| &mh.table),
            ),
            falls_back: settings.flags.contains(SchedulerFlags::FLAG_1),
            with_port: settings.flags.contains(SchedulerFlags::FLAG_2),
        }
    }

    #[inline(always)]
    fn pick(&self, request: PickRequest<'_>) -> Result<Option<Position>, Superseded> {
        let value = client_value(request.flow, self.with_port);
        let slot = self.table.slot(hash(value));
        let PickRequest { servers, tried, .. } = request;
        if let Some(found) = self.available(servers, tried, slot) {
            return Ok(Some(found));
        }
        Ok(self.elsewhere(servers, tried, value, slot))
    }

    fn explain(&self, request: PickRequest<'_>) -> Result<Explained, Superseded> {
        let slot = self.table.slot(hash(client_value(request.flow, self.with_port)));
        Ok(explained(self.pick(request)?, self.table.at(slot)))
    }
}

impl Mh {
    #[inline]
    fn available(&self, servers: &Servers, tried: &[ServerId], slot: u32) -> Option<Position> {
        let position = self.table.at(slot)?;
        servers.available(position, tried).map(|_| position)
    }

    /// For a client whose own server is unavailable: the kernel's probing, which hashes each number from
    /// the slot on, once around the table, with the client. Without fallback only a client that leaves a
    /// server that was tried, or is held draining or down, goes elsewhere.
    #[cold]
    #[inline(never)]
    fn elsewhere(
        &self,
        servers: &Servers,
        tried: &[ServerId],
        value: u32,
        slot: u32,
    ) -> Option<Position> {
        let is_held = |position| servers.is_held(position);
        let leaves = !tried.is_empty() || self.table.at(slot).is_some_and(is_held);
        if !(self.falls_back || leaves) {
            return None;
        }
        // A refusal must not cost thousands of hashes where one pass over the servers is enough.
        let anybody = servers.iter_available(tried).next()?;
        let around = (slot..self.table.size()).chain(0..slot);
        around
            .map(|number| self.table.slot(hash(number.wrapping_add(value))))
            .find_map(|slot| self.available(servers, tried, slot))
            // A client that leaves ends at any available server, even one that no probe hits.
            .or_else(|| leaves.then_some(anybody.position))
    }
}

/// An address as one word, as the kernel reads it in a service of this family: for an IPv6 server of an
/// IPv4 service (through a tunnel) it reads only the first word.
fn fold(address: IpAddr, family: Family) -> u32 {
    match (address, family) {
        (IpAddr::V6(address), Family::Inet) => (address.to_bits() >> 96) as u32,
        _ => flow::fold(address),
    }
}
