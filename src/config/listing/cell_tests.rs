use super::*;

fn figure(value: u64, exact: bool) -> String {
    Figure { value, exact }.to_string()
}

#[test]
fn large_figures_are_shortened_by_division() {
    for (value, text) in [
        (0, "        0"),
        (99_999_999, " 99999999"),
        (100_000_000, "  100000K"),
        (999_999_999, "  999999K"),
        (1_000_000_000, "    1000M"),
        (99_999_999_999, "   99999M"),
        (100_000_000_000, "     100G"),
        (99_999_999_999_999, "   99999G"),
        (100_000_000_000_000, "     100T"),
        (u64::MAX, "18446744T"),
    ] {
        assert_eq!(figure(value, false), text);
    }
}

#[test]
fn exact_figures_grow() {
    assert_eq!(figure(7, true), "        7");
    assert_eq!(figure(99_999_999, true), " 99999999");
    assert_eq!(figure(100_000_000, true), " 100000000");
    assert_eq!(figure(u64::MAX, true), " 18446744073709551615");
}
