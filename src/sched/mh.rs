//! Maglev hashing: one client, one server; when servers come and go, few other clients move.
//!
//! Formula: a table of 4093 slots (`mh_table_index` chooses another prime), dealt by turns. A
//! server's j-th choice, with v = port + address, is slot
//! (H(v, k1) + j (H(v, k2) mod (size - 1) + 1)) mod size; at a turn it takes its first free choices,
//! as many as weight / gcd, divided by the power of two that brings the highest below 2^(index / 2),
//! at least 1. A client has slot H(client port + client address, k1) mod size, the port with
//! `mh-port` only. H is SipHash-1-3; an IPv6 address counts as the exclusive or of its four words.
//! Source: Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI
//! 2016, section 3.4; Linux IPVS `mh` on 64-bit machines, as observed (ipvsadm(8), `-s mh`).
//! Weight 0 and overloaded: the clients of such a server are refused; with `mh-fallback` they go to
//! others. What counts for the table is a server's last weight that was not 0: a server that is
//! edited to 0 keeps its slots, so nobody else's clients move; one that was added with 0 has none.
//! Empty, or no server ever had a weight: no server.
//! State: none; the table is dealt when the pool is built, and shared with the previous pool if
//! weights and servers are the same. 2 bytes a slot (4 if there are more than 65,536 servers) and 8
//! a server: 8 KiB of slots by default, 128 KiB at index 16.
//! Cost: O(1), one hash and one slot. A fallback hashes until it meets an available server; as in
//! the kernel it tries as many slots as there are, and may miss one that holds very few of them; a
//! retry then ends at any available server.
//! Differences from the kernel: more servers than slots are an error, where the kernel keeps the
//! table it had; a retry (which the kernel has not) falls back in any case; a flow with a key of
//! the caller's is hashed by that key. 32-bit kernels hash otherwise.
//! Choose it when several directors must agree without talking, or when clients should keep their
//! servers through changes. With many servers choose a table of a hundred slots a server or more:
//! shares are only as even as the slots are many.

use std::net::IpAddr;

use crate::arena::id::ServerId;
use crate::config::{Family, SchedulerFlags, mh_table_size};
use crate::flow;
use crate::pool::servers::{Member, Position, Servers};
use crate::rotation::version::Superseded;
use crate::sched::hash::buckets::client_value;
use crate::sched::hash::lookup_table::{LookupTable, Share, hash};
use crate::sched::{Build, PickRequest, Scheduler};

pub(crate) struct Mh {
    table: LookupTable,
    falls_back: bool,
    with_port: bool,
}

impl Scheduler for Mh {
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
        // A director takes valid configs only: there is such a table.
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
        let falls_back = self.falls_back || !tried.is_empty();
        Ok(if falls_back { self.fall_back(servers, tried, value, slot) } else { None })
    }
}

impl Mh {
    #[inline]
    fn available(&self, servers: &Servers, tried: &[ServerId], slot: u32) -> Option<Position> {
        let position = self.table.at(slot)?;
        servers.available(position, tried).map(|_| position)
    }

    /// The kernel's probing: each number from the slot on, once around, is hashed with the client.
    #[cold]
    fn fall_back(
        &self,
        servers: &Servers,
        tried: &[ServerId],
        value: u32,
        slot: u32,
    ) -> Option<Position> {
        // To be refused must not cost thousands of hashes where it can cost a look at the servers.
        let anybody = servers.iter_available(tried).next()?;
        let around = (slot..self.table.size()).chain(0..slot);
        around
            .map(|number| self.table.slot(hash(number.wrapping_add(value))))
            .find_map(|slot| self.available(servers, tried, slot))
            // A retry ends at any available server, also one that no probe hits.
            .or_else(|| (!tried.is_empty()).then_some(anybody.position))
    }
}

/// An address as one word, as the kernel reads it in a service of this family: of an IPv6 server of
/// an IPv4 service (behind a tunnel) it reads the first word only.
fn fold(address: IpAddr, family: Family) -> u32 {
    match (address, family) {
        (IpAddr::V6(address), Family::Inet) => (address.to_bits() >> 96) as u32,
        _ => flow::fold(address),
    }
}
