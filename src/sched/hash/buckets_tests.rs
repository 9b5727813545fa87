use super::{bucket_of, client_value};
use crate::flow::Flow;

#[test]
fn a_key_is_folded() {
    let flow = Flow::default().with_key(0xffff_0000_ff00_ff00);
    assert_eq!(client_value(&flow, false), 0x00ff_ff00);
    assert_eq!(client_value(&flow, true), 0x00ff_ff00);
}

#[test]
fn vectors_of_the_kernel() {
    for (client, with_port, bucket) in [
        ("192.168.7.1:0", false, 60),
        ("192.168.7.2:0", false, 157),
        ("10.0.0.1:0", false, 39),
        ("192.168.7.1:1000", true, 51),
        ("255.255.255.255:1", true, 0),
        ("[2001:db8::1]:0", false, 63),
        ("[fd09::5]:443", true, 2),
    ] {
        let client = client.parse().expect("an address");
        let flow = Flow::tcp(client, client);
        assert_eq!(bucket_of(super::client_value(&flow, with_port)), bucket, "{client}");
    }
}
