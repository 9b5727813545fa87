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
#[path = "latency_tests.rs"]
mod tests;
