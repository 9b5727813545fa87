//! # Server states
//!
//! What is so of a server at run time, apart from its config: up, draining or down. Several holders
//! set it, each releases only what it holds itself, and the most severe state counts. It survives
//! every reload, and removal and return of the server; it is never written into the config.
//!
//! NULL: no pointer may be NULL, except `result` and `applied`, `array` if `capacity` is 0, `count`
//! of vsched_director_holds, and `reason` if `reason_length` is 0.

use std::mem::MaybeUninit;
use std::os::raw::c_char;

use crate::ffi::data::vsched_server_id;
use crate::ffi::director::{give, place, vsched_applied, vsched_director};
use crate::ffi::sized::{self, Element};
use crate::ffi::states::chars;
use crate::ffi::status::{VSCHED_E_ARGUMENT, VSCHED_E_NULL, VSCHED_STALE, vsched_status};
use crate::ffi::{Fault, guard, text};
use crate::{Hold, Holder, ServerState};

/// State: no holder holds the server; weight, thresholds and connections decide.
pub const VSCHED_UP: u32 = 0;
/// State: persistent clients and open connections stay; nothing new.
pub const VSCHED_DRAINING: u32 = 1;
/// State: no picks, not even of persistent clients. Open connections stay counted until they close.
pub const VSCHED_DOWN: u32 = 2;

/// Holder: a person, or a tool on behalf of one.
pub const VSCHED_HOLDER_ADMINISTRATOR: u32 = 0;
/// Holder: a health checker.
pub const VSCHED_HOLDER_HEALTH_CHECKER: u32 = 1;
/// Holder: the host of the library, by what it sees of connections.
pub const VSCHED_HOLDER_HOST: u32 = 2;
/// Holder: the ejection of the service. VSCHED_UP in its name ends an ejection; no other state can
/// be set in its name.
pub const VSCHED_HOLDER_EJECTOR: u32 = 3;

/// Size of the text of a reason, including the NUL.
pub const VSCHED_REASON_SIZE: usize = 256;

/// One hold on a server.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct vsched_hold {
    /// VSCHED_HOLDER_ADMINISTRATOR to VSCHED_HOLDER_EJECTOR.
    pub holder: u32,
    /// VSCHED_DRAINING or VSCHED_DOWN.
    pub state: u32,
    /// Why, as the holder said; ends with a NUL.
    pub reason: [c_char; VSCHED_REASON_SIZE],
}

// SAFETY: `repr(C)`, numbers only, no padding: the fields' sizes add up (asserted below).
unsafe impl Element for vsched_hold {
    const LEAST: usize = size_of::<vsched_hold>();
}
const _: () = assert!(size_of::<vsched_hold>() == 4 + 4 + 256);

const _: () = assert!(ServerState::Up as u32 == VSCHED_UP);
const _: () = assert!(ServerState::Draining as u32 == VSCHED_DRAINING);
const _: () = assert!(ServerState::Down as u32 == VSCHED_DOWN);
const _: () = assert!(Holder::Administrator as u32 == VSCHED_HOLDER_ADMINISTRATOR);
const _: () = assert!(Holder::HealthChecker as u32 == VSCHED_HOLDER_HEALTH_CHECKER);
const _: () = assert!(Holder::Host as u32 == VSCHED_HOLDER_HOST);
const _: () = assert!(Holder::Ejector as u32 == VSCHED_HOLDER_EJECTOR);

/// Holds a server in a state, or with VSCHED_UP releases what this holder holds. Every pick that
/// begins after this call has returned obeys: all schedulers, retries and persistence pass over a
/// server that is down, and its clients, and only they, go elsewhere; they come back with it if they
/// are hashed. A draining server keeps its persistent clients. If all servers are held, picks return
/// VSCHED_NO_SERVER.
///
/// Threads: control. Cost: O(servers of the service).
///
/// @param director The director; after an error nothing has changed.
/// @param server Id of the server.
/// @param holder VSCHED_HOLDER_ADMINISTRATOR to VSCHED_HOLDER_EJECTOR.
/// @param state VSCHED_UP, VSCHED_DRAINING or VSCHED_DOWN.
/// @param reason Why, for people.
/// @param reason_length Bytes of the reason, at most 255.
/// @param[out] result State that results from all holders, or NULL.
/// @return VSCHED_OK; VSCHED_STALE; VSCHED_E_ARGUMENT: another holder or state, or a state that the
///   ejector does not take; VSCHED_E_LENGTH: the reason; VSCHED_E_UTF8; VSCHED_E_CAPACITY: no
///   memory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_director_set_state(
    director: Option<&vsched_director>,
    server: vsched_server_id,
    holder: u32,
    state: u32,
    reason: *const c_char,
    reason_length: usize,
    result: Option<&mut MaybeUninit<u32>>,
) -> vsched_status {
    guard(|| {
        let director = director.ok_or(VSCHED_E_NULL)?;
        let set = || -> Result<ServerState, Fault> {
            let unknown = |what, number, expected| {
                Fault::new(VSCHED_E_ARGUMENT, format!("{what} {number}: expected {expected}"))
            };
            let number = holder;
            let holder = Holder::ALL.iter().copied().find(|known| *known as u32 == number);
            let holder = holder.ok_or_else(|| unknown("holder", number, "0 to 3"))?;
            let state_of = ServerState::ALL.iter().copied().find(|known| *known as u32 == state);
            let state = state_of.ok_or_else(|| unknown("state", state, "0 to 2"))?;
            // SAFETY: the caller promises the length.
            let reason = unsafe { text::read(reason, reason_length) }?;
            Ok(director.director.set_state_because(server.into(), holder, state, reason)?)
        };
        let state = director.error.keep(set())?;
        if let Some(to) = result {
            to.write(state as u32);
        }
        Ok(())
    })
}

/// Tells the state of a server: the most severe in which any holder holds it.
///
/// Threads: shared. Cost: O(1).
///
/// @param director The director.
/// @param server Id of the server.
/// @param[out] state VSCHED_UP, VSCHED_DRAINING or VSCHED_DOWN.
/// @return VSCHED_OK; VSCHED_STALE.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn vsched_director_state(
    director: Option<&vsched_director>,
    server: vsched_server_id,
    state: Option<&mut MaybeUninit<u32>>,
) -> vsched_status {
    guard(|| {
        let (director, to) = (director.ok_or(VSCHED_E_NULL)?, state.ok_or(VSCHED_E_NULL)?);
        to.write(director.director.state(server.into()).ok_or(VSCHED_STALE)? as u32);
        Ok(())
    })
}

/// Copies who holds a server draining or down, and why. None: it is up.
///
/// Threads: control. Cost: O(servers of the service); O(removed servers) for one that was
/// removed.
///
/// @param director The director.
/// @param server Id of the server.
/// @param[out] array Receives the holds.
/// @param element_size sizeof(vsched_hold).
/// @param capacity Elements of the array.
/// @param[out] count Number of holds.
/// @return VSCHED_OK; VSCHED_STALE; VSCHED_E_BUFFER; VSCHED_E_STRUCT_SIZE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_director_holds(
    director: Option<&vsched_director>,
    server: vsched_server_id,
    array: *mut vsched_hold,
    element_size: usize,
    capacity: usize,
    count: Option<&mut MaybeUninit<usize>>,
) -> vsched_status {
    guard(|| {
        let director = director.ok_or(VSCHED_E_NULL)?;
        let held = director.director.holds(server.into()).ok_or(VSCHED_STALE)?;
        let hold = |Hold { holder, state, reason }: &Hold| vsched_hold {
            holder: *holder as u32,
            state: *state as u32,
            reason: chars(reason),
        };
        let holds: Vec<_> = held.iter().map(hold).collect();
        // SAFETY: the caller promises `capacity` elements of `element_size` bytes.
        unsafe { sized::fill(&holds, array, element_size, capacity, count) }
    })
}

/// Gives a server another weight in the config that runs; 0 drains it.
///
/// Threads: control. Cost: O(servers of the service).
///
/// @param director The director; after an error nothing has changed.
/// @param server Id of the server.
/// @param weight The weight.
/// @param[in,out] applied What changed, or NULL; set its struct_size before.
/// @return VSCHED_OK; VSCHED_STALE: the id is, or the server is not configured any more;
///   VSCHED_E_INVALID: the weight; VSCHED_E_CAPACITY; VSCHED_E_STRUCT_SIZE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_director_set_weight(
    director: Option<&vsched_director>,
    server: vsched_server_id,
    weight: u32,
    applied: *mut vsched_applied,
) -> vsched_status {
    guard(|| {
        let director = director.ok_or(VSCHED_E_NULL)?;
        // SAFETY: the caller promises a struct of `struct_size` bytes, or NULL.
        let to = unsafe { place(applied) }?;
        let set = director.director.set_weight(server.into(), weight).map_err(Fault::from);
        give(to, director.error.keep(set)?);
        Ok(())
    })
}
