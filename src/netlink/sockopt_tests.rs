use super::*;

fn entry(length: usize, parts: &[(usize, &[u8])]) -> Vec<u8> {
    let mut entry = vec![0; length];
    for (place, bytes) in parts {
        entry[*place..place + bytes.len()].copy_from_slice(bytes);
    }
    entry
}

#[test]
fn sizes_are_the_headers() {
    let sizes = [SERVERS_HEAD, SERVER, SERVICES_HEAD, SERVICE];
    let narrow = cfg!(all(target_arch = "x86", target_pointer_width = "32"));
    assert_eq!(sizes, if narrow { [20, 88, 4, 100] } else { [24, 96, 8, 104] });
}

#[test]
fn a_server_is_read() {
    let parts: [(usize, &[u8]); 6] = [
        (0, &[10, 9, 0, 1]),
        (4, &[0, 80]),
        (8, &0x0103_u32.to_ne_bytes()),
        (12, &5_u32.to_ne_bytes()),
        (16, &9_u32.to_ne_bytes()),
        (20, &3_u32.to_ne_bytes()),
    ];
    let mut bytes = entry(SERVER, &parts);
    let address = "10.9.0.1:80".parse().expect("an address");
    let thresholds = Thresholds { upper: 9, lower: 3 };
    let expected = RealServer { thresholds, ..RealServer::new(address) }.with_weight(5);
    assert_eq!(server(&bytes), ListEntry::Server(expected));
    for tunnel in [2, 5, 6, 7] {
        bytes[8..12].copy_from_slice(&u32::to_ne_bytes(tunnel));
        assert_eq!(server(&bytes), ListEntry::Unknown);
    }
    assert_eq!(server(&[UNWRITTEN; SERVER]), ListEntry::None);
}

#[test]
fn a_service_is_named_as_it_is_read() {
    for text in ["tcp 10.0.0.1:80", "udp 10.0.0.1:0", "sctp 1.2.3.4:65535", "fwmark 4294967295"] {
        let key: ServiceKey = text.parse().expect("a key");
        let name = head(&key).expect("an IPv4 service");
        let bytes = entry(SERVICE, &[(0, &name), (44, &7_u32.to_ne_bytes())]);
        assert_eq!(service(&bytes), Some((key, 7)));
    }
    assert_eq!(service(&[UNWRITTEN; SERVICE]), None);
    for text in ["tcp [fd00::1]:80", "fwmark 7 inet6"] {
        assert_eq!(head(&text.parse().expect("a key")), None);
    }
}
