//! What a metric is: its name, what it means, and its numbers.

use std::time::Duration;

/// A metric with all its series, one or more per item of type `T`.
pub(super) struct Family<T> {
    /// As in queries; a counter's ends in `_total`, an info's in `_info`.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// One sentence.
    pub(super) help: &'static str,
    pub(super) samples: Samples<T>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    /// Always 1: what matters are its labels.
    Info,
}

/// The series of one item.
pub(super) enum Samples<T> {
    /// One, or none where it does not apply.
    One(fn(&T) -> Option<Value>),
    /// One for each value of a label.
    Each { label: &'static str, of: fn(&T) -> Vec<(&'static str, Value)> },
    /// One that has these labels.
    Info(fn(&T) -> Vec<(&'static str, String)>),
}

#[derive(Clone, Copy)]
pub(super) enum Value {
    Count(u64),
    Seconds(Duration),
}

impl From<u32> for Value {
    fn from(count: u32) -> Self {
        Value::Count(count.into())
    }
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Value::Count(count)
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Value::Count(yes.into())
    }
}

impl From<Duration> for Value {
    fn from(duration: Duration) -> Self {
        Value::Seconds(duration)
    }
}

/// Families of one series per item: name, kind, help and number.
macro_rules! families {
    ($($name:literal $kind:ident $help:literal $value:expr;)+) => {
        &[$($crate::metrics::family::Family {
            name: $name,
            kind: $crate::metrics::family::Kind::$kind,
            help: $help,
            samples: $value,
        }),+]
    };
}

/// One number.
macro_rules! one {
    ($item:ident => $number:expr) => {
        $crate::metrics::family::Samples::One(|$item| Some($number.into()))
    };
}

/// One number, or none.
macro_rules! maybe {
    ($item:ident => $number:expr) => {
        $crate::metrics::family::Samples::One(|$item| $number.map(Into::into))
    };
}

pub(super) use {families, maybe, one};
