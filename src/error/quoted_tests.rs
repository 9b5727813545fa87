use super::*;

fn quoted(text: &str) -> String {
    Quoted(text).to_string()
}

#[test]
fn what_shows_stays_as_it_is() {
    for text in ["", "192.168.4.5:80", "'a' \"b\" `c`", "größe ἀρχή 大小 ✓"] {
        assert_eq!(quoted(text), text);
    }
}

#[test]
fn what_does_not_show_is_escaped() {
    for (text, escaped) in [
        ("a\0b", r"a\0b"),
        ("\x1b[31mred\x07", r"\u{1b}[31mred\u{7}"),
        ("one\ntwo\r\t", r"one\ntwo\r\t"),
        ("\u{202e}abc\u{2066}\u{200f}", r"\u{202e}abc\u{2066}\u{200f}"),
        ("\u{85}\u{9b}\u{2028}\u{feff}\u{ad}", r"\u{85}\u{9b}\u{2028}\u{feff}\u{ad}"),
        ("\u{3164}\u{a0}\u{e0001}\u{e000}", r"\u{3164}\u{a0}\u{e0001}\u{e000}"),
        ("a\\b", r"a\\b"),
        ("e\u{301}", r"e\u{301}"),
    ] {
        assert_eq!(quoted(text), escaped);
    }
}

#[test]
fn what_is_long_is_cut_and_says_so() {
    let text = |n| "a".repeat(n);
    assert_eq!(quoted(&text(80)), text(80));
    assert_eq!(quoted(&text(81)), text(80) + "...[cut, 81 bytes]");
    assert_eq!(quoted(&"ä".repeat(5_000_000)), "ä".repeat(80) + "...[cut, 10000000 bytes]");
    // An escape is either complete or omitted.
    assert_eq!(quoted(&"\x1b".repeat(13)), r"\u{1b}".repeat(13));
    assert_eq!(quoted(&"\x1b".repeat(14)), r"\u{1b}".repeat(13) + "...[cut, 14 bytes]");
}

#[test]
fn a_word_stays_one_word() {
    assert_eq!(OneWord("eth0").to_string(), "eth0");
    assert_eq!(OneWord("a b\n-C\u{202e}").to_string(), "a\\u{20}b\\u{a}-C\u{202e}");
}

#[cfg(feature = "serde")]
#[test]
fn messages_are_passed_on_unless_they_would_not_do() {
    let fine = "unknown field `a`, expected `b` at line 1 column 5";
    assert_eq!(legible(fine), None);
    assert_eq!(legible("unknown field `a`\nin `services.servers`\n"), None);
    assert_eq!(legible("unknown field `a`\n"), None);
    let escaped = legible("unknown field `a\nin `b`, expected `c`\n").expect("not legible");
    assert_eq!(escaped, r"unknown field `a\nin `b`, expected `c`");
    let toml = "TOML parse error at line 1, column 1\n  |\n1 | service = []\n  | ^^^^^^^\n";
    assert_eq!(legible(&format!("{toml}unknown field `service`\n")), None);
    let escaped = legible(&format!("{toml}unknown field `a\nb`\n")).expect("not legible");
    assert_eq!(escaped, r"TOML parse error at line 1, column 1: unknown field `a\nb`");
    let hidden = toml.replace("[]", "'\u{202e}'") + "unknown field `service`\n";
    let escaped = legible(&hidden).expect("not legible");
    assert_eq!(escaped, "TOML parse error at line 1, column 1: unknown field `service`");
    let long = format!("unknown field `{}`, expected `b` at line 1 column 9", "a".repeat(9000));
    let short = legible(&long).expect("not short");
    assert!(short.starts_with("unknown field `aaa") && short.len() < 600, "{short}");
    assert!(short.ends_with("aaa`, expected `b` at line 1 column 9"), "{short}");
    assert!(short.contains("...[cut, 9049 bytes]..."), "{short}");
}
