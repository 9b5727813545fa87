//! Destination hashing: maps each destination to one server.
//!
//! Formula: 256 buckets are assigned to the servers in list order, one per server and round; the bucket
//! is (destination address * 0x61c88647) >> 24, an IPv6 address being the exclusive or of its four
//! words.
//! Source: Linux IPVS `dh`, as observed (ipvsadm(8), `-s dh`).
//! Weight 0 and overloaded: destinations that hash to such a server are refused. Draining and down: they
//! go to another. Other weights are ignored. Empty: no server.
//! State: none; the table is filled when the pool is built.
//! Cost: O(1).
//! Differences from the kernel: a retry (which the kernel does not have) probes other buckets.
//! Choose it for caches behind a firewall-mark service; an address service has only one destination.

use crate::config::PickReason;
use crate::pool::servers::Position;
use crate::rotation::version::Superseded;
use crate::sched::hash::buckets::{Buckets, bucket_of};
use crate::sched::hash::explained;
use crate::sched::{Build, Explained, PickRequest, Scheduler};

pub(crate) struct Dh {
    buckets: Buckets,
}

impl Scheduler for Dh {
    const REASON: PickReason = PickReason::Hash;
    const REFUSES_FLOWS: bool = true;
    const PER_WORKER: bool = false;

    fn build(build: &Build<'_>, _: Option<&Self>) -> Self {
        Dh { buckets: Buckets::deal(build.servers.len(), |_| 1) }
    }

    #[inline(always)]
    fn pick(&self, request: PickRequest<'_>) -> Result<Option<Position>, Superseded> {
        let hash = bucket_of(request.flow.destination_fold());
        Ok(self.buckets.pick(request, hash, false))
    }

    fn explain(&self, request: PickRequest<'_>) -> Result<Explained, Superseded> {
        let own = self.buckets.own(bucket_of(request.flow.destination_fold()));
        Ok(explained(self.pick(request)?, own))
    }
}
