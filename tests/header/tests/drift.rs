//! The committed headers equal what the sources generate.

#[test]
fn the_headers_are_up_to_date() {
    for header in vsched_header::generate() {
        let committed = std::fs::read_to_string(vsched_header::path(header.name));
        let committed = committed.expect("a committed header");
        let mut lines = committed.lines().zip(header.text.lines());
        let differs = lines.position(|(a, b)| a != b).map(|line| line + 1);
        let name = header.name;
        assert!(
            committed == header.text,
            "{name}: run `make header`; first difference: {differs:?}"
        );
    }
}

#[test]
fn the_header_for_bindings_has_declarations_only() {
    let [manual, bindings] = vsched_header::generate();
    let declarations = bindings.text.lines().filter(|line| !line.starts_with(['/', ' ']));
    for line in declarations {
        assert!(!line.starts_with('#'), "a directive: {line}");
        assert!(!line.contains("MUST_USE") && !line.contains("__"), "a macro or attribute: {line}");
    }
    // The only constant that a declaration uses is written out.
    assert!(manual.text.contains("#define VSCHED_KEY_SIZE 64\n"));
    assert!(manual.text.contains("#define VSCHED_NAME_SIZE 256\n"));
    assert!(!bindings.text.contains("[VSCHED_"));
}
