//! Zero-initialized arrays, whose memory the system commits page by page on first write.
//!
//! An affinity map for millions of addresses reserves address space at once, and memory as addresses
//! arrive, so the hot path never has to grow it. Allocation failure is an error, not an abort: a valid
//! config must not abort its host.

#![allow(unsafe_code)]

use std::alloc::{Layout, alloc_zeroed};
use std::ptr;

use crate::sync::{AtomicU32, AtomicU64};

/// A type whose default value consists of zero bytes only, of atomic integers.
///
/// # Safety
/// Zeroed memory of the type's size and alignment holds its default value, and other bytes hold another one.
pub(crate) unsafe trait Zeroed: Default {}

// SAFETY: an atomic integer has the layout of the integer, and its default is 0.
unsafe impl Zeroed for AtomicU32 {}
// SAFETY: as above.
unsafe impl Zeroed for AtomicU64 {}
// SAFETY: an array consists of its elements, without padding between them.
unsafe impl<T: Zeroed, const N: usize> Zeroed for [T; N] where [T; N]: Default {}

/// Declares a struct of [`Zeroed`] fields, which makes it [`Zeroed`] itself.
macro_rules! zeroed_struct {
    (
        $(#[$about:meta])*
        $reach:vis struct $name:ident $(<$parameter:ident>)? {
            $( $(#[$note:meta])* $open:vis $field:ident: $type:ty, )+
        }
    ) => {
        $(#[$about])*
        #[derive(Default)]
        $reach struct $name $(<$parameter>)? {
            $( $(#[$note])* $open $field: $type, )+
        }

        // SAFETY: the struct has these fields and no others; `fields` holds each to be `Zeroed`.
        #[allow(unsafe_code, reason = "checked field by field, as a derive would")]
        unsafe impl $(<$parameter: $crate::concurrent::zeroed::Zeroed>)?
            $crate::concurrent::zeroed::Zeroed for $name $(<$parameter>)? {}

        const _: () = {
            #[allow(dead_code, reason = "checked when it is compiled")]
            fn fields $(<$parameter: $crate::concurrent::zeroed::Zeroed>)? () {
                fn is_zeroed<T: $crate::concurrent::zeroed::Zeroed>() {}
                $( is_zeroed::<$type>(); )+
            }
        };
    };
}

pub(crate) use zeroed_struct;

/// The system could not allocate this many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OutOfMemory {
    pub(crate) bytes: u64,
}

/// `length` default values, in pages that nothing has written yet. Allocates; [`OutOfMemory`] if the
/// system refuses.
pub(crate) fn zeroed<T: Zeroed>(length: usize) -> Result<Box<[T]>, OutOfMemory> {
    const { assert!(size_of::<T>() > 0) };
    if length == 0 {
        return Ok(Box::default());
    }
    let out_of_memory =
        OutOfMemory { bytes: (length as u64).saturating_mul(size_of::<T>() as u64) };
    let layout = Layout::array::<T>(length).map_err(|_| out_of_memory)?;
    // SAFETY: the layout has a size: neither the length nor the type's size is 0.
    let memory = unsafe { alloc_zeroed(layout) }.cast::<T>();
    if memory.is_null() {
        return Err(out_of_memory);
    }
    // SAFETY: the memory was allocated just now by the global allocator with the layout of `length`
    // elements, which is the one that the box frees it with. Its zeros are valid elements (`Zeroed`),
    // and nothing else points to it.
    Ok(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(memory, length)) })
}

#[cfg(test)]
#[path = "zeroed_tests.rs"]
mod tests;
