//! The result of one launch for one case, as one line of JSON between processes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::case::Key;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Figure {
    #[serde(flatten)]
    pub key: Key,
    /// Nanoseconds per operation, per thread.
    pub ns: Option<f64>,
    /// Allocations per operation, where they can be counted.
    pub allocations: Option<f64>,
    /// The share of samples that counted; where it is 0, none did, and all were used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undisturbed: Option<f64>,
    /// Anything else that was measured, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub detail: BTreeMap<String, f64>,
}

impl Figure {
    pub fn nanoseconds(key: Key, ns: f64) -> Figure {
        Figure { key, ns: Some(ns), allocations: None, undisturbed: None, detail: BTreeMap::new() }
    }

    /// Sends the figure to the process that started this one.
    pub fn send(&self) {
        println!("{}", serde_json::to_string(self).expect("plain data"));
    }
}

/// The median; of two values the upper one. `None` if there are no values.
pub fn median(samples: &mut [f64]) -> Option<f64> {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied()
}
