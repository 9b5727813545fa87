//! Workers: the hot path.

use std::mem::MaybeUninit;

use crate::ffi::data::{
    VSCHED_ACTIVE, VSCHED_INACTIVE, vsched_flow, vsched_lease, vsched_pick, vsched_server_id,
    vsched_service_id,
};
use crate::ffi::director::vsched_director;
use crate::ffi::status::{
    VSCHED_E_ARGUMENT, VSCHED_E_NULL, VSCHED_NO_SERVICE, VSCHED_OK, vsched_status,
};
use crate::ffi::{guard, guard_hot, status, text};
use crate::{Activity, ServerId, Worker};

/// One thread's access to a director: picks and connection counts.
///
/// One thread at a time; it may be handed to another. Making and freeing one takes the director's
/// lock; every other function is lock-free, allocates and frees nothing, makes no system call and
/// reads no clock, also while configs change. It may outlive the director's handle. A worker that
/// rests keeps one retired config alive at most.
pub struct vsched_worker(Worker);

/// Makes a worker for one thread.
///
/// NULL: none may be. From any thread.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn vsched_worker_new(
    director: Option<&vsched_director>,
    worker: Option<&mut MaybeUninit<*mut vsched_worker>>,
) -> vsched_status {
    guard(|| {
        let (director, to) = (director.ok_or(VSCHED_E_NULL)?, worker.ok_or(VSCHED_E_NULL)?);
        to.write(Box::into_raw(Box::new(vsched_worker(director.director.worker()))));
        Ok(())
    })
}

/// Frees a worker. NULL does nothing. Its leases stay open: close them through another worker. From
/// any thread, while no other uses the worker.
#[unsafe(no_mangle)]
pub extern "C" fn vsched_worker_free(worker: Option<Box<vsched_worker>>) {
    guard(|| {
        drop(worker);
        Ok(())
    });
}

/// Finds the service that takes this flow, as the kernel does: by the firewall mark, of the flow's
/// family; by exact protocol, address and port; for FTP data by port 21; by port 0, which stands for every port of a
/// persistent service.
///
/// FTP data are TCP to port 20 or to one from 1024. Without persistence the service of port 21 does
/// not take them, nor does any other service: the packet is not the director's.
///
/// NULL: none may be. Answers: VSCHED_NO_SERVICE. The worker's thread. Lock-free; O(1).
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn vsched_worker_service_for(
    worker: Option<&mut vsched_worker>,
    flow: Option<&vsched_flow>,
    service: Option<&mut MaybeUninit<vsched_service_id>>,
) -> vsched_status {
    guard(|| {
        let (worker, flow) = (worker.ok_or(VSCHED_E_NULL)?, flow.ok_or(VSCHED_E_NULL)?);
        let to = service.ok_or(VSCHED_E_NULL)?;
        let found = worker.0.service_for(flow.as_rust());
        to.write(found.ok_or(VSCHED_NO_SERVICE)?.into());
        Ok(())
    })
}

/// Chooses a server of the service for this flow: a decision only, nothing is counted. Rotations
/// advance by one turn. A TCP service of port 21 without persistence refuses flows to other ports of
/// its address, and its rotation does not advance: these are FTP data, which the kernel lets pass.
///
/// NULL: none may be. Answers: VSCHED_NO_SERVER, VSCHED_NO_SERVICE (the service was deleted: look its
/// id up again). The worker's thread. Lock-free; the cost is the scheduler's.
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

/// Chooses among the servers that were not tried: for the next attempt after one has failed. `tried`
/// are the `server` fields of the picks so far. rr and wrr turn a rotation of their own for retries,
/// so that these do not decide where the next request begins. With a count of 0 it is
/// vsched_worker_pick_server.
///
/// NULL: `tried` may be if `tried_count` is 0. Answers: VSCHED_NO_SERVER, VSCHED_NO_SERVICE,
/// VSCHED_E_LENGTH. The worker's thread. Lock-free; the cost is the scheduler's, times the number tried
/// at worst.
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
        // SAFETY: the caller promises so many ids.
        let tried = unsafe { servers(tried, tried_count) }?;
        let (flow, room) = (flow.as_rust(), vsched_pick::room(to));
        worker.0.pick_into(service.into(), flow, tried, room).map_err(status::refused)
    })
}

/// Picks a server that was not tried and opens a connection on it, in one. TCP (and a flow without
/// protocol) opens active, UDP and SCTP inactive, as the kernel counts. An upper threshold holds
/// exactly, also while other threads connect.
///
/// NULL: `tried` may be if `tried_count` is 0. Answers: VSCHED_NO_SERVER, VSCHED_NO_SERVICE,
/// VSCHED_E_LENGTH; the lease is not touched then. The worker's thread. Lock-free.
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
        // SAFETY: the caller promises so many ids.
        let tried = unsafe { servers(tried, tried_count) }?;
        let connection = worker.0.try_connect(service.into(), flow.as_rust(), tried);
        let connection = connection.map_err(status::refused)?;
        pick.write(vsched_pick::of(connection.pick()));
        lease.write(vsched_lease::of(connection.into_lease()));
        Ok(())
    })
}

/// Counts a connection to a server that you chose by yourself. `activity` is VSCHED_ACTIVE or
/// VSCHED_INACTIVE. Who asks for an overloaded or quiesced server by name gets it.
///
/// What the lease held before is not looked at. NULL: none may be. Answers: VSCHED_STALE,
/// VSCHED_FULL, VSCHED_E_ARGUMENT (another activity); the lease is not touched then. The worker's
/// thread. Lock-free; O(1).
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
        let lease = worker.0.open(server.into(), activity_of(activity)?).map_err(status::of)?;
        to.write(vsched_lease::of(lease));
        Ok(())
    })
}

/// Counts a connection to the server of a pick. As vsched_worker_open; besides, a persistent client
/// keeps its server while the connection is open.
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
        let lease = worker.0.open_pick(pick, activity_of(activity)?).map_err(status::of)?;
        to.write(vsched_lease::of(lease));
        Ok(())
    })
}

/// Counts the connection as active or inactive from now on. No change if it is so already.
///
/// NULL: none may be. Answers: VSCHED_STALE (an empty lease, or one that is not open here),
/// VSCHED_E_ARGUMENT (another activity). The thread of the worker, any worker of the director.
/// Lock-free; O(1).
#[unsafe(no_mangle)]
pub extern "C" fn vsched_worker_update(
    worker: Option<&mut vsched_worker>,
    lease: Option<&mut vsched_lease>,
    activity: u32,
) -> vsched_status {
    guard(|| {
        let (worker, lease) = (worker.ok_or(VSCHED_E_NULL)?, lease.ok_or(VSCHED_E_NULL)?);
        let activity = activity_of(activity)?;
        worker.0.update(lease.as_rust_mut(), activity).map_err(status::of)
    })
}

/// Ends the connection, whatever was reloaded since it was opened, and empties the lease, so that a
/// second close answers VSCHED_STALE and changes nothing.
///
/// NULL: none may be. Answers: VSCHED_STALE (the lease is empty, or not open here; it stays as it is).
/// The thread of the worker, any worker of the director. Lock-free; O(1).
#[unsafe(no_mangle)]
pub extern "C" fn vsched_worker_close(
    worker: Option<&mut vsched_worker>,
    lease: Option<&mut vsched_lease>,
) -> vsched_status {
    guard(|| {
        let (worker, lease) = (worker.ok_or(VSCHED_E_NULL)?, lease.ok_or(VSCHED_E_NULL)?);
        worker.0.close_in_place(lease.as_rust_mut()).map_err(status::of)
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

/// # Safety
/// `tried` is NULL or points to `count` ids.
unsafe fn servers<'a>(
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
