//! Structs that may grow: the caller says how many bytes of a struct it knows.

use std::mem::MaybeUninit;
use std::ptr;

use crate::ffi::status::{VSCHED_E_NULL, VSCHED_E_STRUCT_SIZE, vsched_status};

/// A struct that begins with its size.
///
/// # Safety
/// `repr(C)`, begins with `struct_size: u32`, has no padding at its end, and every value of its
/// bytes is valid; a field of zeros means that it is absent.
pub(super) unsafe trait Grows: Copy {
    /// Size of the first version.
    const LEAST: usize;
}

/// No struct will grow beyond this: a larger size is a mistake, not a newer caller.
const MOST: usize = 4096;

/// Size of the caller's struct, checked.
///
/// # Safety
/// `from` is NULL or points to a struct of as many bytes as its first field, `struct_size`, says.
unsafe fn size_of_callers<T: Grows>(from: *const T) -> Result<usize, vsched_status> {
    if from.is_null() {
        return Err(VSCHED_E_NULL);
    }
    // SAFETY: the caller promises the field.
    let size = unsafe { from.cast::<u32>().read_unaligned() } as usize;
    if (T::LEAST..=MOST).contains(&size) { Ok(size) } else { Err(VSCHED_E_STRUCT_SIZE) }
}

/// Reads the struct of an older caller, whose missing fields are 0, or of a newer caller, if the
/// fields unknown to us are 0.
///
/// # Safety
/// `from` is NULL or points to a struct of `struct_size` bytes.
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

/// Room for a struct in the caller's memory.
pub(super) struct Place<T> {
    to: *mut T,
    size: usize,
}

impl<T: Grows> Place<T> {
    /// # Safety
    /// `to` is NULL or points to a struct of `struct_size` bytes that no other code uses while this
    /// value exists.
    pub(super) unsafe fn of(to: *mut T) -> Result<Self, vsched_status> {
        // SAFETY: the caller's promise.
        unsafe { size_of_callers(to.cast_const()) }.map(|size| Place { to, size })
    }

    /// Writes the fields that the caller knows. Fields unknown to us become 0; `struct_size` stays.
    pub(super) fn write(self, value: T) {
        // SAFETY: `of` requires `size` bytes.
        unsafe { put(value, self.to.cast(), self.size, size_of::<u32>()) }
    }
}

/// A struct without `struct_size`, for arrays: the caller passes the size of an element.
///
/// # Safety
/// `repr(C)`, no padding, and every value of its bytes is valid.
pub(super) unsafe trait Element: Copy {
    /// Size of the first version.
    const LEAST: usize;
}

/// Reads an element from a caller that knows `size` bytes of it; missing fields are 0.
///
/// # Safety
/// `from` is NULL or has `size` initialized bytes.
pub(super) unsafe fn element<T: Element>(from: *const T, size: usize) -> Result<T, vsched_status> {
    if from.is_null() {
        return Err(VSCHED_E_NULL);
    }
    if !(T::LEAST..=MOST).contains(&size) {
        return Err(VSCHED_E_STRUCT_SIZE);
    }
    let mut value = MaybeUninit::<T>::zeroed();
    let known = size.min(size_of::<T>());
    // SAFETY: both have `known` bytes, and `value` is ours. Any bytes are valid (`Element`).
    unsafe {
        ptr::copy_nonoverlapping(from.cast::<u8>(), value.as_mut_ptr().cast(), known);
        Ok(value.assume_init())
    }
}

/// Fills the caller's array if it has room for all values; writes their number in any case.
///
/// # Safety
/// `array` is NULL or has `capacity` elements of `element_size` bytes that no other code uses.
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
        // SAFETY: `at` is less than `capacity`, so the element exists.
        unsafe { put(*value, array.cast::<u8>().add(at * element_size), element_size, 0) };
    }
    Ok(())
}

/// Copies `value`, without its first `skip` bytes, into `size` bytes; zeros the rest.
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
