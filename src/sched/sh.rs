//! Source hashing: maps each client to one server.
//!
//! Formula: 256 buckets are assigned to the servers in list order, max(weight, 1) in a row per round;
//! the bucket is ((client port + client address) * 0x61c88647) >> 24, the port only with `sh-port`, an
//! IPv6 address being the exclusive or of its four words.
//! Source: Linux IPVS `sh`, as observed (ipvsadm(8), `-s sh`).
//! Weight 0 and overloaded: the clients of such a server are refused; with `sh-fallback` they go to
//! another. Draining and down: they go to another in any case. A quiesced server keeps one bucket per round. Empty: no server.
//! State: none; the table is filled when the pool is built.
//! Cost: O(1); a fallback probes at most 256 buckets.
//! Differences from the kernel: a retry (which the kernel does not have) always falls back; a flow with
//! a key set by the caller is hashed by that key.
//! Choose it to keep clients on their servers where cookies and persistence are not available.

use crate::config::{PickReason, SchedulerFlags};
use crate::pool::servers::Position;
use crate::rotation::version::Superseded;
use crate::sched::hash::buckets::{Buckets, bucket_of, client_value};
use crate::sched::hash::explained;
use crate::sched::{Build, Explained, PickRequest, Scheduler};

pub(crate) struct Sh {
    buckets: Buckets,
    falls_back: bool,
    with_port: bool,
}

impl Scheduler for Sh {
    const REASON: PickReason = PickReason::Hash;
    const REFUSES_FLOWS: bool = true;
    const PER_WORKER: bool = false;

    fn build(build: &Build<'_>, _: Option<&Self>) -> Self {
        let share = |position| build.servers.weight(position);
        Sh {
            buckets: Buckets::deal(build.servers.len(), share),
            falls_back: build.settings.flags.contains(SchedulerFlags::FLAG_1),
            with_port: build.settings.flags.contains(SchedulerFlags::FLAG_2),
        }
    }

    #[inline(always)]
    fn pick(&self, request: PickRequest<'_>) -> Result<Option<Position>, Superseded> {
        let hash = bucket_of(client_value(request.flow, self.with_port));
        Ok(self.buckets.pick(request, hash, self.falls_back))
    }

    fn explain(&self, request: PickRequest<'_>) -> Result<Explained, Superseded> {
        let own = self.buckets.own(bucket_of(client_value(request.flow, self.with_port)));
        Ok(explained(self.pick(request)?, own))
    }
}
