use super::{Due, HealthClock};

#[test]
fn steps_are_whole_seconds_and_intervals_end_at_ticks() {
    let mut clock = HealthClock::default();
    let mut due = |now| {
        let Due { interval, seconds } = clock.advance(now);
        (interval, seconds)
    };
    // A clock may start anywhere.
    assert_eq!(due(5_000_000), (false, 0));
    for (now, expected) in [
        (5_000_000, (false, 0)),
        (5_000_999, (false, 0)),
        (5_001_500, (false, 1)),
        (5_002_000, (false, 1)),
        (5_009_999, (false, 7)),
        (5_010_000, (true, 1)),
        (5_019_999, (false, 9)),
        // Ticks far apart: one interval from each to the next.
        (5_100_500, (true, 81)),
        (5_131_500, (true, 31)),
        (5_131_999, (false, 0)),
        (u64::MAX, (true, (u64::MAX - 5_131_000) / 1000)),
    ] {
        assert_eq!(due(now), expected, "{now}");
    }
}
