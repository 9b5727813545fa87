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
mod tests {
    use super::*;

    fn sorted(texts: &[&str]) -> Vec<String> {
        let mut keys: Vec<ServiceKey> = texts.iter().map(|text| text.parse().unwrap()).collect();
        services(&mut keys, |key| key);
        keys.iter().map(ServiceKey::to_string).collect()
    }

    #[test]
    fn services_by_mark_family_protocol_address_and_port() {
        let order = [
            "fwmark 3000000000",
            "tcp 200.0.0.1:80",
            "tcp 10.0.0.1:80",
            "tcp 10.0.0.1:443",
            "udp 10.0.0.1:80",
            "sctp 10.0.0.1:80",
            "tcp [2001:db8::1]:80",
            "fwmark 7",
            "fwmark 7 inet6",
            "fwmark 8",
        ];
        let mut other = order;
        for _ in order {
            other.rotate_left(3);
            other.swap(2, 7);
            assert_eq!(sorted(&other), order);
        }
    }

    #[test]
    fn a_circle_is_sorted_without_panic() {
        let circle = ["10.0.0.1:1", "100.0.0.1:1", "200.0.0.1:1"].map(|a| a.parse().unwrap());
        for i in 0..3 {
            let after = circle[(i + 1) % 3];
            assert_eq!(compare_servers(circle[i], after), Ordering::Less);
        }
        // Enough for the standard library's sort to notice.
        let mut many: Vec<SocketAddr> = (0..1000).map(|i| circle[i * 7 % 3]).collect();
        servers(&mut many, |address| address);
        for address in circle {
            assert!(many.iter().filter(|a| **a == address).count() >= 333);
        }
    }

    #[test]
    fn mixed_families_compare_by_the_first_one() {
        let v4 = "32.1.13.184:9".parse().unwrap();
        let v6 = "[2001:db8::1]:80".parse().unwrap();
        // 32.1.13.184 has the first four bytes of 2001:db8::1.
        assert_eq!(compare_servers(v4, v6), Ordering::Less, "by port");
        assert_eq!(compare_servers(v6, v4), Ordering::Greater, "by address");
    }
}
