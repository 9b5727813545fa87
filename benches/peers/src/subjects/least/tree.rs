//! An ordered tree of servers by load: to take the first server and to release one both delete it from
//! the tree and insert it again at its new load.
//!
//! A radix tree by the bits of its keys: it needs no rebalancing, and a deletion touches only its
//! neighbors. Keys are the load and the position, so that the first in the list wins a tie, or the load
//! alone. Then servers of one load form a ring at one leaf, in which the server that has waited longest
//! comes first. Everything is in arrays, and the first leaf is known, so that no descent looks for it.

use crate::subjects::least::LeastLoaded;
use crate::subjects::least::load::Load;

const NONE: u32 = u32::MAX;
/// Of a link: leads to a leaf.
const LEAF: u32 = 1 << 31;

struct Server {
    load: Load,
    leaf: u32,
    /// Neighbors in the ring of servers with the same key.
    next: u32,
    previous: u32,
}

/// All servers with one key.
struct Leaf {
    key: u64,
    first: u32,
    parent: u32,
}

/// Where keys differ in `bit` for the first time; they agree with `key` above it.
struct Node {
    key: u64,
    bit: u32,
    parent: u32,
    /// By the bit, nodes or leaves.
    children: [u32; 2],
}

/// Ties go to the first in the list, or, with `RINGS`, to the server that has waited longest.
pub struct Tree<const RINGS: bool> {
    servers: Vec<Server>,
    leaves: Vec<Leaf>,
    nodes: Vec<Node>,
    free_leaves: Vec<u32>,
    free_nodes: Vec<u32>,
    root: u32,
    /// The leaf of the least load.
    first: u32,
}

impl<const RINGS: bool> Tree<RINGS> {
    fn key_of(&self, link: u32) -> u64 {
        match link & LEAF {
            0 => self.nodes[link as usize].key,
            _ => self.leaves[(link ^ LEAF) as usize].key,
        }
    }

    fn set_parent(&mut self, link: u32, parent: u32) {
        match link & LEAF {
            0 => self.nodes[link as usize].parent = parent,
            _ => self.leaves[(link ^ LEAF) as usize].parent = parent,
        }
    }

    /// Puts `new` where `old` was below `parent`.
    fn replace(&mut self, parent: u32, old: u32, new: u32) {
        self.set_parent(new, parent);
        if parent == NONE {
            self.root = new;
            return;
        }
        let children = &mut self.nodes[parent as usize].children;
        children[usize::from(children[1] == old)] = new;
    }

    #[inline(always)]
    fn insert(&mut self, server: u32) {
        let load = self.servers[server as usize].load;
        let key = if RINGS { load.key() } else { load.key_with(server) };
        let (mut link, mut parent) = (self.root, NONE);
        if link == NONE {
            let leaf = self.new_leaf(key, server, NONE);
            (self.root, self.first) = (leaf | LEAF, leaf);
            return;
        }
        while link & LEAF == 0 {
            let node = &self.nodes[link as usize];
            if (node.key ^ key) >> node.bit > 1 {
                break;
            }
            (parent, link) = (link, node.children[(key >> node.bit & 1) as usize]);
        }
        let differs = self.key_of(link) ^ key;
        if differs == 0 {
            self.join(server, link ^ LEAF);
            return;
        }
        let bit = differs.ilog2();
        let leaf = self.new_leaf(key, server, NONE);
        let side = (key >> bit & 1) as usize;
        let mut children = [link; 2];
        children[side] = leaf | LEAF;
        let node = self.free_nodes.pop().expect("one less than leaves");
        self.nodes[node as usize] = Node { key, bit, parent, children };
        self.replace(parent, link, node);
        self.set_parent(link, node);
        self.leaves[leaf as usize].parent = node;
        if key < self.leaves[self.first as usize].key {
            self.first = leaf;
        }
    }

    fn new_leaf(&mut self, key: u64, server: u32, parent: u32) -> u32 {
        let leaf = self.free_leaves.pop().expect("one per server");
        self.leaves[leaf as usize] = Leaf { key, first: server, parent };
        let its = &mut self.servers[server as usize];
        (its.leaf, its.next, its.previous) = (leaf, server, server);
        leaf
    }

    /// Adds the server as the last of its ring.
    #[inline(always)]
    fn join(&mut self, server: u32, leaf: u32) {
        let next = self.leaves[leaf as usize].first;
        let previous = self.servers[next as usize].previous;
        self.servers[next as usize].previous = server;
        self.servers[previous as usize].next = server;
        let its = &mut self.servers[server as usize];
        (its.leaf, its.next, its.previous) = (leaf, next, previous);
    }

    #[inline(always)]
    fn delete(&mut self, server: u32) {
        let Server { leaf, next, previous, .. } = self.servers[server as usize];
        if next == server {
            self.delete_leaf(leaf);
            return;
        }
        self.servers[next as usize].previous = previous;
        self.servers[previous as usize].next = next;
        let first = &mut self.leaves[leaf as usize].first;
        if *first == server {
            *first = next;
        }
    }

    fn delete_leaf(&mut self, leaf: u32) {
        self.free_leaves.push(leaf);
        let parent = self.leaves[leaf as usize].parent;
        if parent == NONE {
            (self.root, self.first) = (NONE, NONE);
            return;
        }
        let Node { parent: above, children, .. } = self.nodes[parent as usize];
        let other = children[usize::from(children[0] == leaf | LEAF)];
        self.replace(above, parent, other);
        self.free_nodes.push(parent);
        if self.first == leaf {
            // The least leaf is the lower child of its parent: the next is the least below the upper one.
            let mut link = other;
            while link & LEAF == 0 {
                link = self.nodes[link as usize].children[0];
            }
            self.first = link ^ LEAF;
        }
    }
}

impl<const RINGS: bool> LeastLoaded for Tree<RINGS> {
    fn new(weights: &[u32], connections: &[u32]) -> Self {
        let server = |(weight, connections): (&u32, &u32)| Server {
            load: Load::new(*weight, *connections),
            leaf: NONE,
            next: NONE,
            previous: NONE,
        };
        let count = weights.len() as u32;
        let leaf = |_| Leaf { key: 0, first: NONE, parent: NONE };
        let node = |_| Node { key: 0, bit: 0, parent: NONE, children: [NONE; 2] };
        let mut tree = Tree {
            servers: weights.iter().zip(connections).map(server).collect(),
            leaves: (0..count).map(leaf).collect(),
            nodes: (0..count).map(node).collect(),
            free_leaves: (0..count).rev().collect(),
            free_nodes: (0..count).rev().collect(),
            root: NONE,
            first: NONE,
        };
        (0..count).for_each(|server| tree.insert(server));
        tree
    }

    #[inline(always)]
    fn take(&mut self) -> u32 {
        let server = self.leaves[self.first as usize].first;
        self.delete(server);
        self.servers[server as usize].load.add();
        self.insert(server);
        server
    }

    #[inline(always)]
    fn release(&mut self, server: u32) {
        self.delete(server);
        self.servers[server as usize].load.subtract();
        self.insert(server);
    }
}
