//! The targets: the goal, the measured value, met or not.

mod goals;
mod sheet;
#[cfg(test)]
mod tests;

use crate::report::Summary;
use crate::report::table::short;
use sheet::{Measured, Sheet};

/// A target, and the worst measured case with its value.
struct Target {
    goal: &'static str,
    measured: Measured,
    limit: Limit,
}

enum Limit {
    AtLeast(f64),
    AtMost(f64),
    /// Not a target: shown next to one.
    Beside,
}

impl Limit {
    fn verdict(&self, value: f64) -> &'static str {
        let met = match *self {
            Limit::AtLeast(limit) => value >= limit,
            Limit::AtMost(limit) => value <= limit,
            Limit::Beside => return "",
        };
        if met { "met" } else { "**NOT met**" }
    }
}

/// As `short`, but ratios near 1 with as many digits as their limits have.
fn precise(value: f64) -> String {
    if value.abs() < 10.0 { format!("{value:.2}") } else { short(value) }
}

pub fn markdown(summary: &Summary) -> String {
    let mut text = "\n### Targets\n\n| goal | measured | |\n| --- | --- | --- |\n".to_owned();
    for target in goals::targets(&Sheet(summary)) {
        let (measured, verdict) = match &target.measured {
            Err(missing) => (format!("– (missing: {missing})"), "not measured"),
            Ok((value, at)) => {
                (format!("{} ({at})", precise(*value)), target.limit.verdict(*value))
            }
        };
        text.push_str(&format!("| {} | {measured} | {verdict} |\n", target.goal));
    }
    text
}
