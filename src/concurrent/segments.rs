//! A growing array whose elements never move: segments of doubling length, added once, kept.

#![allow(unsafe_code)]

use std::ptr::NonNull;
use std::sync::{Arc, OnceLock};

use crate::concurrent::simd::prefetch;

const FIRST_BITS: u32 = 6;
/// Segments of 64, 128, 256, … elements: together one less doubling than `u32` can index.
const SEGMENTS: usize = 25;

/// Elements are found by index without a lock while the array grows beside.
pub(crate) struct Segments<T> {
    segments: [OnceLock<Arc<[T]>>; SEGMENTS],
}

/// An element found once, for those who come back to it often. One load, where an index into the
/// segment takes five instructions for every server that a scan looks at.
pub(crate) struct ArcRef<T> {
    /// Invariant: an element of `_segment`.
    element: NonNull<T>,
    _segment: Arc<[T]>,
}

// SAFETY: a place is an `Arc<[T]>` and a shared reference into it; both may go where `T` is `Sync`
// and `Send`.
unsafe impl<T: Send + Sync> Send for ArcRef<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for ArcRef<T> {}

impl<T> ArcRef<T> {
    /// An element of no array.
    pub(crate) fn standalone(element: T) -> Self {
        let segment: Arc<[T]> = Arc::new([element]);
        ArcRef { element: NonNull::from(&segment[0]), _segment: segment }
    }

    #[inline]
    pub(crate) fn get(&self) -> &T {
        // SAFETY: `element` was made from a reference into the slice that `_segment` keeps alive as
        // long as this place. An `Arc` never moves its slice, and nobody has it mutably: it is
        // shared from the start, and this file never calls `get_mut`.
        unsafe { self.element.as_ref() }
    }
}

/// Elements found once, each beside something of its reader's: a list to come back to.
pub(crate) struct SlotRefs<T, S> {
    list: Box<[SlotRef<T, S>]>,
    /// What keeps the elements.
    _segments: Vec<Arc<[T]>>,
}

#[repr(C)]
struct SlotRef<T, S> {
    /// Invariant: an element of one of `Seats::_segments`.
    element: NonNull<T>,
    value: S,
}

// SAFETY: seats are `Arc<[T]>`s, shared references into them, and values of type `S`.
unsafe impl<T: Send + Sync, S: Send> Send for SlotRefs<T, S> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync, S: Sync> Sync for SlotRefs<T, S> {}

impl<T, S> Default for SlotRefs<T, S> {
    fn default() -> Self {
        SlotRefs { list: Box::default(), _segments: Vec::new() }
    }
}

impl<T, S> SlotRefs<T, S> {
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    #[inline(always)]
    pub(crate) fn get(&self, at: usize) -> Option<(&T, &S)> {
        self.list.get(at).map(Self::parts)
    }

    #[inline(always)]
    pub(crate) fn prefetch(&self, at: usize) {
        if let Some(seat) = self.list.get(at) {
            prefetch(seat);
        }
    }

    #[inline]
    pub(crate) fn iter(
        &self,
    ) -> impl DoubleEndedIterator<Item = (&T, &S)> + ExactSizeIterator + Clone {
        self.list.iter().map(Self::parts)
    }

    #[inline(always)]
    fn parts(seat: &SlotRef<T, S>) -> (&T, &S) {
        // SAFETY: `element` was made from a reference into a slice that `_segments` keeps alive as
        // long as these seats, which `seat` is borrowed from: nobody else has a `Seat`. An `Arc`
        // never moves its slice, and nobody has it mutably: it is shared from the start, and this
        // file never calls `get_mut`.
        (unsafe { seat.element.as_ref() }, &seat.value)
    }
}

/// The most elements that fit.
pub(crate) const CAPACITY: u32 = (1 << (FIRST_BITS + SEGMENTS as u32)) - (1 << FIRST_BITS);

impl<T> Segments<T> {
    pub(crate) fn new() -> Self {
        Segments { segments: std::array::from_fn(|_| OnceLock::new()) }
    }

    /// The element, or `None` beyond what [`reach`](Self::reach) has made. O(1), wait-free.
    #[inline]
    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        let (segment, offset) = self.find(index)?;
        segment.get(offset)
    }

    /// The first elements, to keep: they are found in fewer instructions there.
    pub(crate) fn first(&self, make: impl Fn() -> T) -> Arc<[T]> {
        Arc::clone(self.segment(0, &make))
    }

    /// The same, to keep.
    pub(crate) fn arc_ref(&self, index: u32) -> Option<ArcRef<T>> {
        let (segment, offset) = self.find(index)?;
        let element = NonNull::from(segment.get(offset)?);
        Some(ArcRef { element, _segment: Arc::clone(segment) })
    }

    /// Seats for these elements; `None` if one does not exist.
    pub(crate) fn slot_refs<S>(
        &self,
        list: impl Iterator<Item = (u32, S)>,
    ) -> Option<SlotRefs<T, S>> {
        let mut segments: Vec<Arc<[T]>> = Vec::new();
        // Not collected through `Option`, which forgets how many there are.
        let mut seats = Vec::with_capacity(list.size_hint().0);
        for (index, beside) in list {
            let (segment, offset) = self.find(index)?;
            let element = NonNull::from(segment.get(offset)?);
            if !segments.iter().any(|known| Arc::ptr_eq(known, segment)) {
                segments.push(Arc::clone(segment));
            }
            seats.push(SlotRef { element, value: beside });
        }
        let list = seats.into_boxed_slice();
        Some(SlotRefs { list, _segments: segments })
    }

    #[inline]
    fn find(&self, index: u32) -> Option<(&Arc<[T]>, usize)> {
        let shifted = u64::from(index) + (1 << FIRST_BITS);
        let level = shifted.ilog2();
        let segment = self.segments.get((level - FIRST_BITS) as usize)?.get()?;
        Some((segment, (shifted - (1 << level)) as usize))
    }

    /// Makes elements 0 to `length` - 1 exist. Allocates; false beyond [`CAPACITY`].
    pub(crate) fn grow_to(&self, length: u32) -> bool
    where
        T: Default,
    {
        self.grow_to_with(length, T::default)
    }

    /// The same with elements made so.
    pub(crate) fn grow_to_with(&self, length: u32, make: impl Fn() -> T) -> bool {
        if length > CAPACITY {
            return false;
        }
        let mut made = 0u64;
        for level in 0..SEGMENTS {
            if made >= u64::from(length) {
                break;
            }
            made += self.segment(level, &make).len() as u64;
        }
        true
    }

    /// How many elements [`reach`](Self::reach) would have to make.
    pub(crate) fn missing(&self, length: u32) -> usize {
        let (mut reached, mut missing) = (0, 0);
        for (level, segment) in self.segments.iter().enumerate() {
            if reached >= length as usize {
                break;
            }
            let size = 1usize << (FIRST_BITS as usize + level);
            reached += size;
            missing += if segment.get().is_none() { size } else { 0 };
        }
        missing
    }

    fn segment(&self, level: usize, make: &impl Fn() -> T) -> &Arc<[T]> {
        let size = 1usize << (FIRST_BITS as usize + level);
        self.segments[level].get_or_init(|| (0..size).map(|_| make()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{CAPACITY, Segments};
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn every_index_has_its_own_element() {
        let segments = Segments::<AtomicU32>::new();
        assert!(segments.get(0).is_none());
        assert_eq!(segments.missing(65), 64 + 128);
        assert!(segments.grow_to(1000));
        assert_eq!((segments.missing(1000), segments.missing(1985)), (0, 2048));
        for index in 0..1000 {
            segments.get(index).unwrap().store(index + 1, Ordering::Relaxed);
        }
        for index in 0..1000 {
            assert_eq!(segments.get(index).unwrap().load(Ordering::Relaxed), index + 1);
        }
        assert!(segments.get(960 + 1023).is_none() || segments.get(2000).is_none());
        assert!(segments.get(u32::MAX).is_none());
        assert!(!segments.grow_to(CAPACITY + 1));
    }
}
