//! # Workers
//!
//! A worker is the access of one thread to a director: picks and connection counts. Make one per
//! thread with vsched_worker_new and free it with vsched_worker_free. It sees a new config at its
//! next call; a worker that makes no calls keeps at most one old config alive.
//!
//! The functions of class "worker", here and in the next two groups, are lock-free, also while
//! configs change. They make no system call, allocate and free nothing, and read no clock.
//!
//! NULL: no pointer may be NULL, except the argument of vsched_worker_free.

use std::cell::Cell;
use std::mem::MaybeUninit;

use crate::Worker;
use crate::ffi::data::{vsched_flow, vsched_service_id};
use crate::ffi::director::vsched_director;
use crate::ffi::guard;
use crate::ffi::status::{VSCHED_E_NULL, VSCHED_NO_SERVICE, vsched_status};

/// Access of one thread to a director. One thread at a time uses it; it may be handed to another
/// thread. It may outlive the handle of the director. Free it with vsched_worker_free.
pub struct vsched_worker {
    pub(super) worker: Worker,
    /// Why its latest pick found no server: a number of `Refused`, or 0.
    pub(super) refusal: Cell<u32>,
}

/// Makes a worker.
///
/// Threads: control.
///
/// @param director The director.
/// @param[out] worker The new worker; free it with vsched_worker_free.
/// @return VSCHED_OK.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn vsched_worker_new(
    director: Option<&vsched_director>,
    worker: Option<&mut MaybeUninit<*mut vsched_worker>>,
) -> vsched_status {
    guard(|| {
        let (director, to) = (director.ok_or(VSCHED_E_NULL)?, worker.ok_or(VSCHED_E_NULL)?);
        to.write(Box::into_raw(Box::new(vsched_worker {
            worker: director.director.worker(),
            refusal: Cell::new(0),
        })));
        Ok(())
    })
}

/// Frees a worker. Its leases stay open: close them through another worker.
///
/// Threads: exclusive; takes a lock of the director.
///
/// @param worker The worker; NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn vsched_worker_free(worker: Option<Box<vsched_worker>>) {
    guard(|| {
        drop(worker);
        Ok(())
    });
}

/// Finds the service for a flow, in the kernel's order:
///
/// - the firewall mark, of the family of the flow;
/// - protocol, address and port;
/// - port 21, for FTP data: TCP to port 20 or to a port from 1024. Without persistence, neither the
///   service of port 21 nor any other takes them: the packet is not the director's;
/// - port 0, which stands for every port of a persistent service.
///
/// Threads: worker. Cost: O(1).
///
/// @param worker The worker.
/// @param flow The flow.
/// @param[out] service Id of the service.
/// @return VSCHED_OK; VSCHED_NO_SERVICE.
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
        let found = worker.worker.service_for(flow.as_rust());
        to.write(found.ok_or(VSCHED_NO_SERVICE)?.into());
        Ok(())
    })
}
