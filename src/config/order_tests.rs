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
