use super::Address;

#[test]
fn addresses_print_as_in_c() {
    for (address, text) in [
        ("[::]:9", "[::]:9"),
        ("[::1]:9", "[::1]:9"),
        ("[::ffff]:9", "[::ffff]:9"),
        ("[::1:0]:9", "[::0.1.0.0]:9"),
        ("[::102:304]:9", "[::1.2.3.4]:9"),
        ("[::ffff:102:304]:9", "[::ffff:1.2.3.4]:9"),
        ("[1::102:304]:9", "[1::102:304]:9"),
        ("[fe80::1%3]:9", "[fe80::1]:9"),
        ("1.2.3.4:9", "1.2.3.4:9"),
    ] {
        let address = address.parse().expect("an address");
        assert_eq!(Address(address).to_string(), text);
    }
}
