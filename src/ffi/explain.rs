//! # Explanations and phases
//!
//! Which server the next pick would choose and why, or why none; and where rotations start, so that
//! processes that start at the same time do not walk in step.
//!
//! NULL: no pointer may be NULL, except `buffer` if `capacity` is 0, and `length`.

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::os::raw::c_char;

use crate::ffi::data::{vsched_flow, vsched_service_id};
use crate::ffi::director::vsched_director;
use crate::ffi::status::{VSCHED_E_NULL, VSCHED_NO_SERVICE, vsched_status};
use crate::ffi::worker::vsched_worker;
use crate::ffi::{guard, text};

/// Says as JSON text which server the next pick of this flow would choose and why, or why none,
/// with what decides for each server: weights, connections, state and who holds it, load. Changes
/// nothing: no rotation advances, nothing is counted, no template is made. In a service that is
/// shared per-worker or in chunks it is what a caller without a worker would get.
///
/// Threads: control. Cost: O(servers + persistence templates).
///
/// @param director The director.
/// @param service Id of the service.
/// @param flow The flow.
/// @param[out] buffer Receives the text and a NUL.
/// @param capacity Bytes of the buffer.
/// @param[out] length Length of the text in bytes.
/// @return VSCHED_OK; VSCHED_NO_SERVICE; VSCHED_E_BUFFER.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_director_explain(
    director: Option<&vsched_director>,
    service: vsched_service_id,
    flow: Option<&vsched_flow>,
    buffer: *mut c_char,
    capacity: usize,
    length: Option<&mut MaybeUninit<usize>>,
) -> vsched_status {
    guard(|| {
        let (director, flow) = (director.ok_or(VSCHED_E_NULL)?, flow.ok_or(VSCHED_E_NULL)?);
        let explained = director.director.explain(service.into(), flow.as_rust());
        // Never an error: all keys are texts.
        let json = serde_json::to_string(&explained.ok_or(VSCHED_NO_SERVICE)?).unwrap_or_default();
        // SAFETY: the caller promises `capacity` bytes at `buffer`.
        unsafe { text::write(&json, buffer, capacity, length) }
    })
}

/// Moves the rotations that all workers of a director share to the start of a phase. For several
/// processes that run one config: give each director another phase, 0, 1, 2 and so on, before it
/// picks. The rotations of rr, wrr and services with rotating ties then start as far apart as they
/// can, and twos and p2c draw other random numbers, in all services, now and later added, through
/// all reloads. Phase 0, the initial one, is as in a kernel. A worker that is made later has the
/// phase of the director plus its number, from 0: processes with four workers each take 0, 4, 8
/// and so on.
///
/// Threads: control. Cost: O(services).
///
/// @param director The director.
/// @param phase The phase.
/// @return VSCHED_OK.
#[unsafe(no_mangle)]
pub extern "C" fn vsched_director_set_phase(
    director: Option<&vsched_director>,
    phase: u32,
) -> vsched_status {
    guard(|| {
        director.ok_or(VSCHED_E_NULL)?.director.set_phase(phase);
        Ok(())
    })
}

/// Makes a worker as vsched_worker_new does, with a phase of its own: in services that are shared
/// per-worker, its rotations start apart from those of other phases, and it draws other random
/// numbers. In other services all workers share one rotation; see vsched_director_set_phase.
///
/// Threads: control.
///
/// @param director The director.
/// @param phase The phase.
/// @param[out] worker The new worker; free it with vsched_worker_free.
/// @return VSCHED_OK.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn vsched_worker_new_with_phase(
    director: Option<&vsched_director>,
    phase: u32,
    worker: Option<&mut MaybeUninit<*mut vsched_worker>>,
) -> vsched_status {
    guard(|| {
        let (director, to) = (director.ok_or(VSCHED_E_NULL)?, worker.ok_or(VSCHED_E_NULL)?);
        to.write(Box::into_raw(Box::new(vsched_worker {
            worker: director.director.worker_with(phase),
            refusal: Cell::new(0),
        })));
        Ok(())
    })
}
