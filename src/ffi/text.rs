//! Texts in, as pointer and length, and out, into the caller's buffer.

use std::mem::MaybeUninit;
use std::os::raw::c_char;
use std::{ptr, slice};

use crate::ffi::status::vsched_status;
use crate::ffi::status::{VSCHED_E_BUFFER, VSCHED_E_LENGTH, VSCHED_E_NULL, VSCHED_E_UTF8};

/// A text: UTF-8, without a NUL at its end. {NULL, 0} is the empty one.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct vsched_text {
    /// First byte; may be NULL if `length` is 0.
    pub data: *const c_char,
    /// Bytes.
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

/// What the caller gave as `count` items from `data` on. NULL is no items.
///
/// # Safety
/// `data` is NULL or points to `count` initialised items that nobody writes during this call into
/// the library.
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

/// Copies a text and a NUL into the caller's buffer, if it has room, and tells the text's length in
/// any case.
///
/// # Safety
/// `buffer` is NULL or has `capacity` bytes that nobody else uses during this call.
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
    // more. Nobody else uses it, so it does not overlap the text, which is ours.
    unsafe {
        ptr::copy_nonoverlapping(text.as_ptr(), buffer.cast::<u8>(), text.len());
        buffer.add(text.len()).write(0);
    }
    Ok(())
}
