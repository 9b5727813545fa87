//! Which servers fail more often than the others do.
//!
//! Sources: Envoy's outlier detection (success rate) and gRPC A50 for mean and deviation; median and
//! MAD: Leys et al., "Detecting outliers: do not use standard deviation around the mean, use absolute
//! deviation around the median", Journal of Experimental Social Psychology 49(4), 2013.

use crate::config::{OutlierMethod, Outliers};

/// A median absolute deviation times this estimates the standard deviation of a normal distribution.
const NORMAL: f64 = 1.4826;
/// Least spread about a median, in percentage points: else servers that are almost equal have none, and
/// the smallest difference stands out.
const LEAST_SPREAD: f64 = 5.0;

/// Shares of successes in percent, by index of the server; `None`: too few outcomes.
pub(super) fn below(shares: &[Option<f64>], rule: &Outliers) -> Vec<usize> {
    let known: Vec<f64> = shares.iter().copied().flatten().collect();
    if known.len() < rule.least_servers as usize || known.is_empty() {
        return Vec::new();
    }
    let least = threshold(known, rule);
    let is_below = |(_, share): &(usize, &Option<f64>)| share.is_some_and(|share| share < least);
    shares.iter().enumerate().filter(is_below).map(|(server, _)| server).collect()
}

/// The share below which a server stands out, of at least one share.
pub(super) fn threshold(shares: Vec<f64>, rule: &Outliers) -> f64 {
    let factor = f64::from(rule.factor) / 1000.0;
    let (center, spread) = match rule.method {
        OutlierMethod::Mean => {
            let count = shares.len() as f64;
            let mean = shares.iter().sum::<f64>() / count;
            let square = |share: &f64| (share - mean).powi(2);
            (mean, (shares.iter().map(square).sum::<f64>() / count).sqrt())
        }
        OutlierMethod::Median => {
            let center = median(shares.clone());
            let deviations = shares.iter().map(|share| (share - center).abs()).collect();
            (center, (NORMAL * median(deviations)).max(LEAST_SPREAD))
        }
    };
    center - factor * spread
}

/// The middle one, or the mean of the middle two.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    let at = |place: usize| values.get(place).copied().unwrap_or(0.0);
    if values.len() % 2 == 1 { at(middle) } else { (at(middle.wrapping_sub(1)) + at(middle)) / 2.0 }
}

#[cfg(test)]
#[path = "outliers_tests.rs"]
mod tests;
