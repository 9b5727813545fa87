//! # Listing
//!
//! What runs, printed as ipvsadm prints it.
//!
//! NULL: no pointer may be NULL, except `key` if `key_length` is 0, `buffer` if `capacity` is 0,
//! and `length`.

use std::mem::MaybeUninit;
use std::os::raw::c_char;

use crate::config::listing::{Listing, View};
use crate::ffi::director::vsched_director;
use crate::ffi::status::{VSCHED_E_NULL, VSCHED_NO_SERVICE, vsched_status};
use crate::ffi::structs::bad;
use crate::ffi::{Fault, guard, names, text};

/// View: forwarding, weight, connections, as `ipvsadm -L -n`.
pub const VSCHED_LIST_PLAIN: u32 = 0;
/// View: totals, as `--stats`.
pub const VSCHED_LIST_STATISTICS: u32 = 1;
/// View: rates per second, as `--rate`.
pub const VSCHED_LIST_RATES: u32 = 2;
/// View: connection limits, as `--thresholds`.
pub const VSCHED_LIST_THRESHOLDS: u32 = 3;
/// View: persistence templates, as `--persistent-conn`.
pub const VSCHED_LIST_PERSISTENT: u32 = 4;
/// View: encapsulation, as `--tun-info`.
pub const VSCHED_LIST_TUNNELS: u32 = 5;

/// Flag: figures in full, as `--exact`.
pub const VSCHED_LIST_EXACT: u32 = 1;
/// Flag: in list order, as `--nosort`.
pub const VSCHED_LIST_UNSORTED: u32 = 2;

/// Prints the running services and servers.
///
/// Threads: control. Cost: O(services + servers).
///
/// @param director The director.
/// @param view One of VSCHED_LIST_PLAIN to VSCHED_LIST_TUNNELS.
/// @param flags 0, or VSCHED_LIST_EXACT and VSCHED_LIST_UNSORTED or-ed together.
/// @param key Key or name of the only service to print; empty for all.
/// @param key_length Bytes of the key.
/// @param[out] buffer Receives the text and a NUL.
/// @param capacity Bytes of the buffer.
/// @param[out] length Length of the text in bytes.
/// @return VSCHED_OK; VSCHED_NO_SERVICE: the name; VSCHED_E_ARGUMENT: another view or flag;
///   VSCHED_E_LENGTH; VSCHED_E_UTF8; VSCHED_E_PARSE: the key; VSCHED_E_BUFFER.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_director_list(
    director: Option<&vsched_director>,
    view: u32,
    flags: u32,
    key: *const c_char,
    key_length: usize,
    buffer: *mut c_char,
    capacity: usize,
    length: Option<&mut MaybeUninit<usize>>,
) -> vsched_status {
    guard(|| {
        let director = director.ok_or(VSCHED_E_NULL)?;
        // SAFETY: the caller promises the length.
        let only = (key_length > 0).then(|| unsafe {
            names::key_of(&director.director, key, key_length, VSCHED_NO_SERVICE)
        });
        let only = director.error.keep(only.transpose())?;
        let observed = director.director.observe();
        let listing = Listing::new(&observed).view(director.error.keep(view_of(view))?);
        let listing = only.iter().fold(listing, |listing, key| listing.only(key));
        let listing = director.error.keep(flagged(listing, flags))?;
        // SAFETY: the caller promises `capacity` bytes at `buffer`.
        unsafe { text::write(&listing.to_string(), buffer, capacity, length) }
    })
}

fn view_of(view: u32) -> Result<View, Fault> {
    Ok(match view {
        VSCHED_LIST_PLAIN => View::Plain,
        VSCHED_LIST_STATISTICS => View::Statistics,
        VSCHED_LIST_RATES => View::Rates,
        VSCHED_LIST_THRESHOLDS => View::Thresholds,
        VSCHED_LIST_PERSISTENT => View::PersistentConnections,
        VSCHED_LIST_TUNNELS => View::TunnelInfo,
        _ => return Err(bad("view", view, "one of VSCHED_LIST_PLAIN to VSCHED_LIST_TUNNELS")),
    })
}

fn flagged(listing: Listing<'_>, flags: u32) -> Result<Listing<'_>, Fault> {
    if flags & !(VSCHED_LIST_EXACT | VSCHED_LIST_UNSORTED) != 0 {
        return Err(bad("flags", flags, "VSCHED_LIST_EXACT and VSCHED_LIST_UNSORTED, or-ed"));
    }
    let listing = if flags & VSCHED_LIST_EXACT != 0 { listing.exact() } else { listing };
    Ok(if flags & VSCHED_LIST_UNSORTED != 0 { listing.unsorted() } else { listing })
}
