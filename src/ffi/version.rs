//! Versions of the library and of its ABI, and the schedulers it has.

use std::ffi::CStr;
use std::os::raw::c_char;
use std::ptr;

use crate::SchedulerKind;

/// The ABI described by this header. It changes when a program built against it would no longer work
/// with the library; then the soname changes too. Functions, statuses and fields at the end of
/// structs with a struct_size may come without a change.
pub const VSCHED_ABI_VERSION: u32 = 1;

/// Most connections of one server, active and inactive together.
pub const VSCHED_MAX_CONNECTIONS: u32 = 67_108_863;

const _: () = assert!(VSCHED_MAX_CONNECTIONS == crate::MAX_CONNECTIONS);

/// The ABI of the library that runs: compare with VSCHED_ABI_VERSION of the header. From any thread.
#[unsafe(no_mangle)]
pub extern "C" fn vsched_abi_version() -> u32 {
    VSCHED_ABI_VERSION
}

/// The version of the library that runs, such as "0.1.0". Static, never freed, never NULL; from any
/// thread.
#[unsafe(no_mangle)]
pub extern "C" fn vsched_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// The short name of scheduler number `index`, such as "rr"; NULL from the end of the list on.
/// Static, never freed; from any thread.
#[unsafe(no_mangle)]
pub extern "C" fn vsched_scheduler_name(index: u32) -> *const c_char {
    let kind = usize::try_from(index).ok().and_then(|index| SchedulerKind::ALL.get(index));
    kind.map_or(ptr::null(), |kind| name(*kind).as_ptr())
}

/// What scheduler number `index` does, in one clause; NULL from the end of the list on. Static, never
/// freed; from any thread.
#[unsafe(no_mangle)]
pub extern "C" fn vsched_scheduler_summary(index: u32) -> *const c_char {
    let kind = usize::try_from(index).ok().and_then(|index| SchedulerKind::ALL.get(index));
    kind.map_or(ptr::null(), |kind| summary(*kind).as_ptr())
}

fn name(kind: SchedulerKind) -> &'static CStr {
    kind.name_c()
}

fn summary(kind: SchedulerKind) -> &'static CStr {
    kind.summary_c()
}
