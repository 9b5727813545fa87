//! Round robin: the next available server after the one picked last.
//!
//! Formula: scan circularly from the server after the last one picked, up to and including that one.
//! Source: Linux IPVS `rr`, as observed (ipvsadm(8), `-s rr`).
//! Weight 0 and overloaded: skipped. Empty, or none available: no server, and the rotation stays.
//! State: the position picked last, one word; one addition per turn taken or skipped. With several
//! threads every pick is one turn of a single rotation. If that server is deleted, the position moves
//! to its predecessor; a new server is at the head and is reached when the scan wraps. Retries advance
//! a separate rotation.
//! Cost: O(1), plus one step per unavailable server skipped.
//! Differences from the kernel: none.
//! Choose it for equal servers and connections of about equal cost.

use crate::config::PickReason;
use crate::pool::servers::{Position, Servers};
use crate::rotation::version::Superseded;
use crate::sched::list_rotation::ListRotation;
use crate::sched::{Build, PickRequest, Scheduler};
use crate::sync::Arc;

pub(crate) struct Rr(ListRotation);

impl Scheduler for Rr {
    const REASON: PickReason = PickReason::Turn;

    fn build(build: &Build<'_>, former: Option<&Self>) -> Self {
        Rr(ListRotation::new(build, former.is_some()))
    }

    fn schedule(&self, servers: &Servers) -> Option<Arc<[Position]>> {
        Some((0..servers.len()).collect())
    }

    fn pick(&self, request: PickRequest<'_>) -> Result<Option<Position>, Superseded> {
        let servers = request.servers;
        request.advance(
            |state, _| self.0.translate(state),
            |last| {
                let count = servers.len();
                let mut position = self.0.first(last, || request.phase());
                for _ in 0..count {
                    if servers.available(position, request.tried).is_some() {
                        return (Some(position), u64::from(position));
                    }
                    position += 1;
                    if position >= count {
                        position = 0;
                    }
                }
                (None, last)
            },
        )
    }

    fn start(&self, _: u32) -> u64 {
        ListRotation::HEAD
    }

    fn translate(&self, state: u64, _: u32) -> u64 {
        self.0.translate(state)
    }
}
