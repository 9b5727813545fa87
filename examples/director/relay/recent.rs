//! A map whose entries are also kept in the order of their last use.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Instant;

use crate::slab::Slab;

/// Every operation is O(1). The hash is keyed: clients choose the keys.
pub(super) struct Recent<K, T> {
    entries: Slab<Entry<K, T>>,
    numbers: HashMap<K, usize>,
    /// The ends of the list: used longest ago, and last.
    oldest: Option<usize>,
    newest: Option<usize>,
}

struct Entry<K, T> {
    key: K,
    value: T,
    used: Instant,
    older: Option<usize>,
    newer: Option<usize>,
}

impl<K: Copy + Eq + Hash, T> Recent<K, T> {
    pub(super) fn new() -> Self {
        Recent { entries: Slab::new(), numbers: HashMap::new(), oldest: None, newest: None }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn find(&self, key: &K) -> Option<usize> {
        self.numbers.get(key).copied()
    }

    /// The number of the next [`Recent::insert`].
    pub(super) fn next(&self) -> usize {
        self.entries.next()
    }

    /// Adds an entry under a key that has none.
    pub(super) fn insert(&mut self, key: K, value: T, now: Instant) {
        let index = self.entries.next();
        self.entries.insert(Entry { key, value, used: now, older: None, newer: None });
        self.numbers.insert(key, index);
        self.append(index);
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.entries.get_mut(index).map(|entry| &mut entry.value)
    }

    /// The entry was used now.
    pub(super) fn touch(&mut self, index: usize, now: Instant) {
        let Some(entry) = self.entries.get_mut(index) else { return };
        entry.used = now;
        if self.newest != Some(index) {
            self.unlink(index);
            self.append(index);
        }
    }

    /// The entry that was used longest ago, and when.
    pub(super) fn oldest(&self) -> Option<(usize, Instant)> {
        let index = self.oldest?;
        Some((index, self.entries.get(index)?.used))
    }

    pub(super) fn remove(&mut self, index: usize) -> Option<T> {
        self.unlink(index);
        let entry = self.entries.remove(index)?;
        self.numbers.remove(&entry.key);
        Some(entry.value)
    }

    /// The numbers of these entries. O(n).
    pub(super) fn matching(&self, wanted: impl Fn(&K) -> bool) -> Vec<usize> {
        self.numbers.iter().filter(|(key, _)| wanted(key)).map(|(_, index)| *index).collect()
    }

    /// See [`Slab::settle`].
    pub(super) fn settle(&mut self) {
        self.entries.settle();
    }

    fn append(&mut self, index: usize) {
        let older = self.newest.replace(index);
        if let Some(entry) = self.entries.get_mut(index) {
            (entry.older, entry.newer) = (older, None);
        }
        match older.and_then(|older| self.entries.get_mut(older)) {
            Some(older) => older.newer = Some(index),
            None => self.oldest = Some(index),
        }
    }

    fn unlink(&mut self, index: usize) {
        let Some(entry) = self.entries.get(index) else { return };
        let (older, newer) = (entry.older, entry.newer);
        match older.and_then(|older| self.entries.get_mut(older)) {
            Some(older) => older.newer = newer,
            None => self.oldest = newer,
        }
        match newer.and_then(|newer| self.entries.get_mut(newer)) {
            Some(newer) => newer.older = older,
            None => self.newest = older,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Recent;

    #[test]
    fn the_order_is_that_of_the_last_use() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut recent = Recent::new();
        for (key, second) in [('a', 0), ('b', 1), ('c', 2), ('d', 3)] {
            recent.insert(key, key.to_ascii_uppercase(), at(second));
        }
        let number = |recent: &Recent<char, char>, key| recent.find(&key).expect("inserted");
        recent.touch(number(&recent, 'a'), at(4));
        recent.touch(number(&recent, 'c'), at(5));
        recent.touch(number(&recent, 'c'), at(6));
        assert_eq!(recent.remove(number(&recent, 'a')), Some('A'));
        recent.settle();
        recent.insert('e', 'E', at(7));
        let mut order = Vec::new();
        while let Some((index, used)) = recent.oldest() {
            order.push((recent.remove(index).expect("the oldest"), used));
        }
        assert_eq!(order, [('B', at(1)), ('D', at(3)), ('C', at(6)), ('E', at(7))]);
        assert_eq!((recent.len(), recent.find(&'b')), (0, None));
    }
}
