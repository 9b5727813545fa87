use super::{Activity, Counts, Limits, MAX_CONNECTIONS};
use crate::config::{KernelRules, Thresholds};

const BOTH: [KernelRules; 2] = [KernelRules::A, KernelRules::B];
const NO_LIMITS: Limits = Limits(0);

fn limits(upper: u32, lower: u32) -> Limits {
    Limits::new(Thresholds::new(upper, lower))
}

fn counts(active: u32, total: u32, overloaded: bool) -> Counts {
    Counts::of(active, total, overloaded)
}

fn fields(counts: Counts) -> (u32, u32, bool, bool) {
    (counts.active(), counts.total(), counts.overloaded(), counts.vacant())
}

fn version(counts: Counts) -> u64 {
    counts.word() >> 54
}

/// No field reaches into another, whatever the others hold.
#[test]
fn fields_are_separate() {
    let most = MAX_CONNECTIONS;
    for start in [Counts(0), Counts(u64::MAX), Counts::NO_SLOT, Counts(1 << 54)] {
        for (active, total) in [(0, 0), (0, 1), (1, 1), (0, most), (most, most), (5, 1 << 24)] {
            for overloaded in [false, true] {
                let with = start.with(active, total, overloaded);
                assert_eq!(fields(with), (active, total, overloaded, start.vacant()));
                assert_eq!(version(with), version(start));
                assert_eq!(with.inactive(), total - active);
                let marked = with.marked(!overloaded);
                assert_eq!(fields(marked), (active, total, !overloaded, start.vacant()));
                assert_eq!(version(marked), version(start));
            }
        }
    }
}

#[test]
fn versions_count_up_and_wrap() {
    let mut now = counts(3, 5, true);
    for expected in (1..1 << 10).chain([0, 1]) {
        now = now.next_version();
        assert_eq!((version(now), fields(now)), (expected, (3, 5, true, false)));
    }
}

#[test]
fn the_most_connections_are_reached_and_not_exceeded() {
    for rule in BOTH {
        for (activity, active) in [(Activity::Active, 1), (Activity::Inactive, 0)] {
            let almost = counts(0, MAX_CONNECTIONS - 1, false);
            let full = almost.opened(activity, NO_LIMITS, rule).expect("room for one");
            assert_eq!(fields(full), (active, MAX_CONNECTIONS, false, false));
            assert_eq!(full.opened(activity, NO_LIMITS, rule), None);
        }
        let corrected = |active, inactive| {
            counts(0, 0, false).corrected(active, inactive, NO_LIMITS, rule).map(fields)
        };
        let most = (1, MAX_CONNECTIONS, false, false);
        assert_eq!(corrected(1, MAX_CONNECTIONS - 1), Some(most));
        assert_eq!(corrected(1, MAX_CONNECTIONS), None);
        assert_eq!(corrected(u32::MAX, u32::MAX), None);
    }
}

#[test]
fn only_connections_of_that_activity_close_and_move() {
    use Activity::{Active, Inactive};
    for (active, total) in [(0, 0), (0, 2), (1, 2), (2, 2)] {
        let now = counts(active, total, false);
        for rule in BOTH {
            let closed = |activity| now.closed(activity, NO_LIMITS, rule).map(fields);
            let less = (active > 0).then(|| (active - 1, total - 1, false, false));
            assert_eq!(closed(Active), less);
            let less = (active < total).then(|| (active, total - 1, false, false));
            assert_eq!(closed(Inactive), less);
        }
        let moved = |to| now.moved(to).map(fields);
        assert_eq!(moved(Inactive), (active > 0).then(|| (active - 1, total, false, false)));
        assert_eq!(moved(Active), (active < total).then(|| (active + 1, total, false, false)));
    }
}

/// The director has stored lower limits and not yet marked the server.
#[test]
fn a_full_server_without_the_mark_is_recognized() {
    let limits = limits(4, 0);
    for (rule, total, overloaded, expected) in [
        (KernelRules::B, 4, false, true),
        (KernelRules::B, 5, false, true),
        (KernelRules::B, 3, false, false),
        (KernelRules::B, 4, true, false),
        (KernelRules::A, 4, false, false),
    ] {
        assert_eq!(counts(0, total, overloaded).is_full_unmarked(limits, rule), expected);
    }
    assert!(!counts(0, 4, false).is_full_unmarked(NO_LIMITS, KernelRules::B));
}

/// Equal limits change neither mark nor version, even where they contradict the mark.
#[test]
fn an_edit_acts_by_a_change_of_the_limits() {
    let (old, new) = (limits(4, 2), limits(4, 3));
    for (total, overloaded) in [(4, false), (1, true), (4, true), (0, false)] {
        let now = counts(0, total, overloaded);
        assert_eq!(now.limited(old, old, KernelRules::B), now);
        let edited = now.limited(old, new, KernelRules::B);
        assert_eq!((version(edited), edited.overloaded()), (1, total == 4));
    }
}

/// Kernel rules A keep a mark while the upper limit falls or stays, and set none.
#[test]
fn generation_a_clears_marks_by_edits() {
    for (old, new, keeps) in [(4, 4, true), (4, 3, true), (4, 5, false), (4, 0, false)] {
        for overloaded in [false, true] {
            let edited =
                counts(0, 9, overloaded).limited(limits(old, 0), limits(new, 0), KernelRules::A);
            assert_eq!(edited.overloaded(), overloaded && keeps, "{old} to {new}");
            assert_eq!(version(edited), u64::from(old != new));
        }
    }
}

/// Kernel rules A: marked from the upper limit on, and until the count falls below the lower level.
#[test]
fn corrected_counts_are_marked() {
    let cases = [
        // Limits, total, mark before; mark after by kernel rules A and B.
        ((4, 2), 4, false, true, true),
        ((4, 2), 5, false, true, true),
        ((4, 2), 3, false, false, false),
        ((4, 2), 3, true, true, true),
        ((4, 2), 2, true, true, true),
        ((4, 2), 1, true, false, false),
        ((4, 0), 3, true, true, true),
        ((4, 0), 2, true, false, false),
        ((0, 2), 9, false, false, false),
        ((0, 2), 9, true, true, false),
        ((0, 0), 0, true, false, false),
    ];
    for ((upper, lower), total, before, after_a, after_b) in cases {
        for (rule, after) in [(KernelRules::A, after_a), (KernelRules::B, after_b)] {
            let now = counts(7, 7, before);
            let corrected = now.corrected(1, total - total.min(1), limits(upper, lower), rule);
            let corrected = corrected.expect("few connections");
            let total = total.max(1);
            assert_eq!((corrected.active(), corrected.total()), (1, total));
            assert_eq!(corrected.overloaded(), after, "{upper} {lower} {total} {before} {rule:?}");
        }
    }
}

#[test]
fn a_slot_without_owner_is_vacant() {
    for start in [Counts::NO_SLOT, Counts(0), counts(0, 0, true).next_version()] {
        let next = version(start) + 1;
        for ended in [start.evicted(), start.vacated().expect("no connections")] {
            assert_eq!((version(ended), fields(ended)), (next, (0, 0, false, true)));
        }
        let occupied = start.occupied();
        assert_eq!((version(occupied), fields(occupied)), (next, (0, 0, false, false)));
    }
    let used = counts(0, 1, false);
    assert_eq!(used.vacated(), None);
    assert_eq!(fields(used.evicted()), (0, 0, false, true));
}
