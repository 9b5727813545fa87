//! # Picking
//!
//! Decisions only: they count no connection. Open one on the pick with vsched_worker_open_pick, or
//! do both with vsched_worker_connect. After a failed attempt, pick again and exclude the servers
//! tried so far.
//!
//! NULL: no pointer may be NULL, except `tried` if `tried_count` is 0.

use std::mem::MaybeUninit;

use crate::ServerId;
use crate::ffi::data::{vsched_flow, vsched_pick, vsched_server_id, vsched_service_id};
use crate::ffi::status::{self, VSCHED_E_NULL, VSCHED_OK, vsched_status};
use crate::ffi::worker::vsched_worker;
use crate::ffi::{guard, guard_hot, text};

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
        match worker.0.pick_into(service.into(), flow.as_rust(), &[], to) {
            Ok(()) => VSCHED_OK,
            Err(refused) => status::refused(refused),
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
        worker.0.pick_into(service.into(), flow, tried, room).map_err(status::refused)
    })
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
