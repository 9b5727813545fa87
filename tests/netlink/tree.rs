//! A second parser of attribute trees, independent of the crate's: compares messages that may
//! differ in order, padding and the nested flag only.

/// A nest of attributes: type, and value or nest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Node {
    Value(u16, Vec<u8>),
    Nest(u16, Vec<Node>),
}

impl Node {
    pub(crate) fn kind(&self) -> u16 {
        match self {
            Node::Value(kind, _) | Node::Nest(kind, _) => *kind,
        }
    }
}

const GENERIC: usize = 4;
const SET_INFO: u8 = 14;

/// The attributes of a payload of the IPVS family, in their order.
pub(crate) fn tree(payload: &[u8]) -> Vec<Node> {
    nodes(&payload[GENERIC..], if payload[0] == SET_INFO { usize::MAX } else { 0 })
}

/// Depth 0 holds the nests of service, server and daemon, depth 1 those of statistics.
fn nodes(mut bytes: &[u8], depth: usize) -> Vec<Node> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let number = |at: usize| usize::from(u16::from_ne_bytes([bytes[at], bytes[at + 1]]));
        let (length, kind) = (number(0), number(2) as u16 & 0x3fff);
        let value = &bytes[4..length];
        let nest = matches!((depth, kind), (0, 1..=3)) || (matches!((depth, kind), (1, 10 | 12)));
        found.push(if nest {
            Node::Nest(kind, nodes(value, depth + 1))
        } else {
            Node::Value(kind, value.to_vec())
        });
        bytes = &bytes[length.next_multiple_of(4).min(bytes.len())..];
    }
    found
}

/// The same in order of types, without the padding of statistics.
pub(crate) fn sorted(nodes: &[Node], depth: usize) -> Vec<Node> {
    let mut sorted: Vec<Node> = nodes
        .iter()
        .filter(|node| depth < 2 || node.kind() <= 10)
        .map(|node| match node {
            Node::Value(..) => node.clone(),
            Node::Nest(kind, inside) => Node::Nest(*kind, self::sorted(inside, depth + 1)),
        })
        .collect();
    sorted.sort();
    sorted
}
