use super::Site;

#[test]
fn an_interface_name_is_one_word_of_a_shell() {
    for (name, word) in [
        ("eth0.100", "eth0.100"),
        ("a;b", "'a;b'"),
        ("a'b", r"'a'\''b'"),
        ("a\x1bé", r#""$(printf '\141\033\303\251')""#),
    ] {
        assert_eq!(Site::default().with_interface(name).interface_word(), word);
    }
}
