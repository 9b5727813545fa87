//! The two text formats.

use std::fmt::{self, Write};

use crate::metrics::Format;
use crate::metrics::family::{Family, Kind, Samples, Value};

/// The labels of an item, as they are written: `service="tcp 10.0.0.1:80"`.
#[derive(Clone, Default)]
pub(super) struct Labels(String);

impl Labels {
    /// The same with one more label.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        if !self.0.is_empty() {
            self.0.push(',');
        }
        self.0.push_str(name);
        self.0.push_str("=\"");
        for c in value.chars() {
            match c {
                '\\' => self.0.push_str("\\\\"),
                '"' => self.0.push_str("\\\""),
                '\n' => self.0.push_str("\\n"),
                _ => self.0.push(c),
            }
        }
        self.0.push('"');
        self
    }

    /// The same with one more label, if it has a value.
    pub(super) fn with_some(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }
}

pub(super) struct Writer<'w> {
    to: &'w mut dyn Write,
    format: Format,
}

impl<'w> Writer<'w> {
    pub(super) fn new(to: &'w mut dyn Write, format: Format) -> Self {
        Writer { to, format }
    }

    /// All series of each family, one family after the other, as both formats require.
    pub(super) fn families<T>(
        &mut self,
        families: &[Family<T>],
        items: &[(Labels, &T)],
    ) -> fmt::Result {
        for family in families {
            self.head(family)?;
            for (labels, item) in items {
                self.samples(family, labels, item)?;
            }
        }
        Ok(())
    }

    fn head<T>(&mut self, family: &Family<T>) -> fmt::Result {
        let (name, kind) = match (self.format, family.kind) {
            (_, Kind::Gauge) => (family.name, "gauge"),
            (Format::Prometheus, Kind::Counter) => (family.name, "counter"),
            (Format::Prometheus, Kind::Info) => (family.name, "gauge"),
            // There the suffix belongs to the sample, not to the family.
            (Format::OpenMetrics, Kind::Counter) => {
                (family.name.trim_end_matches("_total"), "counter")
            }
            (Format::OpenMetrics, Kind::Info) => (family.name.trim_end_matches("_info"), "info"),
        };
        writeln!(self.to, "# HELP {name} {}", family.help)?;
        writeln!(self.to, "# TYPE {name} {kind}")?;
        let unit = ["seconds", "bytes"].into_iter().find(|unit| name.ends_with(unit));
        match unit.filter(|_| self.format == Format::OpenMetrics) {
            Some(unit) => writeln!(self.to, "# UNIT {name} {unit}"),
            None => Ok(()),
        }
    }

    fn samples<T>(&mut self, family: &Family<T>, labels: &Labels, item: &T) -> fmt::Result {
        match &family.samples {
            Samples::One(value) => match value(item) {
                Some(value) => self.sample(family.name, labels, value),
                None => Ok(()),
            },
            Samples::Each { label, of } => of(item).into_iter().try_for_each(|(name, value)| {
                self.sample(family.name, &labels.clone().with(label, name), value)
            }),
            Samples::Info(texts) => {
                let add = |labels: Labels, (name, text): (&str, String)| labels.with(name, &text);
                let labels = texts(item).into_iter().fold(labels.clone(), add);
                self.sample(family.name, &labels, Value::Count(1))
            }
        }
    }

    fn sample(&mut self, name: &str, Labels(labels): &Labels, value: Value) -> fmt::Result {
        self.to.write_str(name)?;
        if !labels.is_empty() {
            write!(self.to, "{{{labels}}}")?;
        }
        match value {
            Value::Count(count) => writeln!(self.to, " {count}"),
            Value::Seconds(duration) => writeln!(self.to, " {}", duration.as_secs_f64()),
        }
    }

    /// The end of the text; without it, a reader of OpenMetrics takes the text for cut off.
    pub(super) fn end(self) -> fmt::Result {
        match self.format {
            Format::Prometheus => Ok(()),
            Format::OpenMetrics => self.to.write_str("# EOF\n"),
        }
    }
}
