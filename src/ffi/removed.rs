//! # Removed servers and repair
//!
//! A removed server keeps its counts until its last connection closes, and gets them back if it is
//! added again before. A lease that is lost (a crashed plug-in, memory that was freed) stays
//! counted: its server looks busier than it is, and with an upper threshold may stay overloaded
//! forever. No reload repairs that; the functions of this group do.
//!
//! NULL: no pointer may be NULL, except `array` if `capacity` is 0, `count` of
//! vsched_director_removed_with_connections and vsched_director_forget_removed, and `former`.

use std::mem::MaybeUninit;
use std::os::raw::c_char;

use crate::RemovedServer;
use crate::ffi::data::vsched_server_id;
use crate::ffi::director::vsched_director;
use crate::ffi::guard;
use crate::ffi::sized::{self, Element};
use crate::ffi::states::{VSCHED_KEY_SIZE, chars};
use crate::ffi::status::{VSCHED_E_NULL, vsched_status};

/// A real server that was removed and still has connections. Texts end with a NUL.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct vsched_removed_server {
    /// Id of the server, as in its leases.
    pub id: vsched_server_id,
    /// Key of its service, which may be gone too.
    pub service: [c_char; VSCHED_KEY_SIZE],
    /// Its address and port.
    pub address_text: [c_char; VSCHED_KEY_SIZE],
    /// Active connections.
    pub active: u32,
    /// Inactive connections.
    pub inactive: u32,
}

// SAFETY: `repr(C)`, numbers only, no padding: the fields' sizes add up (asserted below).
unsafe impl Element for vsched_removed_server {
    const LEAST: usize = size_of::<vsched_removed_server>();
}
const _: () = assert!(size_of::<vsched_removed_server>() == 8 + 64 + 64 + 4 + 4);

/// Counts the removed servers that still hold memory. They have connections, or a config that a
/// worker still uses or a remembered address refers to them, or they wait for the next
/// vsched_director_tick.
///
/// Threads: control. Cost: O(1).
///
/// @param director The director.
/// @param[out] count Number of servers.
/// @return VSCHED_OK.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn vsched_director_removed_servers(
    director: Option<&vsched_director>,
    count: Option<&mut MaybeUninit<usize>>,
) -> vsched_status {
    guard(|| {
        let (director, to) = (director.ok_or(VSCHED_E_NULL)?, count.ok_or(VSCHED_E_NULL)?);
        to.write(director.director.removed_servers());
        Ok(())
    })
}

/// Copies the removed servers that still have connections, sorted by service and address.
///
/// Threads: control. Cost: O(n log n) for n removed servers.
///
/// @param director The director.
/// @param[out] array Receives the servers.
/// @param element_size sizeof(vsched_removed_server).
/// @param capacity Elements of the array.
/// @param[out] count Number of servers.
/// @return VSCHED_OK; VSCHED_E_BUFFER; VSCHED_E_STRUCT_SIZE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_director_removed_with_connections(
    director: Option<&vsched_director>,
    array: *mut vsched_removed_server,
    element_size: usize,
    capacity: usize,
    count: Option<&mut MaybeUninit<usize>>,
) -> vsched_status {
    guard(|| {
        let removed = director.ok_or(VSCHED_E_NULL)?.director.removed_with_connections();
        let states: Vec<_> = removed.iter().map(state_of).collect();
        // SAFETY: the caller promises `capacity` elements of `element_size` bytes.
        unsafe { sized::fill(&states, array, element_size, capacity, count) }
    })
}

fn state_of(removed: &RemovedServer) -> vsched_removed_server {
    vsched_removed_server {
        id: removed.id.into(),
        service: chars(&removed.service.to_string()),
        address_text: chars(&removed.server.to_string()),
        active: removed.active,
        inactive: removed.inactive,
    }
}
