//! # Picking
//!
//! Decisions only: they count no connection. Open one on the pick with vsched_worker_open_pick, or
//! do both with vsched_worker_connect. After a failed attempt, pick again and exclude the servers
//! tried so far.
//!
//! NULL: no pointer may be NULL, except `tried` if `tried_count` is 0.

use std::mem::MaybeUninit;
use std::os::raw::c_char;

use crate::ffi::data::{vsched_flow, vsched_pick, vsched_server_id, vsched_service_id};
use crate::ffi::status::{self, VSCHED_E_NULL, VSCHED_OK, vsched_status};
use crate::{Refused, ServerId};

use crate::ffi::worker::vsched_worker;
use crate::ffi::{guard, guard_hot, text};

/// Refusal: the service was deleted after its id was looked up, or the id is of another director.
pub const VSCHED_REFUSED_NO_SERVICE: u32 = 1;
/// Refusal: the flow is FTP data, which the service does not schedule.
pub const VSCHED_REFUSED_NOT_SCHEDULED: u32 = 2;
/// Refusal: no scheduler is bound to the service.
pub const VSCHED_REFUSED_NO_SCHEDULER: u32 = 3;
/// Refusal: the service has no server.
pub const VSCHED_REFUSED_NO_SERVER: u32 = 4;
/// Refusal: every server has weight 0.
pub const VSCHED_REFUSED_ALL_QUIESCED: u32 = 5;
/// Refusal: every server with a weight is held draining or down.
pub const VSCHED_REFUSED_ALL_DOWN: u32 = 6;
/// Refusal: every server that is left has reached its upper threshold.
pub const VSCHED_REFUSED_ALL_OVERLOADED: u32 = 7;
/// Refusal: every server that is left was tried.
pub const VSCHED_REFUSED_ALL_TRIED: u32 = 8;
/// Refusal: servers are available, but the scheduler gives this flow none: sh, dh and mh
/// without fallback, ovf; or they became available and unavailable in turn during the pick.
pub const VSCHED_REFUSED_NOT_THIS_FLOW: u32 = 9;

const _: () = assert!(Refused::NoService as u32 == VSCHED_REFUSED_NO_SERVICE);
const _: () = assert!(Refused::NotScheduled as u32 == VSCHED_REFUSED_NOT_SCHEDULED);
const _: () = assert!(Refused::NoScheduler as u32 == VSCHED_REFUSED_NO_SCHEDULER);
const _: () = assert!(Refused::NoServer as u32 == VSCHED_REFUSED_NO_SERVER);
const _: () = assert!(Refused::AllQuiesced as u32 == VSCHED_REFUSED_ALL_QUIESCED);
const _: () = assert!(Refused::AllDown as u32 == VSCHED_REFUSED_ALL_DOWN);
const _: () = assert!(Refused::AllOverloaded as u32 == VSCHED_REFUSED_ALL_OVERLOADED);
const _: () = assert!(Refused::AllTried as u32 == VSCHED_REFUSED_ALL_TRIED);
const _: () = assert!(Refused::NotThisFlow as u32 == VSCHED_REFUSED_NOT_THIS_FLOW);

impl vsched_worker {
    /// Keeps why a pick found no server.
    #[cold]
    pub(super) fn refused(&self, refused: Refused) -> vsched_status {
        self.refusal.set(refused as u32);
        status::refused(refused)
    }
}

/// Picks a server of a service for a flow. Rotations advance by one step.
///
/// A TCP service of port 21 without persistence refuses flows to other ports of its address, and
/// its rotation does not advance: these flows are FTP data, which the kernel lets pass.
///
/// Threads: worker. Cost: the scheduler's.
///
/// @param worker The worker.
/// @param service Id of the service.
/// @param flow The flow.
/// @param[out] pick The decision.
/// @return VSCHED_OK; VSCHED_NO_SERVER; VSCHED_NO_SERVICE: the service was deleted.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn vsched_worker_pick_server(
    worker: Option<&mut vsched_worker>,
    service: vsched_service_id,
    flow: Option<&vsched_flow>,
    pick: Option<&mut MaybeUninit<vsched_pick>>,
) -> vsched_status {
    guard_hot(|| {
        let (Some(worker), Some(flow), Some(to)) = (worker, flow, pick) else {
            return VSCHED_E_NULL;
        };
        let to = vsched_pick::room(to);
        match worker.worker.pick_into(service.into(), flow.as_rust(), &[], to) {
            Ok(()) => VSCHED_OK,
            Err(refused) => worker.refused(refused),
        }
    })
}

/// Picks a server that has not been tried, after an attempt has failed. rr and wrr use a separate
/// rotation for such retries, so that retries do not influence where the next request goes. A count
/// of 0 is vsched_worker_pick_server.
///
/// Threads: worker. Cost: the scheduler's, times `tried_count` at worst.
///
/// @param worker The worker.
/// @param service Id of the service.
/// @param flow The flow.
/// @param tried Fields `server` of the picks so far.
/// @param tried_count Number of servers tried.
/// @param[out] pick The decision.
/// @return VSCHED_OK; VSCHED_NO_SERVER; VSCHED_NO_SERVICE: the service was deleted;
///   VSCHED_E_LENGTH.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_worker_pick_server_excluding(
    worker: Option<&mut vsched_worker>,
    service: vsched_service_id,
    flow: Option<&vsched_flow>,
    tried: *const vsched_server_id,
    tried_count: usize,
    pick: Option<&mut MaybeUninit<vsched_pick>>,
) -> vsched_status {
    guard(|| {
        let (worker, flow) = (worker.ok_or(VSCHED_E_NULL)?, flow.ok_or(VSCHED_E_NULL)?);
        let to = pick.ok_or(VSCHED_E_NULL)?;
        // SAFETY: the caller promises `tried_count` ids.
        let tried = unsafe { servers(tried, tried_count) }?;
        let (flow, room) = (flow.as_rust(), vsched_pick::room(to));
        let picked = worker.worker.pick_into(service.into(), flow, tried, room);
        picked.map_err(|refused| worker.refused(refused))
    })
}

/// Tells why the latest pick or connect of this worker that returned VSCHED_NO_SERVER or
/// VSCHED_NO_SERVICE found no server: the step that left none. Servers without weight drop out
/// first, then those that are held draining or down, then the overloaded ones, then those that were
/// tried.
///
/// Threads: worker. Cost: O(1).
///
/// @param worker The worker.
/// @return VSCHED_REFUSED_NO_SERVICE to VSCHED_REFUSED_NOT_THIS_FLOW; 0: none was refused yet, or
///   `worker` is NULL.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn vsched_worker_refusal(worker: Option<&vsched_worker>) -> u32 {
    worker.map_or(0, |worker| worker.refusal.get())
}

/// Describes a refusal in a few words.
///
/// Threads: any.
///
/// @param refusal Any number.
/// @return A static text, never NULL; do not free it.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn vsched_refusal_text(refusal: u32) -> *const c_char {
    let known = Refused::ALL.iter().copied().find(|known| *known as u32 == refusal);
    known.map_or(c"unknown refusal", Refused::text_c).as_ptr()
}

/// # Safety
/// `tried` is NULL or points to `count` ids.
pub(super) unsafe fn servers<'a>(
    tried: *const vsched_server_id,
    count: usize,
) -> Result<&'a [ServerId], vsched_status> {
    const _: () = assert!(
        size_of::<ServerId>() == size_of::<vsched_server_id>()
            && align_of::<ServerId>() == align_of::<vsched_server_id>()
    );
    // SAFETY: the caller's promise. Both types are `repr(C)` of two 32-bit numbers in this order.
    unsafe { text::items(tried.cast::<ServerId>(), count) }
}
