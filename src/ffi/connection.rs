//! # Connections
//!
//! A connection counts on its server from open to close. Open one, keep its lease, update it when
//! its activity changes, and close it through any worker of the same director. TCP counts as active
//! from the first SYN to a FIN or RST and as inactive afterwards, UDP as inactive; a host that
//! knows only the begin and the end uses VSCHED_ACTIVE.
//!
//! NULL: no pointer may be NULL, except `tried` if `tried_count` is 0.

use std::mem::MaybeUninit;

use crate::Activity;
use crate::ffi::data::{
    vsched_flow, vsched_lease, vsched_pick, vsched_server_id, vsched_service_id,
};
use crate::ffi::guard;
use crate::ffi::pick::servers;
use crate::ffi::status::{self, VSCHED_E_ARGUMENT, VSCHED_E_NULL, vsched_status};
use crate::ffi::worker::vsched_worker;

/// Maximum number of connections of a server, active and inactive together.
pub const VSCHED_MAX_CONNECTIONS: u32 = 33_554_431;

const _: () = assert!(VSCHED_MAX_CONNECTIONS == crate::MAX_CONNECTIONS);

/// Activity: inactive. UDP always; TCP and SCTP while closing.
pub const VSCHED_INACTIVE: u32 = 1;
/// Activity: active. TCP from the first SYN until a FIN or RST.
pub const VSCHED_ACTIVE: u32 = 2;

/// Picks a server that has not been tried and opens a connection on it, in one step. TCP, and a
/// flow without protocol, opens active; UDP and SCTP open inactive, as in the kernel. Upper
/// thresholds hold exactly, also while other threads connect.
///
/// Threads: worker. Cost: the scheduler's.
///
/// @param worker The worker.
/// @param service Id of the service.
/// @param flow The flow.
/// @param tried Fields `server` of the picks so far.
/// @param tried_count Number of servers tried.
/// @param[out] pick The decision.
/// @param[out] lease The open connection. Its previous value is ignored; after an error it is
///   unchanged.
/// @return VSCHED_OK; VSCHED_NO_SERVER; VSCHED_NO_SERVICE: the service was deleted;
///   VSCHED_E_LENGTH.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_worker_connect(
    worker: Option<&mut vsched_worker>,
    service: vsched_service_id,
    flow: Option<&vsched_flow>,
    tried: *const vsched_server_id,
    tried_count: usize,
    pick: Option<&mut MaybeUninit<vsched_pick>>,
    lease: Option<&mut MaybeUninit<vsched_lease>>,
) -> vsched_status {
    guard(|| {
        let (worker, flow) = (worker.ok_or(VSCHED_E_NULL)?, flow.ok_or(VSCHED_E_NULL)?);
        let (pick, lease) = (pick.ok_or(VSCHED_E_NULL)?, lease.ok_or(VSCHED_E_NULL)?);
        // SAFETY: the caller promises `tried_count` ids.
        let tried = unsafe { servers(tried, tried_count) }?;
        let connection = worker.worker.connect_excluding(service.into(), flow.as_rust(), tried);
        let connection = connection.map_err(|refused| worker.refused(refused))?;
        pick.write(vsched_pick::of(connection.pick()));
        lease.write(vsched_lease::of(connection.into_lease()));
        Ok(())
    })
}

/// Opens a connection on a server that the caller has chosen, even if the server is overloaded or
/// quiesced.
///
/// Threads: worker. Cost: O(1).
///
/// @param worker The worker.
/// @param server Id of the server.
/// @param activity VSCHED_ACTIVE or VSCHED_INACTIVE.
/// @param[out] lease The open connection. Its previous value is ignored; after an error it is
///   unchanged.
/// @return VSCHED_OK; VSCHED_STALE; VSCHED_FULL; VSCHED_E_ARGUMENT: another activity.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn vsched_worker_open(
    worker: Option<&mut vsched_worker>,
    server: vsched_server_id,
    activity: u32,
    lease: Option<&mut MaybeUninit<vsched_lease>>,
) -> vsched_status {
    guard(|| {
        let (worker, to) = (worker.ok_or(VSCHED_E_NULL)?, lease.ok_or(VSCHED_E_NULL)?);
        let lease =
            worker.worker.open(server.into(), activity_of(activity)?).map_err(status::of)?;
        to.write(vsched_lease::of(lease));
        Ok(())
    })
}

/// Opens a connection on the server of a pick. In a persistent service the client keeps its server
/// while the connection is open.
///
/// Threads: worker. Cost: O(1).
///
/// @param worker The worker.
/// @param pick The decision.
/// @param activity VSCHED_ACTIVE or VSCHED_INACTIVE.
/// @param[out] lease The open connection. Its previous value is ignored; after an error it is
///   unchanged.
/// @return VSCHED_OK; VSCHED_STALE; VSCHED_FULL; VSCHED_E_ARGUMENT: another activity.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn vsched_worker_open_pick(
    worker: Option<&mut vsched_worker>,
    pick: Option<&vsched_pick>,
    activity: u32,
    lease: Option<&mut MaybeUninit<vsched_lease>>,
) -> vsched_status {
    guard(|| {
        let (worker, to) = (worker.ok_or(VSCHED_E_NULL)?, lease.ok_or(VSCHED_E_NULL)?);
        let pick = pick.ok_or(VSCHED_E_NULL)?.as_rust();
        let lease = worker.worker.open_pick(pick, activity_of(activity)?).map_err(status::of)?;
        to.write(vsched_lease::of(lease));
        Ok(())
    })
}

/// Counts a connection as active or inactive from now on.
///
/// Threads: worker (any worker of the director). Cost: O(1).
///
/// @param worker The worker.
/// @param[in,out] lease The open connection.
/// @param activity VSCHED_ACTIVE or VSCHED_INACTIVE; the present one changes nothing.
/// @return VSCHED_OK; VSCHED_STALE: the lease is empty or not open here; VSCHED_E_ARGUMENT: another
///   activity.
#[unsafe(no_mangle)]
pub extern "C" fn vsched_worker_update(
    worker: Option<&mut vsched_worker>,
    lease: Option<&mut vsched_lease>,
    activity: u32,
) -> vsched_status {
    guard(|| {
        let (worker, lease) = (worker.ok_or(VSCHED_E_NULL)?, lease.ok_or(VSCHED_E_NULL)?);
        let activity = activity_of(activity)?;
        worker.worker.update(lease.as_rust_mut(), activity).map_err(status::of)
    })
}

/// Closes a connection, whatever was reloaded since it was opened. The lease is empty afterwards,
/// so a second close returns VSCHED_STALE and changes nothing.
///
/// Threads: worker (any worker of the director). Cost: O(1).
///
/// @param worker The worker.
/// @param[in,out] lease The open connection.
/// @return VSCHED_OK; VSCHED_STALE: the lease is empty or not open here, and is unchanged.
#[unsafe(no_mangle)]
pub extern "C" fn vsched_worker_close(
    worker: Option<&mut vsched_worker>,
    lease: Option<&mut vsched_lease>,
) -> vsched_status {
    guard(|| {
        let (worker, lease) = (worker.ok_or(VSCHED_E_NULL)?, lease.ok_or(VSCHED_E_NULL)?);
        worker.worker.close_in_place(lease.as_rust_mut()).map_err(status::of)
    })
}

#[inline]
fn activity_of(activity: u32) -> Result<Activity, vsched_status> {
    match activity {
        VSCHED_ACTIVE => Ok(Activity::Active),
        VSCHED_INACTIVE => Ok(Activity::Inactive),
        _ => Err(VSCHED_E_ARGUMENT),
    }
}
