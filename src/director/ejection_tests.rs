use super::{Phase, Record, duration, most};
use crate::config::Ejection;

#[test]
fn each_ejection_is_longer_up_to_the_maximum() {
    let usual = Ejection::default();
    let short = Ejection { max_time: 45, ..usual };
    let long = Ejection { base_time: 400, ..usual };
    let table = [
        (usual, [(1, 30), (2, 60), (10, 300), (11, 300), (u32::MAX, 300)]),
        (short, [(1, 30), (2, 45), (3, 45), (4, 45), (5, 45)]),
        (long, [(1, 400), (2, 400), (3, 400), (4, 400), (5, 400)]),
    ];
    for (rule, times) in table {
        for (times, seconds) in times {
            assert_eq!(duration(&rule, times), seconds * 1000, "{rule:?} {times}");
        }
    }
}

#[test]
fn the_number_falls_by_one_in_each_interval_without_an_ejection() {
    let rule = Ejection::default();
    let mut record = Record::default();
    record.eject(0, &rule, "5 failures in a row");
    record.end(30_000, Phase::In);
    record.eject(31_000, &rule, "one more");
    assert!(!record.is_over(90_999) && record.is_over(91_000));
    assert!(
        matches!(&record.phase, Phase::Ejected { reason, .. } if **reason == *"one more; ejection 2")
    );
    record.interval_over(80_000);
    record.end(91_000, Phase::In);
    // The interval in which it ended does not count.
    record.interval_over(90_000);
    assert_eq!(record.times, 2);
    record.interval_over(100_000);
    assert!(record.times == 1 && !record.is_empty());
    record.interval_over(110_000);
    assert!(record.is_empty());
}

#[test]
fn the_share_is_rounded_down_to_whole_servers() {
    let rule = |max_share| Ejection { max_share, ..Ejection::default() };
    let table =
        [(50, 1, 0), (50, 2, 1), (50, 5, 2), (10, 9, 0), (10, 10, 1), (100, 3, 3), (0, 9, 0)];
    for (share, servers, expected) in table {
        assert_eq!(most(&rule(share), servers), expected, "{share} % of {servers}");
    }
}
