//! Medians over launches, one row per case. A launch in which a case was always disturbed counts
//! only if all launches were.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::case::{Key, Weights};
use crate::figure::{Figure, median};
use crate::launch::Gathered;

/// A case, as in summary.json.
#[derive(Debug, Serialize)]
pub struct Row {
    #[serde(flatten)]
    pub key: Key,
    pub ns_median: Option<f64>,
    pub ns_min: Option<f64>,
    pub ns_max: Option<f64>,
    pub instructions: Option<f64>,
    pub allocations: Option<f64>,
    /// The share of samples that counted: the median of the launches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undisturbed: Option<f64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub detail: BTreeMap<String, f64>,
}

pub struct Summary {
    rows: BTreeMap<Key, Row>,
}

impl Summary {
    pub fn new(gathered: Gathered, counts: Vec<(Key, f64)>) -> Summary {
        let mut rows: BTreeMap<Key, Row> =
            gathered.into_iter().map(|(key, figures)| (key.clone(), row(key, figures))).collect();
        for (key, count) in counts {
            if let Some(row) = rows.get_mut(&key) {
                row.instructions = Some(count);
            }
        }
        Summary { rows }
    }

    pub fn get(&self, key: &Key) -> Option<&Row> {
        self.rows.get(key)
    }

    /// Median nanoseconds of a case.
    pub fn ns(&self, key: &Key) -> Option<f64> {
        self.get(key)?.ns_median
    }

    /// The rows of a question.
    pub fn of<'a>(&'a self, question: &'a str) -> impl Iterator<Item = &'a Row> {
        self.rows.values().filter(move |row| row.key.question == question)
    }

    /// Subjects, schedulers and weights of a question that has rows, our own first.
    pub fn lines(&self, question: &str) -> Vec<(String, String, Weights)> {
        let line =
            |row: &Row| (row.key.subject.clone(), row.key.scheduler.clone(), row.key.weights);
        let mut lines: Vec<_> = self.of(question).map(line).collect();
        lines.dedup();
        lines.sort_by_key(|(subject, scheduler, weights)| {
            (!subject.starts_with("vsched"), subject.clone(), scheduler.clone(), *weights)
        });
        lines.dedup();
        lines
    }

    /// Formats an array with one object per line.
    pub fn json(&self) -> String {
        let object = |row: &Row| serde_json::to_string(row).expect("plain data");
        let lines: Vec<String> = self.rows.values().map(object).collect();
        format!("[\n{}\n]\n", lines.join(",\n"))
    }
}

fn row(key: Key, figures: Vec<Figure>) -> Row {
    let mut ns: Vec<f64> = figures.iter().filter_map(|figure| figure.ns).collect();
    ns.sort_by(f64::total_cmp);
    let (ns_min, ns_max) = (ns.first().copied(), ns.last().copied());
    let counts = |figure: &&Figure| figure.undisturbed != Some(0.0);
    let mut counted: Vec<f64> =
        figures.iter().filter(counts).filter_map(|figure| figure.ns).collect();
    let mut shares: Vec<f64> = figures.iter().filter_map(|figure| figure.undisturbed).collect();
    let mut allocations: Vec<f64> =
        figures.iter().filter_map(|figure| figure.allocations).collect();
    let names: Vec<String> =
        figures.iter().flat_map(|figure| figure.detail.keys().cloned()).collect();
    // A bucket that is missing in a launch counts as 0.
    let values = |name: &String| {
        figures.iter().map(|figure| figure.detail.get(name).copied().unwrap_or(0.0)).collect()
    };
    let detail = names.into_iter().map(|name| {
        let mut values: Vec<f64> = values(&name);
        (name, median(&mut values).unwrap_or(0.0))
    });
    Row {
        detail: detail.collect(),
        ns_median: median(&mut counted).or_else(|| median(&mut ns)),
        ns_min,
        ns_max,
        undisturbed: median(&mut shares),
        instructions: None,
        allocations: median(&mut allocations),
        key,
    }
}
