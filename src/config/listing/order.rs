//! The order of a listing: that of ipvsadm, which is circular.
//!
//! Addresses and firewall marks are compared by the sign of their wrapped 32-bit difference, so
//! 172.16.0.1 comes before 10.0.0.1, and 10.0.0.1 before 100.0.0.1. This is no total order: what
//! comes out depends on the order that goes in and on the sort. The standard sorts may panic on
//! such an order, so [`sort`] is our own; it makes the comparisons that ipvsadm was seen to make.

use std::cmp::Ordering;
use std::net::{IpAddr, SocketAddr};

use crate::config::{Family, ServiceKey};

/// Firewall mark (none before marks), family, protocol, address, port.
pub(super) fn compare_services(left: &ServiceKey, right: &ServiceKey) -> Ordering {
    circular(mark(left), mark(right))
        .then_with(|| (left.family() == Family::Inet6).cmp(&(right.family() == Family::Inet6)))
        .then_with(|| protocol_number(left).cmp(&protocol_number(right)))
        .then_with(|| match (left, right) {
            (
                ServiceKey::Address { address: left, .. },
                ServiceKey::Address { address: right, .. },
            ) => compare_servers(*left, *right),
            _ => Ordering::Equal,
        })
}

/// Address, port. The left side's family says how many words of the addresses are compared.
pub(super) fn compare_servers(left: SocketAddr, right: SocketAddr) -> Ordering {
    let words = if left.is_ipv4() { 1 } else { 4 };
    let (left_words, right_words) = (words_of(left.ip()), words_of(right.ip()));
    left_words
        .into_iter()
        .zip(right_words)
        .take(words)
        .find(|(left, right)| left != right)
        .map_or(Ordering::Equal, |(left, right)| circular(left, right))
        .then_with(|| left.port().cmp(&right.port()))
}

/// Stable merge sort, split in the middle, ties to the left: total on any order, even a circular one.
pub(super) fn sort<T: Copy>(items: &mut [T], compare: &impl Fn(T, T) -> Ordering) {
    let middle = items.len() / 2;
    if middle == 0 {
        return;
    }
    let (low, high) = items.split_at_mut(middle);
    sort(low, compare);
    sort(high, compare);
    let mut merged = Vec::with_capacity(items.len());
    let (mut low, mut high) = items.split_at(middle);
    while let ([left, low_rest @ ..], [right, high_rest @ ..]) = (low, high) {
        if compare(*left, *right).is_le() {
            merged.push(*left);
            low = low_rest;
        } else {
            merged.push(*right);
            high = high_rest;
        }
    }
    merged.extend_from_slice(low);
    merged.extend_from_slice(high);
    items.copy_from_slice(&merged);
}

fn circular(left: u32, right: u32) -> Ordering {
    (left.wrapping_sub(right) as i32).cmp(&0)
}

fn mark(key: &ServiceKey) -> u32 {
    match key {
        ServiceKey::Address { .. } => 0,
        ServiceKey::FirewallMark { mark, .. } => *mark,
    }
}

fn protocol_number(key: &ServiceKey) -> u8 {
    key.protocol().map_or(0, |protocol| protocol.number())
}

fn words_of(ip: IpAddr) -> [u32; 4] {
    match ip {
        IpAddr::V4(ip) => [ip.to_bits(), 0, 0, 0],
        IpAddr::V6(ip) => {
            let bits = ip.to_bits();
            [96, 64, 32, 0].map(|shift| (bits >> shift) as u32)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        SocketAddr::new(text.parse().expect("an address"), 80)
    }

    #[test]
    fn addresses_run_in_a_circle() {
        let circle = ["10.0.0.1", "100.0.0.1", "172.16.0.1", "10.0.0.1"].map(address);
        for pair in circle.windows(2) {
            assert_eq!(
                compare_servers(pair[0], pair[1]),
                Ordering::Less,
                "{pair:?}"
            );
        }
    }

    #[test]
    fn every_order_can_be_sorted() {
        // Rock, paper, scissors, and an order in which everything precedes everything.
        for length in 0..200_u32 {
            let mut items: Vec<u32> = (0..length)
                .map(|item| item.wrapping_mul(7919) % 3)
                .collect();
            let mut expected = items.clone();
            sort(&mut items, &|left, right| ((left + 4 - right) % 3).cmp(&1));
            sort(&mut items, &|_, _| Ordering::Less);
            sort(&mut items, &|_, _| Ordering::Greater);
            items.sort_unstable();
            expected.sort_unstable();
            assert_eq!(items, expected, "nothing lost, nothing doubled");
        }
    }

    #[test]
    fn a_total_order_is_sorted_stably() {
        let mut items: Vec<(u32, u32)> = (0..1000).map(|item| (item * 7919 % 10, item)).collect();
        let mut expected = items.clone();
        expected.sort_by_key(|item| item.0);
        sort(&mut items, &|left, right| left.0.cmp(&right.0));
        assert_eq!(items, expected);
    }
}
