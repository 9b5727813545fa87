use super::*;

#[test]
fn a_list_is_taken_as_it_is() {
    let found = of_list(&["-A", "", "# é", "ipvsadm"]);
    let found: Vec<_> = found.iter().map(|w| (w.column, w.text)).collect();
    assert_eq!(found, [(1, "-A"), (4, ""), (5, "# é"), (9, "ipvsadm")]);
}

fn words(line: &str) -> Vec<(usize, &str)> {
    of_line(1, line).iter().map(|w| (w.column, w.text)).collect()
}

#[test]
fn columns_count_characters() {
    assert_eq!(words(" \t-A  é -t\r"), [(3, "-A"), (7, "é"), (9, "-t")]);
}

#[test]
fn comments_and_the_program_are_left_out() {
    assert_eq!(words("# -A"), []);
    assert_eq!(words("-C # x"), [(1, "-C")]);
    assert_eq!(words("-C a#x"), [(1, "-C"), (4, "a#x")]);
    assert_eq!(words("/sbin/ipvsadm -C ipvsadm"), [(15, "-C")]);
    assert_eq!(words("-C /sbin/ipvsadm"), [(1, "-C"), (4, "/sbin/ipvsadm")]);
    assert_eq!(words("myipvsadm -C"), [(1, "myipvsadm"), (11, "-C")]);
}
