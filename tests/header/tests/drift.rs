//! The committed header is what the sources say.

#[test]
fn the_header_is_up_to_date() {
    let committed = std::fs::read_to_string(vsched_header::path()).expect("include/vsched.h");
    let generated = vsched_header::generate();
    let differs = committed.lines().zip(generated.lines()).position(|(a, b)| a != b);
    assert!(committed == generated, "run `make header`; first difference: line {differs:?} + 1");
}
