//! Structs that may grow: the caller says how much of one it knows.

use std::mem::MaybeUninit;
use std::ptr;

use crate::ffi::status::{VSCHED_E_NULL, VSCHED_E_STRUCT_SIZE, vsched_status};

/// A struct that begins with its size.
///
/// # Safety
/// `repr(C)`, begins with `struct_size: u32`, has no padding at its end, and every value of its
/// bytes is valid; zeros mean "as if it were not there".
pub(super) unsafe trait Grows: Copy {
    /// Size of its oldest form.
    const LEAST: usize;
}

/// More than any struct will ever grow to; a larger size is a mistake, not a newer caller.
const MOST: usize = 4096;

/// How many bytes the caller's struct has, and that those are there to be read.
///
/// # Safety
/// `from` is NULL or points to a struct whose first field, `struct_size`, is true.
unsafe fn size_of_callers<T: Grows>(from: *const T) -> Result<usize, vsched_status> {
    if from.is_null() {
        return Err(VSCHED_E_NULL);
    }
    // SAFETY: the caller promises the field.
    let size = unsafe { from.cast::<u32>().read_unaligned() } as usize;
    if (T::LEAST..=MOST).contains(&size) { Ok(size) } else { Err(VSCHED_E_STRUCT_SIZE) }
}

/// Reads a struct of an older caller (what it does not know is 0), or of a newer one, if what we do
/// not know is 0.
///
/// # Safety
/// `from` is NULL or points to a struct that is as long as its `struct_size` says.
pub(super) unsafe fn read<T: Grows>(from: *const T) -> Result<T, vsched_status> {
    // SAFETY: the caller's promise.
    let size = unsafe { size_of_callers(from) }?;
    let bytes = from.cast::<u8>();
    // SAFETY: the caller promises `size` bytes.
    let unknown = (size_of::<T>()..size).any(|at| unsafe { bytes.add(at).read() } != 0);
    if unknown {
        return Err(VSCHED_E_STRUCT_SIZE);
    }
    let mut value = MaybeUninit::<T>::zeroed();
    // SAFETY: both have that many bytes; `value` is ours. Zeros and the caller's bytes are valid
    // (`Grows`).
    unsafe {
        ptr::copy_nonoverlapping(bytes, value.as_mut_ptr().cast(), size.min(size_of::<T>()));
        Ok(value.assume_init())
    }
}

/// A place for a struct in the caller's memory.
pub(super) struct Place<T> {
    to: *mut T,
    size: usize,
}

impl<T: Grows> Place<T> {
    /// # Safety
    /// `to` is NULL or points to a struct that is as long as its `struct_size` says, which nobody
    /// else uses as long as this place exists.
    pub(super) unsafe fn of(to: *mut T) -> Result<Self, vsched_status> {
        // SAFETY: the caller's promise.
        unsafe { size_of_callers(to.cast_const()) }.map(|size| Place { to, size })
    }

    /// Writes as much as the caller knows; what it knows and we do not becomes 0. Its `struct_size`
    /// stays.
    pub(super) fn write(self, value: T) {
        // SAFETY: by the promise of `of`, `size` bytes are there.
        unsafe { put(value, self.to.cast(), self.size, size_of::<u32>()) }
    }
}

/// A struct without a size of its own, for arrays whose caller tells the size of an element.
///
/// # Safety
/// `repr(C)`, no padding, and every value of its bytes is valid.
pub(super) unsafe trait Element: Copy {
    /// Size of its oldest form.
    const LEAST: usize;
}

/// Reads one element of a caller who knows `size` bytes of it; what it does not know is 0.
///
/// # Safety
/// `from` is NULL or has `size` initialised bytes.
pub(super) unsafe fn element<T: Element>(from: *const T, size: usize) -> Result<T, vsched_status> {
    if from.is_null() {
        return Err(VSCHED_E_NULL);
    }
    if !(T::LEAST..=MOST).contains(&size) {
        return Err(VSCHED_E_STRUCT_SIZE);
    }
    let mut value = MaybeUninit::<T>::zeroed();
    let known = size.min(size_of::<T>());
    // SAFETY: both have so many bytes, and `value` is ours. Any bytes are a value (`Element`).
    unsafe {
        ptr::copy_nonoverlapping(from.cast::<u8>(), value.as_mut_ptr().cast(), known);
        Ok(value.assume_init())
    }
}

/// Fills the caller's array, if it has room for all; tells the number in any case.
///
/// # Safety
/// `array` is NULL or has `capacity` elements of `element_size` bytes that nobody else uses.
pub(super) unsafe fn fill<T: Element>(
    values: &[T],
    array: *mut T,
    element_size: usize,
    capacity: usize,
    count: Option<&mut MaybeUninit<usize>>,
) -> Result<(), vsched_status> {
    if array.is_null() && capacity > 0 {
        return Err(VSCHED_E_NULL);
    }
    if !(T::LEAST..=MOST).contains(&element_size) {
        return Err(VSCHED_E_STRUCT_SIZE);
    }
    if let Some(count) = count {
        count.write(values.len());
    }
    if capacity < values.len() {
        return Err(crate::ffi::status::VSCHED_E_BUFFER);
    }
    for (at, value) in values.iter().enumerate() {
        // SAFETY: `at` is less than `capacity`, so the element is there.
        unsafe { put(*value, array.cast::<u8>().add(at * element_size), element_size, 0) };
    }
    Ok(())
}

/// Writes the bytes of `value` from `skip` on to a place of `size` bytes: the rest of it as zeros.
///
/// # Safety
/// `to` has `size` bytes; `T` has no padding.
unsafe fn put<T: Copy>(value: T, to: *mut u8, size: usize, skip: usize) {
    let known = size.min(size_of::<T>());
    // SAFETY: `known` is at most the size of either, and `skip` at most `known`, as both traits'
    // least sizes hold the size field.
    unsafe {
        let from = ptr::from_ref(&value).cast::<u8>();
        ptr::copy_nonoverlapping(from.add(skip), to.add(skip), known - skip);
        to.add(known).write_bytes(0, size - known);
    }
}
