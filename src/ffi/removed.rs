//! Servers that are gone from the config and not from their clients.

use std::mem::MaybeUninit;
use std::os::raw::c_char;

use crate::RemovedServer;
use crate::ffi::data::vsched_server_id;
use crate::ffi::director::vsched_director;
use crate::ffi::guard;
use crate::ffi::read_out::{VSCHED_NAME_SIZE, chars};
use crate::ffi::sized::{self, Element};
use crate::ffi::status::{VSCHED_E_NULL, vsched_status};

/// A real server that was removed from the config and still has connections.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct vsched_removed_server {
    /// The server, as its leases name it.
    pub id: vsched_server_id,
    /// Its service's key, NUL-terminated; the service may be gone too.
    pub service: [c_char; VSCHED_NAME_SIZE],
    /// Its address and port, NUL-terminated.
    pub name: [c_char; VSCHED_NAME_SIZE],
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

/// Copies the servers that were removed from the config and still have connections into an array of
/// `capacity` elements of `element_size` = sizeof(vsched_removed_server), sorted by service and
/// address.
///
/// As vsched_director_services. O(n log n) in what vsched_director_removed_servers counts.
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
        // SAFETY: the caller promises so many elements of that size.
        unsafe { sized::fill(&states, array, element_size, capacity, count) }
    })
}

fn state_of(removed: &RemovedServer) -> vsched_removed_server {
    vsched_removed_server {
        id: removed.id.into(),
        service: chars(&removed.service.to_string()),
        name: chars(&removed.server.to_string()),
        active: removed.active,
        inactive: removed.inactive,
    }
}
