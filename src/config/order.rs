//! The order in which ipvsadm prints services and servers.
//!
//! It compares by wrapped 32-bit differences, so the order is circular: 200.0.0.1 sorts before
//! 10.0.0.1, which sorts before 100.0.0.1, which sorts before 200.0.0.1. The result of sorting such a
//! circle depends on the algorithm and on the initial order; the standard library's sorts may even
//! panic. So this is the C library's merge sort, which gives the same results and never panics.

use std::cmp::Ordering;
use std::net::{IpAddr, SocketAddr};

use crate::config::ServiceKey;

/// Sorts services as ipvsadm does: address services before marks up to 2147483647 and after greater
/// ones, then by family, protocol, address and port.
pub(crate) fn services<T: Copy>(items: &mut [T], key: impl Fn(T) -> ServiceKey) {
    merge_sort(items, &mut |a, b| compare_services(&key(a), &key(b)));
}

/// Sorts servers, given newest first as a kernel lists them, as ipvsadm does: by address and port.
pub(crate) fn servers<T: Copy>(items: &mut [T], address: impl Fn(T) -> SocketAddr) {
    merge_sort(items, &mut |a, b| compare_servers(address(a), address(b)));
}

/// Compares two services; not transitive.
pub(crate) fn compare_services(a: &ServiceKey, b: &ServiceKey) -> Ordering {
    difference(mark(a), mark(b)).then(a.family().cmp(&b.family())).then_with(|| match (a, b) {
        (
            ServiceKey::Address { protocol: p, address: a },
            ServiceKey::Address { protocol: q, address: b },
        ) => p.number().cmp(&q.number()).then_with(|| compare_servers(*a, *b)),
        _ => Ordering::Equal,
    })
}

/// Compares two servers; not transitive. The family of the first decides how much of the addresses is
/// compared, an IPv4 address being the first four bytes of sixteen.
pub(crate) fn compare_servers(a: SocketAddr, b: SocketAddr) -> Ordering {
    let length = if a.is_ipv4() { 1 } else { 4 };
    words(a.ip())
        .into_iter()
        .zip(words(b.ip()))
        .take(length)
        .map(|(a, b)| difference(a, b))
        .find(|order| order.is_ne())
        .unwrap_or_else(|| a.port().cmp(&b.port()))
}

fn mark(key: &ServiceKey) -> u32 {
    match key {
        ServiceKey::FirewallMark { mark, .. } => *mark,
        ServiceKey::Address { .. } => 0,
    }
}

fn difference(a: u32, b: u32) -> Ordering {
    (a.wrapping_sub(b) as i32).cmp(&0)
}

fn words(ip: IpAddr) -> [u32; 4] {
    match ip {
        IpAddr::V4(ip) => [ip.to_bits(), 0, 0, 0],
        IpAddr::V6(ip) => {
            let bits = ip.to_bits();
            [96, 64, 32, 0].map(|shift| (bits >> shift) as u32)
        }
    }
}

/// Stable top-down merge sort, the shorter half first.
fn merge_sort<T: Copy>(items: &mut [T], compare: &mut impl FnMut(T, T) -> Ordering) {
    if items.len() < 2 {
        return;
    }
    let (left, right) = items.split_at_mut(items.len() / 2);
    merge_sort(left, compare);
    merge_sort(right, compare);
    let (before, right) = (left.to_vec(), right.to_vec());
    let (mut left, mut right) = (before.into_iter().peekable(), right.into_iter().peekable());
    for slot in items {
        let next = match (left.peek(), right.peek()) {
            (Some(a), Some(b)) if compare(*a, *b).is_gt() => right.next(),
            (None, _) => right.next(),
            _ => left.next(),
        };
        if let Some(next) = next {
            *slot = next;
        }
    }
}

#[cfg(test)]
#[path = "order_tests.rs"]
mod tests;
