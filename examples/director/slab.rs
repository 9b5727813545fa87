//! Values with small numbers, which serve as poll tokens.

pub(crate) struct Slab<T> {
    entries: Vec<Option<T>>,
    free: Vec<usize>,
    /// Removed since the last [`Slab::settle`].
    released: Vec<usize>,
}

impl<T> Slab<T> {
    pub(crate) fn new() -> Self {
        Slab { entries: Vec::new(), free: Vec::new(), released: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.free.len() - self.released.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All numbers are below this.
    pub(crate) fn bound(&self) -> usize {
        self.entries.len()
    }

    /// The number of the next [`Slab::insert`].
    pub(crate) fn next(&self) -> usize {
        self.free.last().copied().unwrap_or(self.entries.len())
    }

    pub(crate) fn insert(&mut self, value: T) {
        match self.free.pop().and_then(|index| self.entries.get_mut(index)) {
            Some(entry) => *entry = Some(value),
            None => self.entries.push(Some(value)),
        }
    }

    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        self.entries.get(index)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.entries.get_mut(index)?.as_mut()
    }

    pub(crate) fn remove(&mut self, index: usize) -> Option<T> {
        let value = self.entries.get_mut(index)?.take()?;
        self.released.push(index);
        Some(value)
    }

    /// Releases removed numbers for reuse. Called between two polls, so that an event reported for the
    /// previous owner never reaches the next.
    pub(crate) fn settle(&mut self) {
        self.free.append(&mut self.released);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        self.entries
            .iter()
            .enumerate()
            .filter_map(|(index, entry)| entry.as_ref().map(|value| (index, value)))
    }
}
