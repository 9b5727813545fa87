//! A map whose copies share what they have in common: a copy is O(1), and the next change of a map that
//! was copied allocates the path to one entry, not the map.
//!
//! A hash trie: each branch goes by four more bits of the key's hash, and a leaf holds a few entries. A
//! `HashMap` in an `Arc` would be copied as a whole for each change that is published. The crates `im` and
//! `rpds` have such maps too, for many more lines.

use std::hash::Hash;
use std::mem;
use std::slice;

use crate::sync::Arc;

/// Bits of the hash per branch.
const BITS: u32 = 4;
const CHILDREN: usize = 1 << BITS;
/// Most entries of a leaf, unless its keys' hashes are equal.
const LEAF: usize = 8;
/// Branches on the longest path.
const DEEPEST: u32 = u64::BITS / BITS;
/// What a node takes beside its entries or children, with what an allocator adds.
const NODE: usize = 96;

pub(super) struct HashTrie<K, V> {
    root: Link<K, V>,
    len: usize,
}

type Link<K, V> = Option<Arc<Node<K, V>>>;

#[derive(Clone)]
enum Node<K, V> {
    Leaf(Vec<(K, V)>),
    Branch(Box<[Link<K, V>; CHILDREN]>),
}

impl<K, V> Default for HashTrie<K, V> {
    fn default() -> Self {
        HashTrie { root: None, len: 0 }
    }
}

impl<K, V> Clone for HashTrie<K, V> {
    fn clone(&self) -> Self {
        HashTrie { root: self.root.clone(), len: self.len }
    }
}

impl<K, V> HashTrie<K, V> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// True if one is a copy of the other, and neither has changed since.
    pub(super) fn is_copy_of(&self, other: &Self) -> bool {
        match (&self.root, &other.root) {
            (Some(one), Some(two)) => Arc::ptr_eq(one, two),
            (one, two) => one.is_none() && two.is_none(),
        }
    }

    /// The entries, in no order.
    pub(super) fn iter(&self) -> Iter<'_, K, V> {
        Iter { entries: Default::default(), links: vec![slice::from_ref(&self.root).iter()] }
    }

    /// Bytes that this many changes of entries allocate, at most, as long as hashes differ in the bits
    /// that tell so many entries apart.
    pub(super) fn to_change(&self, changes: usize) -> u64 {
        let (entry, entries) = (size_of::<(K, V)>(), self.len.saturating_add(changes));
        let branch = NODE + CHILDREN * size_of::<Link<K, V>>();
        let branches = (usize::BITS - entries.leading_zeros()).div_ceil(BITS) as usize;
        // A leaf is copied, and then made larger or divided.
        let path = branches * branch + 3 * (NODE + LEAF * entry);
        let paths = changes.saturating_mul(path);
        let copy = entries.saturating_mul(2 * entry + NODE + branch / 2).saturating_add(path);
        paths.min(copy) as u64
    }
}

impl<K: Hash + Eq + Clone, V: Clone> HashTrie<K, V> {
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        let (mut node, mut hash) = (self.root.as_deref()?, hash_of(key));
        loop {
            match node {
                Node::Leaf(entries) => {
                    return entries.iter().find(|(known, _)| known == key).map(|(_, value)| value);
                }
                Node::Branch(children) => {
                    node = children[child(hash)].as_deref()?;
                    hash >>= BITS;
                }
            }
        }
    }

    /// The value, to be changed in this map and no copy.
    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        // Nothing is copied in vain.
        self.get(key)?;
        Node::get_mut(self.root.as_mut()?, hash_of(key), key)
    }

    /// Returns the previous value.
    pub(super) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let hash = hash_of(&key);
        let previous = Node::insert(&mut self.root, (hash, DEEPEST), key, value);
        self.len += usize::from(previous.is_none());
        previous
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        // As in `get_mut`.
        self.get(key)?;
        let removed = Node::remove(&mut self.root, hash_of(key), key)?;
        self.len -= 1;
        Some(removed)
    }
}

impl<K: Hash + Eq + Clone, V: Clone> FromIterator<(K, V)> for HashTrie<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut trie = HashTrie::default();
        for (key, value) in entries {
            trie.insert(key, value);
        }
        trie
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Node<K, V> {
    fn get_mut<'a>(this: &'a mut Arc<Self>, hash: u64, key: &K) -> Option<&'a mut V> {
        match Arc::make_mut(this) {
            Node::Leaf(entries) => {
                entries.iter_mut().find(|(known, _)| known == key).map(|(_, value)| value)
            }
            Node::Branch(children) => {
                Node::get_mut(children[child(hash)].as_mut()?, hash >> BITS, key)
            }
        }
    }

    /// `levels` is the number of branches that there may be yet on the way.
    fn insert(link: &mut Link<K, V>, (hash, levels): (u64, u32), key: K, value: V) -> Option<V> {
        let this = link.get_or_insert_with(|| Arc::new(Node::Leaf(Vec::new())));
        let node = Arc::make_mut(this);
        if let Node::Leaf(entries) = node {
            if let Some((_, known)) = entries.iter_mut().find(|(known, _)| *known == key) {
                return Some(mem::replace(known, value));
            }
            if entries.len() < LEAF || levels == 0 {
                entries.reserve_exact(1);
                entries.push((key, value));
                return None;
            }
            *node = Node::divided(mem::take(entries), DEEPEST - levels);
        }
        match node {
            Node::Branch(children) => {
                let next = (hash >> BITS, levels.saturating_sub(1));
                Node::insert(&mut children[child(hash)], next, key, value)
            }
            // It has just been divided.
            Node::Leaf(_) => None,
        }
    }

    /// A branch below so many others.
    fn divided(entries: Vec<(K, V)>, above: u32) -> Self {
        let mut children: [Vec<(K, V)>; CHILDREN] = Default::default();
        for (key, value) in entries {
            let leaf = &mut children[child(hash_of(&key) >> (above * BITS))];
            leaf.reserve_exact(1);
            leaf.push((key, value));
        }
        let leaf = |entries: Vec<_>| (!entries.is_empty()).then(|| Arc::new(Node::Leaf(entries)));
        Node::Branch(Box::new(children.map(leaf)))
    }

    fn remove(link: &mut Link<K, V>, hash: u64, key: &K) -> Option<V> {
        let node = Arc::make_mut(link.as_mut()?);
        let removed = match node {
            Node::Leaf(entries) => {
                let place = entries.iter().position(|(known, _)| known == key)?;
                entries.swap_remove(place).1
            }
            Node::Branch(children) => {
                let removed = Node::remove(&mut children[child(hash)], hash >> BITS, key)?;
                if let Some(leaf) = united(children) {
                    *node = Node::Leaf(leaf);
                }
                removed
            }
        };
        if matches!(node, Node::Leaf(entries) if entries.is_empty()) {
            *link = None;
        }
        Some(removed)
    }
}

/// The entries of all children, if they are leaves and have few: half as many as are divided, so that
/// one that comes and goes does not divide and unite them each time.
fn united<K: Clone, V: Clone>(children: &[Link<K, V>; CHILDREN]) -> Option<Vec<(K, V)>> {
    let mut few = 0;
    for child in children.iter().flatten() {
        match &**child {
            Node::Leaf(entries) => few += entries.len(),
            Node::Branch(_) => return None,
        }
    }
    if few > LEAF / 2 {
        return None;
    }
    let entries = children.iter().flatten().flat_map(|child| match &**child {
        Node::Leaf(entries) => entries.as_slice(),
        Node::Branch(_) => &[],
    });
    Some(entries.cloned().collect())
}

/// The same in every map, so that copies of copies agree.
fn hash_of<K: Hash>(key: &K) -> u64 {
    ahash::RandomState::with_seeds(0x76, 0x73, 0x63, 0x68).hash_one(key)
}

fn child(hash: u64) -> usize {
    hash as usize % CHILDREN
}

/// See [`HashTrie::iter`].
pub(super) struct Iter<'a, K, V> {
    entries: slice::Iter<'a, (K, V)>,
    /// Children to be visited yet, of every branch on the way.
    links: Vec<slice::Iter<'a, Link<K, V>>>,
}

impl<'a, K, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((key, value)) = self.entries.next() {
                return Some((key, value));
            }
            match self.links.last_mut()?.next() {
                None => _ = self.links.pop(),
                Some(link) => match link.as_deref() {
                    None => {}
                    Some(Node::Leaf(entries)) => self.entries = entries.iter(),
                    Some(Node::Branch(children)) => self.links.push(children.iter()),
                },
            }
        }
    }
}

#[cfg(test)]
#[path = "hash_trie_tests.rs"]
mod tests;
