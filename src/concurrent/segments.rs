//! A growing array whose elements never move: segments of doubling length, added once, never removed. Or an
//! array in memory that is lent, whose length is fixed.
//!
//! The segment of 2^k elements has the indices from 2^k - 64 on: what is found by the highest bit of index
//! plus 64. Its base, less 2^k elements, is kept beside it, so that an index needs no other arithmetic.
//!
//! | location | operation          | ordering | partner            |
//! |----------|--------------------|----------|--------------------|
//! | `bases`  | store in `publish` | Release  | load in `get`      |
//! | `bases`  | load in `get`      | Acquire  | store in `publish` |

#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, OnceLock};

use crate::concurrent::simd::prefetch;
use crate::concurrent::zeroed::Zeroed;

const FIRST_BITS: u32 = 6;
/// Segments of 64, 128, 256, … elements: in total half of what a `u32` can index.
const SEGMENTS: usize = 25;
/// The highest bit of an index plus 64.
const LEVELS: usize = 33;

/// An array that readers index without a lock while it grows.
pub(crate) struct Segments<T> {
    /// By level. Invariant: null, or 2^level elements before the first of that level's segment.
    bases: [AtomicPtr<T>; LEVELS],
    segments: [OnceLock<Segment<T>>; SEGMENTS],
    /// Readers share the elements.
    elements: PhantomData<Arc<[T]>>,
    /// The memory is lent: there is nothing to add.
    fixed: bool,
}

/// What is lent with memory: while it exists, so does the memory.
pub(crate) type Lender = Arc<dyn Send + Sync>;

/// A counted reference to elements: of one level, or in lent memory.
pub(crate) enum Segment<T> {
    Own(Arc<[T]>),
    Lent(Arc<Lent<T>>),
}

/// Elements in lent memory.
pub(crate) struct Lent<T> {
    /// Invariant: elements that exist as long as `lender`, and of which no mutable reference exists.
    elements: NonNull<[T]>,
    lender: Lender,
}

// SAFETY: it shares its elements as an `Arc<[T]>` does, and a lender is `Send` and `Sync`.
unsafe impl<T: Send + Sync> Send for Lent<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Lent<T> {}

impl<T> Segment<T> {
    /// Elements in lent memory.
    ///
    /// # Safety
    /// While the lender exists, so do the elements, and there is no mutable reference to any of them.
    pub(crate) unsafe fn lent(elements: NonNull<[T]>, lender: &Lender) -> Self {
        Segment::Lent(Arc::new(Lent { elements, lender: Arc::clone(lender) }))
    }
}

impl<T> Segment<T> {
    /// Some of the elements, if these are lent; `None` past their end.
    pub(crate) fn part(&self, range: std::ops::Range<usize>) -> Option<Self> {
        let elements = NonNull::from(self.get(range)?);
        match self {
            Segment::Own(_) => None,
            Segment::Lent(lent) => {
                Some(Segment::Lent(Arc::new(Lent { elements, lender: Arc::clone(&lent.lender) })))
            }
        }
    }
}

impl<T: Zeroed> Segment<T> {
    /// The same memory as elements of another type of the same size, if it is lent.
    pub(crate) fn cast<U: Zeroed>(&self) -> Option<Segment<U>> {
        const { assert!(size_of::<T>() == size_of::<U>() && align_of::<T>() == align_of::<U>()) };
        let Segment::Lent(lent) = self else { return None };
        let elements = lent.elements;
        // The invariant of `Lent`: both types are atomic integers and nothing else, whose values are all valid.
        let elements = NonNull::slice_from_raw_parts(elements.cast::<U>(), elements.len());
        Some(Segment::Lent(Arc::new(Lent { elements, lender: Arc::clone(&lent.lender) })))
    }
}

impl<T> Clone for Segment<T> {
    fn clone(&self) -> Self {
        match self {
            Segment::Own(elements) => Segment::Own(Arc::clone(elements)),
            Segment::Lent(lent) => Segment::Lent(Arc::clone(lent)),
        }
    }
}

impl<T> Deref for Segment<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Segment::Own(elements) => elements,
            // SAFETY: the invariant of `Lent`, whose lender is alive as long as this is.
            Segment::Lent(lent) => unsafe { lent.elements.as_ref() },
        }
    }
}

/// A counted reference to one element, for callers that use it often. It dereferences by one load,
/// where an index lookup takes five instructions for every server that a scan visits.
pub(crate) struct ArcRef<T> {
    /// Invariant: an element of `_segment`.
    element: NonNull<T>,
    _segment: Segment<T>,
}

// SAFETY: an `ArcRef` is a `Segment<T>` and a shared reference into it; both are `Send` if `T` is `Sync`
// and `Send`.
unsafe impl<T: Send + Sync> Send for ArcRef<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for ArcRef<T> {}

impl<T> Clone for ArcRef<T> {
    fn clone(&self) -> Self {
        ArcRef { element: self.element, _segment: self._segment.clone() }
    }
}

impl<T> ArcRef<T> {
    /// A reference to an element that belongs to no array. Allocates.
    pub(crate) fn standalone(element: T) -> Self {
        let segment: Arc<[T]> = Arc::new([element]);
        ArcRef { element: NonNull::from(&segment[0]), _segment: Segment::Own(segment) }
    }

    /// A reference to one of these elements; `None` past their end.
    pub(crate) fn of(elements: &Segment<T>, at: usize) -> Option<Self> {
        let element = NonNull::from(elements.get(at)?);
        Some(ArcRef { element, _segment: elements.clone() })
    }

    #[inline]
    pub(crate) fn get(&self) -> &T {
        // SAFETY: `element` was made from a reference into the slice that `_segment` keeps alive as
        // long as this `ArcRef`. An `Arc` never moves its slice, nor does a lender, and no mutable
        // reference to it exists: it is shared from the start, and this file never calls `get_mut`.
        unsafe { self.element.as_ref() }
    }
}

/// A list of references to elements, each stored next to a value of the list's owner.
pub(crate) struct SlotRefs<T, S> {
    list: Box<[SlotRef<T, S>]>,
    /// Keeps the elements alive.
    _segments: Vec<Segment<T>>,
}

#[repr(C)]
struct SlotRef<T, S> {
    /// Invariant: an element of one of `SlotRefs::_segments`.
    element: NonNull<T>,
    value: S,
}

// SAFETY: `SlotRefs` holds `Segment<T>`s, shared references into them, and values of type `S`.
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
        if let Some(slot_ref) = self.list.get(at) {
            prefetch(slot_ref);
        }
    }

    #[inline]
    pub(crate) fn iter(
        &self,
    ) -> impl DoubleEndedIterator<Item = (&T, &S)> + ExactSizeIterator + Clone {
        self.list.iter().map(Self::parts)
    }

    /// The elements, `N` at a time, without the rest.
    #[inline(always)]
    pub(crate) fn chunks<const N: usize>(&self) -> impl Iterator<Item = [&T; N]> {
        let chunks = self.list.chunks_exact(N);
        chunks.map(|chunk| std::array::from_fn(|at| Self::parts(&chunk[at]).0))
    }

    /// The elements from `N` times `at` on; `None` past the last `N`.
    #[inline(always)]
    pub(crate) fn chunk<const N: usize>(&self, at: usize) -> Option<[&T; N]> {
        let chunk = self.list.get(at * N..)?.first_chunk::<N>()?;
        Some(chunk.each_ref().map(|slot_ref| Self::parts(slot_ref).0))
    }

    #[inline(always)]
    fn parts(slot_ref: &SlotRef<T, S>) -> (&T, &S) {
        // SAFETY: `element` was made from a reference into a slice that `_segments` keeps alive as
        // long as the `SlotRefs` that `slot_ref` is borrowed from: a `SlotRef` exists nowhere else. An
        // `Arc` never moves its slice, nor does a lender, and no mutable reference to it exists: it is
        // shared from the start, and this file never calls `get_mut`.
        (unsafe { slot_ref.element.as_ref() }, &slot_ref.value)
    }
}

/// The most elements that fit.
pub(crate) const CAPACITY: u32 = (1 << (FIRST_BITS + SEGMENTS as u32)) - (1 << FIRST_BITS);

impl<T> Segments<T> {
    pub(crate) fn new() -> Self {
        Segments {
            bases: std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
            segments: std::array::from_fn(|_| OnceLock::new()),
            elements: PhantomData,
            fixed: false,
        }
    }

    /// The least length of lent memory with room for so many elements: a number of whole levels. `None` above
    /// [`CAPACITY`].
    pub(crate) fn lent_length(length: u32) -> Option<u32> {
        if length > CAPACITY {
            return None;
        }
        let whole = (u64::from(length) + (1 << FIRST_BITS)).next_power_of_two();
        u32::try_from(whole.max(2 << FIRST_BITS) - (1 << FIRST_BITS)).ok()
    }

    /// An array of elements in lent memory, as many as a [`lent_length`](Self::lent_length).
    pub(crate) fn of_lent(lent: &Segment<T>) -> Self {
        let array = Segments { fixed: true, ..Segments::new() };
        for (level, segment) in array.segments.iter().enumerate() {
            let size = 1usize << (FIRST_BITS as usize + level);
            let start = size - (1 << FIRST_BITS);
            let Some(part) = lent.part(start..start + size) else { break };
            array.publish(level, segment.get_or_init(|| part));
        }
        array
    }

    /// The element, or `None` past what [`grow_to`](Self::grow_to) has made. O(1), wait-free.
    #[inline(always)]
    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        let shifted = u64::from(index) + (1 << FIRST_BITS);
        let level = shifted.ilog2();
        // Acquire: pairs with the store in `publish`, after which the elements exist.
        let base = self.bases.get(level as usize)?.load(Ordering::Acquire);
        if base.is_null() {
            return None;
        }
        // SAFETY: `base` is 2^level elements before a segment of as many elements, which lives as long as
        // `self` and of which no mutable reference exists; `shifted` is from 2^level to below twice that.
        // `NonNull` saves the caller a second look for null.
        Some(unsafe { NonNull::new_unchecked(base.wrapping_add(shifted as usize)).as_ref() })
    }

    /// The first segment, made if need be, for a caller that keeps it: indexing it takes fewer
    /// instructions.
    pub(crate) fn first(&self, make: impl Fn() -> T) -> Arc<[T]> {
        match self.segment(0, &make) {
            Some(Segment::Own(elements)) => Arc::clone(elements),
            // Lent memory has no such reference.
            _ => Arc::new([]),
        }
    }

    /// Like [`get`](Self::get), as a reference that the caller may keep.
    pub(crate) fn arc_ref(&self, index: u32) -> Option<ArcRef<T>> {
        let (segment, offset) = self.find(index)?;
        let element = NonNull::from(segment.get(offset)?);
        Some(ArcRef { element, _segment: segment.clone() })
    }

    /// References to these elements; `None` if one does not exist. Allocates.
    pub(crate) fn slot_refs<S>(
        &self,
        list: impl Iterator<Item = (u32, S)>,
    ) -> Option<SlotRefs<T, S>> {
        let mut segments: Vec<Segment<T>> = Vec::new();
        // Not collected through `Option`, which loses the size hint.
        let mut slot_refs = Vec::with_capacity(list.size_hint().0);
        for (index, beside) in list {
            let (segment, offset) = self.find(index)?;
            let element = NonNull::from(segment.get(offset)?);
            if !segments.iter().any(|known| ptr::eq(known.as_ptr(), segment.as_ptr())) {
                segments.push(segment.clone());
            }
            slot_refs.push(SlotRef { element, value: beside });
        }
        let list = slot_refs.into_boxed_slice();
        Some(SlotRefs { list, _segments: segments })
    }

    #[inline]
    fn find(&self, index: u32) -> Option<(&Segment<T>, usize)> {
        let shifted = u64::from(index) + (1 << FIRST_BITS);
        let level = shifted.ilog2();
        let segment = self.segments.get((level - FIRST_BITS) as usize)?.get()?;
        Some((segment, (shifted - (1 << level)) as usize))
    }

    /// Makes elements 0 to `length` - 1 exist. Allocates; false if `length` exceeds [`CAPACITY`], or that of
    /// lent memory.
    pub(crate) fn grow_to(&self, length: u32) -> bool
    where
        T: Default,
    {
        self.grow_to_with(length, T::default)
    }

    /// Like [`grow_to`](Self::grow_to), with elements that `make` returns.
    pub(crate) fn grow_to_with(&self, length: u32, make: impl Fn() -> T) -> bool {
        if length > CAPACITY {
            return false;
        }
        let mut made = 0u64;
        for level in 0..SEGMENTS {
            if made >= u64::from(length) {
                break;
            }
            let Some(segment) = self.segment(level, &make) else { return false };
            made += segment.len() as u64;
        }
        true
    }

    /// How many elements [`grow_to`](Self::grow_to) would have to make.
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

    /// The segment of this level, made if need be; `None` past the end of lent memory.
    fn segment(&self, level: usize, make: &impl Fn() -> T) -> Option<&Segment<T>> {
        let segment = self.segments.get(level)?;
        if self.fixed {
            return segment.get();
        }
        let size = 1usize << (FIRST_BITS as usize + level);
        let segment = segment.get_or_init(|| Segment::Own((0..size).map(|_| make()).collect()));
        self.publish(level, segment);
        Some(segment)
    }

    /// Lets readers find the elements of this level.
    fn publish(&self, level: usize, segment: &Segment<T>) {
        let bits = FIRST_BITS as usize + level;
        let base = segment.as_ptr().cast_mut().wrapping_sub(1usize << bits);
        // Release: pairs with the load in `get`. Every store is of the same value.
        self.bases[bits].store(base, Ordering::Release);
    }
}

#[cfg(test)]
#[path = "segments_tests.rs"]
mod tests;
