//! # Texts, arrays and sized structs
//!
//! Text input is a pointer and a length in bytes, UTF-8, without a NUL.
//!
//! Text output goes to the caller's buffer of `capacity` bytes and ends with a NUL. The function
//! sets `*length` to the length without the NUL, even if the buffer is too small: call with NULL
//! and 0 to learn it, which returns VSCHED_E_BUFFER. Array output works the same way: `capacity`
//! and `*count` are numbers of elements, and `element_size` is sizeof of the element. An empty
//! array fits any capacity.
//!
//! Structs that may grow begin with struct_size. Zero the struct, then set struct_size to its
//! sizeof, also for structs that the library fills in. Fields of zero mean the default. Programs
//! built with an older or newer header than the library's work: the library reads and writes only
//! what both know.

use std::mem::MaybeUninit;
use std::os::raw::c_char;
use std::{ptr, slice};

use crate::ffi::status::vsched_status;
use crate::ffi::status::{VSCHED_E_BUFFER, VSCHED_E_LENGTH, VSCHED_E_NULL, VSCHED_E_UTF8};

/// A text: UTF-8 without a NUL at its end. {NULL, 0} is the empty text.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct vsched_text {
    /// First byte; may be NULL if `length` is 0.
    pub data: *const c_char,
    /// Length in bytes.
    pub length: usize,
}

impl vsched_text {
    /// # Safety
    /// As [`items`].
    pub(super) unsafe fn read<'a>(self) -> Result<&'a str, vsched_status> {
        // SAFETY: the caller's promise.
        unsafe { read(self.data, self.length) }
    }
}

/// `count` items from the caller. NULL is valid for 0 items.
///
/// # Safety
/// `data` is NULL or points to `count` initialized items that no other code writes during the
/// call.
pub(super) unsafe fn items<'a, T>(data: *const T, count: usize) -> Result<&'a [T], vsched_status> {
    if count == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(VSCHED_E_NULL);
    }
    if count > isize::MAX as usize / size_of::<T>() {
        return Err(VSCHED_E_LENGTH);
    }
    // SAFETY: not NULL, not larger than an object can be; the rest is the caller's promise.
    Ok(unsafe { slice::from_raw_parts(data, count) })
}

/// # Safety
/// As [`items`].
pub(super) unsafe fn read<'a>(
    data: *const c_char,
    length: usize,
) -> Result<&'a str, vsched_status> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { items(data.cast::<u8>(), length) }?;
    std::str::from_utf8(bytes).map_err(|_| VSCHED_E_UTF8)
}

/// Copies a text and a NUL into the caller's buffer if it has room; writes the length in any case.
///
/// # Safety
/// `buffer` is NULL or has `capacity` bytes that no other code uses during this call.
pub(super) unsafe fn write(
    text: &str,
    buffer: *mut c_char,
    capacity: usize,
    length: Option<&mut MaybeUninit<usize>>,
) -> Result<(), vsched_status> {
    if buffer.is_null() && capacity > 0 {
        return Err(VSCHED_E_NULL);
    }
    if let Some(length) = length {
        length.write(text.len());
    }
    if capacity <= text.len() {
        return Err(VSCHED_E_BUFFER);
    }
    // SAFETY: `buffer` is not NULL, as `capacity` is not 0, and has room for the text and one byte
    // more. No other code uses it, so it does not overlap the text, which is ours.
    unsafe {
        ptr::copy_nonoverlapping(text.as_ptr(), buffer.cast::<u8>(), text.len());
        buffer.add(text.len()).write(0);
    }
    Ok(())
}
