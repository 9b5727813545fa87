use super::{HALF_LIFE, Latency, SAMPLES};
use std::time::Duration;

const NONE: Latency = Latency(0);

fn millis(latency: Latency) -> Option<u128> {
    // Rounded.
    latency.average().map(|it| (it + Duration::from_micros(500)).as_millis())
}

fn after(samples: &[u64]) -> Latency {
    let millis = samples.iter().map(|sample| Duration::from_millis(*sample));
    millis.fold(NONE, Latency::with_sample)
}

#[test]
fn the_first_samples_count_equally_and_later_ones_a_sixteenth() {
    assert_eq!(NONE.average(), None);
    for (samples, mean) in [(&[80][..], 80), (&[80, 40], 60), (&[80, 40, 0], 40), (&[0], 0)] {
        assert_eq!(millis(after(samples)), Some(mean), "{samples:?}");
    }
    let first: Vec<u64> = (1..=SAMPLES).collect();
    // The mean of 1 to 16 is 8.5.
    let mean = after(&first).average().expect("samples");
    assert!(mean.as_micros().abs_diff(8_500) <= 1, "{mean:?}");
    let steady = after(&[100; 40]);
    assert_eq!(millis(steady), Some(100));
    assert_eq!(millis(steady.with_sample(Duration::from_millis(260))), Some(110));
    assert_eq!(millis(steady.with_sample(Duration::ZERO)), Some(94));
}

#[test]
fn small_and_extreme_samples_are_exact_enough() {
    let micro = (0..100).fold(NONE, |latency, _| latency.with_sample(Duration::from_micros(3)));
    assert_eq!(micro.average(), Some(Duration::from_micros(3)));
    let most = Duration::from_micros(u32::MAX.into());
    for huge in [most, Duration::from_secs(5000), Duration::MAX] {
        let latency = (0..100).fold(NONE, |latency, _| latency.with_sample(huge));
        let average = latency.average().expect("samples");
        // 4294 s are what whole seconds leave of the most.
        assert!(average <= most && average >= Duration::from_secs(4294), "{average:?}");
    }
    let whole_seconds = NONE.with_sample(Duration::from_secs(5000));
    assert_eq!(whole_seconds.average(), Some(Duration::from_secs(4294)));
    let half = NONE.with_sample(Duration::from_micros(1)).decayed(1).decayed(HALF_LIFE);
    assert_eq!(half, NONE, "below a microsecond");
    let nothing = NONE.with_sample(Duration::from_nanos(999));
    assert_eq!(nothing.average(), Some(Duration::ZERO));
    assert_eq!(nothing.decayed(1).decayed(1), NONE);
}

#[test]
fn it_decays_by_half_in_a_half_life_without_samples() {
    let busy = after(&[1000; 20]);
    // A sample has arrived: the average stays, whatever time has passed.
    let idle = busy.decayed(7);
    assert_eq!(millis(idle), Some(1000));
    let mut step_by_step = idle;
    for _ in 0..HALF_LIFE {
        step_by_step = step_by_step.decayed(1);
    }
    for (latency, expected) in [
        (idle.decayed(HALF_LIFE), 500),
        (step_by_step, 500),
        (idle.decayed(1), 933),
        (idle.decayed(5), 707),
        (idle.decayed(13), 406),
        (idle.decayed(3 * HALF_LIFE), 125),
        (idle.decayed(66), 10),
    ] {
        let found = millis(latency).expect("it has not decayed to nothing");
        assert!(found.abs_diff(expected) <= 1, "{found} {expected}");
    }
    for seconds in [400, u64::MAX] {
        assert_eq!(idle.decayed(seconds), NONE);
    }
    assert_eq!(NONE.decayed(1), NONE);
    assert_eq!(idle.decayed(0), idle);
}

#[test]
fn samples_after_a_pause_weigh_more() {
    let idle = after(&[1000; 20]).decayed(1);
    let soon = idle.decayed(1).with_sample(Duration::ZERO);
    // The fifteen that are left, and this one.
    assert_eq!(millis(soon), Some(875));
    let late = idle.decayed(40).with_sample(Duration::from_millis(20));
    // 1000 has decayed to 62.5, and weighs as much as one sample.
    assert_eq!(millis(late), Some(41));
}

#[test]
fn other_bits_of_a_word_are_ignored() {
    let latency = after(&[30, 50]);
    assert_eq!(Latency::from_word(latency.word() | 0xffff << 48), latency);
    assert_eq!(latency.word() >> 46, 0);
}
