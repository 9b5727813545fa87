use super::Stamps;
use crate::concurrent::sizes::GROUP;

fn news(stamps: &Stamps, seen: &super::Seen) -> Vec<u32> {
    let mut found = Vec::new();
    stamps.catch_up(seen, |index| found.push(index));
    found
}

#[test]
fn each_reader_is_told_what_changed_since_it_looked() {
    for length in [0, 1, GROUP, GROUP + 1, 65, 1000, 5000].map(|length| length as u32) {
        let stamps = Stamps::new(length);
        let readers = [stamps.seen(), stamps.seen()];
        assert!(!stamps.are_newer(&readers[0]));
        for index in (0..length).step_by(37) {
            stamps.changed(index);
            assert!(stamps.are_newer(&readers[0]));
            let found = news(&stamps, &readers[0]);
            assert!(found.contains(&index) && found.len() <= GROUP, "{length}: {found:?}");
            assert!(news(&stamps, &readers[0]).is_empty() && !stamps.are_newer(&readers[0]));
        }
        let found = news(&stamps, &readers[1]);
        assert!((0..length).step_by(37).all(|index| found.contains(&index)), "{length}");
        assert!(found.iter().all(|index| *index < length));
        assert!(!stamps.are_newer(&stamps.seen()));
    }
}

#[test]
fn an_index_beyond_the_list_is_nothing() {
    let stamps = Stamps::new(3);
    let seen = stamps.seen();
    stamps.changed(u32::MAX);
    assert!(news(&stamps, &seen).is_empty());
}
