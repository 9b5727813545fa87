//! # Outcomes
//!
//! How connections and requests ended, as the host saw it, counted per server. Hosts with leases
//! close by vsched_worker_close_with, others call vsched_worker_report; vsched_worker_close reports
//! nothing. What was counted survives every reload as long as the server's id is not stale, also
//! while the server is removed and still has connections. Outcomes change picks only of services
//! that eject servers: then the call that reports the last failure of a series ejects the server.
//!
//! NULL: no pointer may be NULL.

use std::time::Duration;

use crate::Outcome;
use crate::ffi::data::{vsched_lease, vsched_server_id};
use crate::ffi::director::vsched_director;
use crate::ffi::guard;
use crate::ffi::sized::{Grows, Place};
use crate::ffi::status::{self, VSCHED_E_ARGUMENT, VSCHED_E_NULL, VSCHED_STALE, vsched_status};
use crate::ffi::worker::vsched_worker;

/// Outcome: the server did what it should. Ends a series of consecutive failures.
pub const VSCHED_OUTCOME_DONE: u32 = 1;
/// Outcome: the server failed. It refused the connection, reset it, timed out, or answered with an
/// error.
pub const VSCHED_OUTCOME_FAILED: u32 = 2;
/// Outcome: ended for a reason that says nothing about the server, such as a client that left.
/// Neither success nor failure; a series of consecutive failures continues.
pub const VSCHED_OUTCOME_ABANDONED: u32 = 3;

/// What was reported of a server. Each number is exact; reports that arrive during the call may be
/// included in some and not in others.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct vsched_health {
    /// sizeof(vsched_health).
    pub struct_size: u32,
    /// VSCHED_UP, VSCHED_DRAINING or VSCHED_DOWN, as vsched_director_state says it.
    pub state: u32,
    /// Failures since the last connection that was done; at most 65535.
    pub consecutive_failures: u32,
    /// Average latency of connections that were done, in microseconds. 0: none was measured, or all
    /// were long ago.
    ///
    /// The mean of the first 16; from then on each one moves it by a sixteenth of the difference.
    /// In each second of vsched_director_tick without a new one it decays, by half in 10 seconds,
    /// and the next one weighs more.
    pub latency_us: u32,
    /// 1 while the server is ejected.
    pub ejected: u32,
    /// 0.
    pub reserved: u32,
    /// Connections that were done, since the server was added.
    pub done: u64,
    /// Connections that failed, since the server was added.
    pub failed: u64,
    /// Connections that were abandoned, since the server was added.
    pub abandoned: u64,
    /// Connections that were done in the current interval and the one before. An interval ends at
    /// the first tick 10 seconds after it began or later, so these are the last 10 to 20 seconds.
    pub recent_done: u64,
    /// Connections that failed in these two intervals.
    pub recent_failed: u64,
}

// SAFETY: it begins with its size, ends without padding, and holds numbers.
unsafe impl Grows for vsched_health {
    const LEAST: usize = size_of::<vsched_health>();
}
const _: () = assert!(size_of::<vsched_health>() == 6 * 4 + 5 * 8);

const _: () = assert!(Outcome::Done as u32 == VSCHED_OUTCOME_DONE);
const _: () = assert!(Outcome::Failed as u32 == VSCHED_OUTCOME_FAILED);
const _: () = assert!(Outcome::Abandoned as u32 == VSCHED_OUTCOME_ABANDONED);

/// Closes a connection, as vsched_worker_close does, and counts how it went for its server.
///
/// Threads: worker (any worker of the director). Cost: O(1).
///
/// @param worker The worker.
/// @param[in,out] lease The open connection.
/// @param outcome VSCHED_OUTCOME_DONE, VSCHED_OUTCOME_FAILED or VSCHED_OUTCOME_ABANDONED.
/// @param latency_us Microseconds that the host measured, always in the same way, such as from the
///   request to the first byte of the answer; 0: not measured. Only those of VSCHED_OUTCOME_DONE
///   enter the average. More than 71 minutes count as 71 minutes.
/// @return VSCHED_OK; VSCHED_STALE: the lease is empty or not open here, and is unchanged;
///   VSCHED_E_ARGUMENT: another outcome, and the connection stays open.
#[unsafe(no_mangle)]
pub extern "C" fn vsched_worker_close_with(
    worker: Option<&mut vsched_worker>,
    lease: Option<&mut vsched_lease>,
    outcome: u32,
    latency_us: u64,
) -> vsched_status {
    guard(|| {
        let (worker, lease) = (worker.ok_or(VSCHED_E_NULL)?, lease.ok_or(VSCHED_E_NULL)?);
        let (outcome, lease) = (outcome_of(outcome)?, lease.as_rust_mut());
        let closed = worker.worker.close_in_place_with(lease, outcome, latency_of(latency_us));
        closed.map_err(status::of)
    })
}

/// Counts how a connection or a request went, for hosts that have no lease, or that report each
/// request of a connection. A removed server counts as long as its id is not stale; draining, down,
/// quiesced and overloaded servers count like any other.
///
/// Threads: worker. Cost: O(1).
///
/// @param worker The worker.
/// @param server Id of the server.
/// @param outcome As for vsched_worker_close_with.
/// @param latency_us As for vsched_worker_close_with; 0: not measured.
/// @return VSCHED_OK; VSCHED_STALE; VSCHED_E_ARGUMENT: another outcome.
#[unsafe(no_mangle)]
pub extern "C" fn vsched_worker_report(
    worker: Option<&mut vsched_worker>,
    server: vsched_server_id,
    outcome: u32,
    latency_us: u64,
) -> vsched_status {
    guard(|| {
        let worker = worker.ok_or(VSCHED_E_NULL)?;
        let outcome = outcome_of(outcome)?;
        let reported = worker.worker.report(server.into(), outcome, latency_of(latency_us));
        reported.map_err(status::of)
    })
}

/// Reads what was reported of a server, and its state.
///
/// Threads: control. Cost: O(1).
///
/// @param director The director.
/// @param server Id of the server.
/// @param[in,out] health What was reported; set its struct_size before.
/// @return VSCHED_OK; VSCHED_STALE; VSCHED_E_STRUCT_SIZE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_director_health(
    director: Option<&vsched_director>,
    server: vsched_server_id,
    health: *mut vsched_health,
) -> vsched_status {
    guard(|| {
        let director = director.ok_or(VSCHED_E_NULL)?;
        // SAFETY: the caller promises a struct of `struct_size` bytes.
        let to = unsafe { Place::of(health) }?;
        let known = director.director.health(server.into()).ok_or(VSCHED_STALE)?;
        // 0 means that none was measured.
        let micros = known.latency.map_or(0, |latency| latency.as_micros().max(1));
        to.write(vsched_health {
            struct_size: 0,
            state: known.state as u32,
            consecutive_failures: known.consecutive_failures,
            latency_us: u32::try_from(micros).unwrap_or(u32::MAX),
            ejected: known.ejected.into(),
            reserved: 0,
            done: known.done,
            failed: known.failed,
            abandoned: known.abandoned,
            recent_done: known.recent_done,
            recent_failed: known.recent_failed,
        });
        Ok(())
    })
}

#[inline]
fn outcome_of(outcome: u32) -> Result<Outcome, vsched_status> {
    match outcome {
        VSCHED_OUTCOME_DONE => Ok(Outcome::Done),
        VSCHED_OUTCOME_FAILED => Ok(Outcome::Failed),
        VSCHED_OUTCOME_ABANDONED => Ok(Outcome::Abandoned),
        _ => Err(VSCHED_E_ARGUMENT),
    }
}

#[inline]
fn latency_of(latency_us: u64) -> Option<Duration> {
    (latency_us != 0).then(|| Duration::from_micros(latency_us))
}
