use super::ipv4;

#[test]
fn short_octal_and_hexadecimal_forms() {
    let read = |text| ipv4(text).map(|ip| ip.to_string());
    assert_eq!(read("10.1").as_deref(), Some("10.0.0.1"));
    assert_eq!(read("1.2.65535").as_deref(), Some("1.2.255.255"));
    assert_eq!(read("010.0.0.0x10").as_deref(), Some("8.0.0.16"));
    assert_eq!(read("4294967295").as_deref(), Some("255.255.255.255"));
    for wrong in [
        "",
        ".",
        "1.",
        "1..2",
        "1.2.3.4.5",
        "1.2.3.256",
        "1.2.65536",
        "256.1",
        "4294967296",
        "+1.2",
        "08.1",
        "0x",
        "1.2.3.0x+1",
        "1 .2",
    ] {
        assert_eq!(read(wrong), None, "{wrong}");
    }
}
