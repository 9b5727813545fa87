//! One case: a subject, an operation, and the number of servers.

use std::fmt;
use std::hint::black_box;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Does the operation this many times. One per thread.
pub type Run = Box<dyn FnMut(u64) + Send>;

/// A loop around one operation, compiled as one.
pub fn repeat(mut operation: impl FnMut() + Send + 'static) -> Run {
    Box::new(move |count| {
        for _ in 0..count {
            operation();
        }
    })
}

/// The operation for one item after the other, forever. Their number is a power of two, so that the
/// harness's share, which is part of every figure, is small.
pub fn in_turn<T: Send + Sync + 'static>(
    items: impl Into<Arc<[T]>>,
    mut operation: impl FnMut(&T) + Send + 'static,
) -> Run {
    let items = items.into();
    assert!(items.len().is_power_of_two(), "items");
    let (mask, mut begin) = (items.len() as u64 - 1, 0);
    Box::new(move |count| {
        let items = &items[..];
        for turn in begin..begin + count {
            operation(black_box(&items[(turn & mask) as usize]));
        }
        begin = (begin + count) & mask;
    })
}

/// How weights are assigned to servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weights {
    /// All 1.
    Equal,
    /// Random, from 1 to 100.
    Skewed,
}

/// What a thread does between two operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Regime {
    /// Nothing: operations follow one another in a loop.
    Hot,
    /// Work of its own, which is subtracted from the figure (see `work`).
    Work,
}

/// The name of a case, in all outputs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    pub question: String,
    pub subject: String,
    pub scheduler: String,
    pub n: usize,
    pub weights: Weights,
    pub threads: usize,
    pub regime: Regime,
}

impl Key {
    pub fn new(question: &str, subject: &str, scheduler: &str, n: usize) -> Key {
        Key {
            question: question.to_owned(),
            subject: subject.to_owned(),
            scheduler: scheduler.to_owned(),
            n,
            weights: Weights::Equal,
            threads: 1,
            regime: Regime::Hot,
        }
    }

    pub fn weights(self, weights: Weights) -> Key {
        Key { weights, ..self }
    }

    pub fn threads(self, threads: usize) -> Key {
        Key { threads, ..self }
    }

    pub fn regime(self, regime: Regime) -> Key {
        Key { regime, ..self }
    }
}

/// As messages name a case.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Key { question, subject, scheduler, n, weights, threads, regime } = self;
        write!(f, "{question}: {subject} {scheduler}, n={n}, {weights}")?;
        if *threads > 1 {
            write!(f, ", {threads} threads")?;
        }
        match regime {
            Regime::Hot => Ok(()),
            Regime::Work => f.write_str(", with work between"),
        }
    }
}

impl fmt::Display for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Weights::Equal => "equal",
            Weights::Skewed => "skewed",
        })
    }
}

/// A case and its constructor, which runs only if the case is selected.
pub struct Plan {
    pub key: Key,
    parts: u64,
    at_once: bool,
    build: Box<dyn FnOnce(usize) -> Vec<Run>>,
}

impl Plan {
    /// A case for one thread: the one that measures.
    pub fn new(key: Key, build: impl FnOnce() -> Run + 'static) -> Plan {
        Plan { key, parts: 0, at_once: false, build: Box::new(move |_| vec![build()]) }
    }

    /// A case for as many threads as its key says: one loop per thread.
    pub fn shared(key: Key, build: impl FnOnce(usize) -> Vec<Run> + 'static) -> Plan {
        Plan { key, parts: 0, at_once: true, build: Box::new(build) }
    }

    /// An operation works on one of this many parts, at random.
    pub fn of_parts(self, parts: usize) -> Plan {
        Plan { parts: parts as u64, ..self }
    }

    pub fn has_parts(&self) -> bool {
        self.parts > 0
    }

    pub fn build(self) -> Case {
        let Plan { key, parts, at_once, build } = self;
        let runs = build(key.threads);
        assert_eq!(runs.len(), key.threads, "a loop for each thread");
        assert!(at_once || key.regime == Regime::Hot, "work only between operations of threads");
        Case { key, parts, at_once, runs }
    }
}

/// A case that can be run.
pub struct Case {
    pub key: Key,
    /// Number of parts, of which an operation works on a random one; 0 = on all, or on none in
    /// particular.
    pub parts: u64,
    /// The loops run on threads of their own, at the same time.
    pub at_once: bool,
    pub runs: Vec<Run>,
}
