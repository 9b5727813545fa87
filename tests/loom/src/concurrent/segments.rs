//! An array of at most two elements, all made at once: few enough for a model to go through.

const CAPACITY: usize = 2;

pub(crate) struct Segments<T>([T; CAPACITY]);

impl<T: Default> Segments<T> {
    pub(crate) fn new() -> Self {
        Segments(Default::default())
    }

    pub(crate) fn grow_to(&self, length: u32) -> bool {
        length as usize <= CAPACITY
    }

    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        self.0.get(index as usize)
    }
}
