use std::cell::Cell;

use super::FlagSet;

/// Adds and removes at random, beside a plain list.
#[test]
fn the_set_is_what_a_list_says() {
    let mut state = 3_u64;
    let mut random = |limit: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % limit
    };
    for length in [0_usize, 1, 2, 63, 64, 65, 128, 200] {
        // Rarely a flag, so that words and the whole set become empty, and the contrary.
        for share in [2, 8, 300] {
            let mut list: Vec<bool> = (0..length).map(|_| random(share) == 0).collect();
            let set = FlagSet::new(list.iter().copied());
            let (mut empty, mut filled) = (0, 0);
            for _ in 0..4000 {
                let any = list.iter().any(|flag| *flag);
                assert_eq!(set.is_empty(), !any, "{length} {share}");
                *(if any { &mut filled } else { &mut empty }) += 1;
                if length == 0 {
                    continue;
                }
                let index = random(length as u64) as usize;
                list[index] = random(share) == 0;
                set.set(index as u32, || list[index], |flag| flag);
            }
            assert!(empty > 0 || length > 2 && share < 300, "{length} {share}: never empty");
            assert!(filled > 0 || length == 0, "{length} {share}: always empty");
        }
    }
}

/// A state that changes after it was loaded is loaded again.
#[test]
fn a_flag_follows_a_state_that_changes_meanwhile() {
    let set = FlagSet::new([false; 3].into_iter());
    let states = Cell::new([true, false].iter());
    let current = || {
        let mut rest = states.take();
        let state = rest.next().copied().unwrap_or(false);
        states.set(rest);
        state
    };
    set.set(1, current, |flag| flag);
    assert!(set.is_empty());
}

#[test]
fn an_index_past_the_end_is_nothing() {
    let set = FlagSet::new([false; 3].into_iter());
    set.set(u32::MAX, || true, |flag| flag);
    assert!(set.is_empty());
}
