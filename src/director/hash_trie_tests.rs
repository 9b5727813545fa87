use std::collections::HashMap;
use std::hash::{Hash, Hasher};

use super::{CHILDREN, HashTrie, LEAF, Link, Node};
use crate::concurrent::test_random::Random;
use crate::sync::Arc;

/// A key whose hash is that of a smaller number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key<const HASHES: u32>(u32);

impl<const HASHES: u32> Hash for Key<HASHES> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.0 % HASHES).hash(state);
    }
}

fn sorted<const HASHES: u32>(entries: impl Iterator<Item = (Key<HASHES>, u32)>) -> Vec<(u32, u32)> {
    let mut sorted: Vec<_> = entries.map(|(key, value)| (key.0, value)).collect();
    sorted.sort_unstable();
    sorted
}

/// Random changes do to a trie what they do to a map, and nothing to earlier copies.
fn agrees<const HASHES: u32>(keys: u32) {
    let mut random = Random(u64::from(keys));
    let mut trie: HashTrie<Key<HASHES>, u32> = HashTrie::default();
    let mut map: HashMap<Key<HASHES>, u32> = HashMap::new();
    let mut copies = Vec::new();
    for step in 0..20_000 {
        let key = Key(random.below(keys.into()) as u32);
        // Grows, then shrinks, in turn.
        let grows = (step / (2 * keys)).is_multiple_of(2);
        match random.below(8) {
            0 => assert_eq!(trie.get(&key), map.get(&key)),
            1 => {
                let value = trie.get_mut(&key).map(|value| std::mem::replace(value, step));
                assert_eq!(value, map.get_mut(&key).map(|value| std::mem::replace(value, step)));
            }
            2..=5 if grows => assert_eq!(trie.insert(key, step), map.insert(key, step)),
            6 if !grows => assert_eq!(trie.insert(key, step), map.insert(key, step)),
            _ => assert_eq!(trie.remove(&key), map.remove(&key)),
        }
        assert_eq!((trie.len(), trie.is_empty()), (map.len(), map.is_empty()));
        if step % 997 == 0 {
            copies.push((trie.clone(), map.clone()));
        }
    }
    copies.push((trie, map));
    for (trie, map) in copies {
        let entries = |map: &HashMap<Key<HASHES>, u32>| sorted(map.iter().map(|(k, v)| (*k, *v)));
        assert_eq!(sorted(trie.iter().map(|(key, value)| (*key, *value))), entries(&map));
        let collected: HashTrie<_, _> = map.iter().map(|(key, value)| (*key, *value)).collect();
        assert!(map.iter().all(|(key, value)| collected.get(key) == Some(value)));
    }
}

#[test]
fn a_trie_is_a_map() {
    agrees::<{ u32::MAX }>(3);
    agrees::<{ u32::MAX }>(40);
    agrees::<{ u32::MAX }>(3000);
}

#[test]
fn equal_hashes_are_told_apart() {
    agrees::<1>(50);
    agrees::<5>(200);
}

fn filled(keys: u32) -> HashTrie<u32, u64> {
    (0..keys).map(|key| (key, 7)).collect()
}

#[test]
fn a_copy_is_known_until_either_changes() {
    let mut one = filled(100);
    let copy = one.clone();
    assert!(one.is_copy_of(&copy) && copy.is_copy_of(&one));
    // What changes nothing.
    assert_eq!((one.remove(&100), one.get_mut(&100)), (None, None));
    assert!(one.is_copy_of(&copy));
    one.insert(5, 7);
    assert!(!one.is_copy_of(&copy));
    let none = HashTrie::<u32, u64>::default();
    assert!(none.is_copy_of(&HashTrie::default()) && !none.is_copy_of(&copy));
    one = filled(1);
    one.remove(&0);
    assert!(one.is_copy_of(&none), "nothing is left of it");
}

/// Every node of a trie, by address, and what it takes.
fn nodes(link: &Link<u32, u64>, found: &mut HashMap<usize, usize>) {
    let Some(node) = link else { return };
    let bytes = match &**node {
        Node::Leaf(entries) => entries.capacity() * size_of::<(u32, u64)>(),
        Node::Branch(children) => {
            children.iter().for_each(|child| nodes(child, found));
            CHILDREN * size_of::<Link<u32, u64>>()
        }
    };
    found.insert(Arc::as_ptr(node).addr(), bytes + size_of::<Node<u32, u64>>() + 16);
}

/// Number and bytes of nodes that are not among these.
fn fresh(old: &HashMap<usize, usize>, after: &HashTrie<u32, u64>) -> (usize, u64) {
    let mut new = HashMap::new();
    nodes(&after.root, &mut new);
    new.retain(|node, _| !old.contains_key(node));
    (new.len(), new.values().sum::<usize>() as u64)
}

#[test]
fn a_change_takes_a_path_and_no_more_than_it_says() {
    for keys in [0, 1, LEAF as u32, 9, 100, 1000, 50_000] {
        let (before, mut old) = (filled(keys), HashMap::new());
        nodes(&before.root, &mut old);
        let (mut most, mut all) = (0, 0);
        for key in (0..keys).step_by(1 + keys as usize / 50) {
            for change in [0, 1, 2] {
                let mut after = before.clone();
                match change {
                    0 => _ = after.insert(keys + key, 1),
                    1 => _ = after.remove(&key),
                    _ => _ = after.insert(key, 1),
                }
                let (nodes, bytes) = fresh(&old, &after);
                assert!(bytes <= before.to_change(1), "{keys} {change}: {bytes} bytes");
                (most, all) = (most.max(nodes), all + 1);
            }
        }
        // 16 children each: 50,000 entries are five levels down. A leaf that is divided becomes several.
        assert!(most <= 6 + LEAF, "{keys}: {most} nodes");
        assert!(all > 0 || keys == 0);
        for changes in [1, 10, 1000, 20_000] {
            let mut after = before.clone();
            (0..changes).for_each(|change| _ = after.insert(3 * change, 1));
            let (_, bytes) = fresh(&old, &after);
            let said = before.to_change(changes as usize);
            assert!(bytes <= said, "{keys}, {changes} changes: {bytes} bytes, said {said}");
        }
    }
}

/// After entries have come and gone, a trie takes what it took before.
#[test]
fn branches_end_with_their_entries() {
    let mut trie = filled(20);
    let mut before = HashMap::new();
    nodes(&trie.root, &mut before);
    (20..50_000).for_each(|key| _ = trie.insert(key, 7));
    (20..50_000).for_each(|key| _ = trie.remove(&key));
    let mut after = HashMap::new();
    nodes(&trie.root, &mut after);
    assert!(after.len() <= before.len() + 2, "{} nodes, then {}", before.len(), after.len());
    (0..20).for_each(|key| _ = trie.remove(&key));
    assert!(trie.root.is_none());
}
