//! A server's average latency, packed in 46 bits, and how a sample and the passage of time change it.
//!
//! Pure integer arithmetic. The average is the plain mean of the first 16 samples; from then on each
//! sample moves it by a sixteenth of the difference, so that one outlier moves it by no more. While
//! samples arrive, time does not change it. In each second without a sample it decays toward zero, by
//! half in 10 seconds, and counts for one sample fewer: a server that was slow, and is passed over for
//! that, looks fast enough to be tried again after a while, and the first samples then decide. The
//! half-life is of the order of Finagle's peak EWMA (time constant 10 s): 1 s looks like 10 ms after 66 s.

use std::time::Duration;

/// Samples whose plain mean is the average; later ones have a weight of 1 in this.
const SAMPLES: u64 = 1 << SAMPLES_SHIFT;
const SAMPLES_SHIFT: u32 = 4;

/// Fractional bits of the average in microseconds, so that small differences are not rounded away.
const FRACTION: u32 = 8;
const AVERAGE_BITS: u32 = 32 + FRACTION;
const AVERAGE: u64 = (1 << AVERAGE_BITS) - 1;
const COUNT: u64 = 31;
const SAMPLED: u64 = 1 << (AVERAGE_BITS + 5);

/// Seconds without a sample in which the average becomes half as large.
const HALF_LIFE: u64 = DECAY.len() as u64;
/// 2^(-n/10), in units of 1/65536.
const DECAY: [u64; 10] = [65536, 61147, 57052, 53232, 49667, 46341, 43238, 40342, 37641, 35120];

/// From the lowest bit: average:40, samples:5, sampled:1 (a sample has arrived since the last decay).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Latency(u64);

impl Latency {
    /// The latency in this word, whose other bits are ignored.
    #[inline]
    pub(crate) fn from_word(word: u64) -> Self {
        Latency(word & (SAMPLED | COUNT << AVERAGE_BITS | AVERAGE))
    }

    #[inline]
    pub(crate) fn word(self) -> u64 {
        self.0
    }

    #[inline]
    fn new(average: u64, samples: u64, sampled: u64) -> Self {
        Latency(average & AVERAGE | samples.min(SAMPLES) << AVERAGE_BITS | sampled)
    }

    /// In microseconds, with [`FRACTION`] fractional bits.
    #[inline]
    fn scaled(self) -> u64 {
        self.0 & AVERAGE
    }

    #[inline]
    fn samples(self) -> u64 {
        self.0 >> AVERAGE_BITS & COUNT
    }

    /// The average; `None` without a sample, or once it has decayed below a microsecond.
    pub(crate) fn average(self) -> Option<Duration> {
        let nanos = (self.scaled() * 1000) >> FRACTION;
        (self.samples() > 0).then(|| Duration::from_nanos(nanos))
    }

    /// The average with one more sample. One of more than 71 minutes counts as 71 minutes.
    #[inline]
    pub(crate) fn with_sample(self, sample: Duration) -> Self {
        const MOST: u64 = u32::MAX as u64;
        let seconds = sample.as_secs().min(MOST / 1_000_000);
        let micros = (seconds * 1_000_000 + u64::from(sample.subsec_micros())).min(MOST);
        let (average, sample, samples) = (self.scaled(), micros << FRACTION, self.samples());
        let part = |difference: u64| {
            if samples >= SAMPLES {
                difference >> SAMPLES_SHIFT
            } else {
                difference / (samples + 1)
            }
        };
        let next = if sample >= average {
            average + part(sample - average)
        } else {
            average - part(average - sample)
        };
        Latency::new(next, samples + 1, SAMPLED)
    }

    /// The average `seconds` after the last call; unchanged if samples have arrived since.
    pub(crate) fn decayed(self, seconds: u64) -> Self {
        if self.0 & SAMPLED != 0 {
            return Latency(self.0 & !SAMPLED);
        }
        let halvings = u32::try_from(seconds / HALF_LIFE).unwrap_or(u32::MAX);
        let part = DECAY.get((seconds % HALF_LIFE) as usize).copied().unwrap_or(0);
        let average = ((self.scaled() * part) >> 16).checked_shr(halvings).unwrap_or(0);
        if average >> FRACTION == 0 {
            return Latency(0);
        }
        Latency::new(average, self.samples().saturating_sub(seconds).max(1), 0)
    }
}

#[cfg(test)]
mod tests {
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
}
