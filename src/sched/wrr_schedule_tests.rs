use super::{FEW, WeightedSchedule};

/// The servers and levels of a cycle, by the walk itself.
fn walked(weights: &[u32], step: u32, top: u32) -> Vec<(u32, u32)> {
    let mut walk = Vec::new();
    let mut level = i64::from(top);
    while level > 0 {
        for (place, weight) in (0..).zip(weights) {
            if i64::from(*weight) >= level {
                walk.push((place, level as u32));
            }
        }
        level -= i64::from(step);
    }
    walk
}

#[test]
fn turns_are_the_walks() {
    let lists: [(&[u32], u32); 5] =
        [(&[4, 2, 1], 1), (&[1], 1), (&[0, 6, 0, 3, 9, 3], 3), (&[100; 40], 100), (&[7, 5], 1)];
    for (weights, step) in lists {
        let top = weights.iter().max().unwrap() - (step - 1);
        let schedule = WeightedSchedule::of(weights, step, top).unwrap();
        let walk = walked(weights, step, top);
        let servers: Vec<u32> = walk.iter().map(|(place, _)| *place).collect();
        assert_eq!(*schedule.servers, servers, "{weights:?}");
        for (turn, (place, level)) in walk.into_iter().enumerate() {
            assert_eq!(schedule.state(Some(place), level), turn as u64, "{weights:?}");
            assert_eq!(schedule.place(turn as u64), (Some(place), level), "{weights:?}");
            let head = schedule.state(None, level);
            assert_eq!(schedule.place(head), (None, level), "{weights:?}");
            let next = (head as u32).wrapping_add(1) as usize % servers.len();
            assert!(weights[servers[next] as usize] >= level, "{weights:?}");
            assert!(servers[..next].len() == next && schedule.place(next as u64).1 == level);
        }
    }
}

#[test]
fn cycles_are_written_out_up_to_a_length() {
    // 64 turns a server, each server with its own weight around that.
    let longest = |last: u32| {
        let mut weights = vec![64; 8192];
        weights[..2].copy_from_slice(&[63, last]);
        let schedule = WeightedSchedule::of(&weights, 1, 63.max(last).max(64))?;
        Some(schedule.servers.len())
    };
    assert_eq!(longest(65), Some(8192 * 64));
    assert_eq!(longest(66), None);
    assert_eq!(longest(64), Some(8192 * 64 - 1));
    // A walk about weights that the list has not: of a service that is deleted.
    assert!(WeightedSchedule::of(&[2], 1, 2).is_some());
    for top in 3..9 {
        assert!(WeightedSchedule::of(&[2], 1, top).is_none(), "{top}");
    }
}

#[test]
fn long_cycles_are_not_written_out() {
    assert!(WeightedSchedule::of(&[i32::MAX as u32, 1], 1, i32::MAX as u32).is_none());
    assert!(WeightedSchedule::of(&[FEW as u32 + 1], 1, FEW as u32 + 1).is_none());
    assert!(WeightedSchedule::of(&[0, 0], 1, 0).is_none());
}
