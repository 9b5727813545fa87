//! # Versions and schedulers
//!
//! Compare vsched_abi_version() with VSCHED_ABI_VERSION once at startup if the library is loaded at
//! run time. All texts here are static: do not free them.

use std::ffi::CStr;
use std::os::raw::c_char;
use std::ptr;

use crate::SchedulerKind;

/// Version of the ABI that this header describes. It changes, and the soname with it, when programs
/// built against it no longer work with the library. New functions, statuses, and fields at the end
/// of structs with a struct_size do not change it.
pub const VSCHED_ABI_VERSION: u32 = 1;

/// Returns the ABI version of the library that is loaded.
///
/// Threads: any.
///
/// @return The library's VSCHED_ABI_VERSION.
#[unsafe(no_mangle)]
pub extern "C" fn vsched_abi_version() -> u32 {
    VSCHED_ABI_VERSION
}

/// Returns the version of the library that is loaded.
///
/// Threads: any.
///
/// @return A static text such as "0.1.0", never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn vsched_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// Returns the short name of a scheduler.
///
/// Threads: any.
///
/// @param index Number of the scheduler, from 0.
/// @return A static text such as "rr"; NULL if `index` is past the end.
#[unsafe(no_mangle)]
pub extern "C" fn vsched_scheduler_name(index: u32) -> *const c_char {
    let kind = usize::try_from(index).ok().and_then(|index| SchedulerKind::ALL.get(index));
    kind.map_or(ptr::null(), |kind| name(*kind).as_ptr())
}

/// Describes a scheduler in one clause.
///
/// Threads: any.
///
/// @param index Number of the scheduler, from 0.
/// @return A static text; NULL if `index` is past the end.
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
