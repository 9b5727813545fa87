//! An array of at most a few elements, all made at once: few enough for a model to go through.

use std::sync::{Arc, OnceLock};

pub(crate) const CAPACITY: usize = 3;

pub(crate) struct Segments<T>(OnceLock<Arc<[T]>>);

impl<T> Segments<T> {
    pub(crate) fn new() -> Self {
        Segments(OnceLock::new())
    }

    pub(crate) fn first(&self, make: impl Fn() -> T) -> Arc<[T]> {
        Arc::clone(self.0.get_or_init(|| (0..CAPACITY).map(|_| make()).collect()))
    }

    pub(crate) fn grow_to(&self, length: u32) -> bool
    where
        T: Default,
    {
        self.grow_to_with(length, T::default)
    }

    pub(crate) fn grow_to_with(&self, length: u32, make: impl Fn() -> T) -> bool {
        self.first(make);
        length as usize <= CAPACITY
    }

    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        self.0.get()?.get(index as usize)
    }
}

/// A counted reference to elements.
pub(crate) struct Segment<T>(Arc<[T]>);

impl<T: Default> Segment<T> {
    pub(crate) fn of(length: usize) -> Self {
        Segment((0..length).map(|_| T::default()).collect())
    }
}

impl<T> Clone for Segment<T> {
    fn clone(&self) -> Self {
        Segment(Arc::clone(&self.0))
    }
}

impl<T> std::ops::Deref for Segment<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

/// A counted reference.
pub(crate) struct ArcRef<T>(Arc<T>);

impl<T> Clone for ArcRef<T> {
    fn clone(&self) -> Self {
        ArcRef(Arc::clone(&self.0))
    }
}

impl<T> ArcRef<T> {
    pub(crate) fn standalone(element: T) -> Self {
        ArcRef(Arc::new(element))
    }

    pub(crate) fn get(&self) -> &T {
        &self.0
    }
}
