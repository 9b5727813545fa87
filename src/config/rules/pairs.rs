//! Settings of several fields, as one word: `KEY=VALUE` pairs, separated by commas. The keys are the
//! fields' names with `-` for `_`.

use std::fmt::{self, Formatter};

use crate::config::field::Field;
use crate::config::rules::number;
use crate::config::rules::words::Word;
use crate::config::{Ejection, OutlierMethod, Outliers, SlowStart};
use crate::error::RulesError;

const OUTLIERS: &str = "outliers";

/// A pair with a known key.
struct Pair<'t> {
    key: &'t str,
    value: Word<'t>,
    whole: Word<'t>,
}

/// Splits a word into pairs, whose keys are known and differ; `setting` names it in error messages.
fn pairs<'t>(word: Word<'t>, setting: &str, keys: &[String]) -> Result<Vec<Pair<'t>>, RulesError> {
    let mut pairs: Vec<Pair<'t>> = Vec::new();
    let mut rest = Some(word);
    while let Some(from) = rest {
        let comma = from.text.split_once(',');
        let whole = Word { text: comma.map_or(from.text, |(whole, _)| whole), ..from };
        rest = comma.map(|(whole, _)| from.after(whole.len() + 1));
        let Some((key, _)) = whole.text.split_once('=') else {
            let keys = keys.join(", ");
            return Err(
                whole.error(format!("illegal {setting}: expected KEY=VALUE, KEY of {keys}"))
            );
        };
        if !keys.iter().any(|known| known == key) {
            let keys = keys.join(", ");
            return Err(whole.error(format!("unknown key of {setting}: expected {keys}")));
        }
        if let Some(first) = pairs.iter().find(|pair| pair.key == key) {
            return Err(whole.duplicates(first.whole));
        }
        pairs.push(Pair { key, value: whole.after(key.len() + 1), whole });
    }
    Ok(pairs)
}

impl<T> Field<T> {
    fn key(&self) -> String {
        self.name.replace('_', "-")
    }

    fn read(&self, setting: &str, word: Word<'_>, to: &mut T) -> Result<(), RulesError> {
        let what = format!("{setting} {}", self.key());
        (self.set)(to, number::within(word, &what, self.least, self.most)?);
        Ok(())
    }
}

fn keys<T>(fields: &[Field<T>]) -> impl Iterator<Item = String> + use<'_, T> {
    fields.iter().map(Field::key)
}

fn find<'f, T>(fields: &'f [Field<T>], key: &str) -> Option<&'f Field<T>> {
    fields.iter().find(|field| field.key() == key)
}

/// The value of `--vsched-ejection`.
pub(super) fn ejection(word: Word<'_>) -> Result<Ejection, RulesError> {
    let setting = "ejection";
    let known: Vec<String> =
        keys(Ejection::FIELDS).chain([OUTLIERS.to_owned()]).chain(keys(Outliers::FIELDS)).collect();
    let (mut ejection, mut outliers) = (Ejection::default(), Outliers::default());
    let (mut method, mut needs_method) = (None, None);
    for Pair { key, value, whole } in pairs(word, setting, &known)? {
        if let Some(field) = find(Ejection::FIELDS, key) {
            field.read(setting, value, &mut ejection)?;
        } else if let Some(field) = find(Outliers::FIELDS, key) {
            field.read(setting, value, &mut outliers)?;
            needs_method = needs_method.or(Some(whole));
        } else {
            let found = OutlierMethod::ALL.into_iter().find(|it| it.name() == value.text);
            method = Some(found.ok_or_else(|| {
                value.error("illegal ejection outliers: expected mean or median")
            })?);
        }
    }
    match (method, needs_method) {
        (Some(method), _) => ejection.outliers = Some(Outliers { method, ..outliers }),
        (None, Some(whole)) => return Err(whole.error("needs outliers=mean or outliers=median")),
        (None, None) => {}
    }
    Ok(ejection)
}

/// The value of `--vsched-slow-start`.
pub(super) fn slow_start(word: Word<'_>) -> Result<SlowStart, RulesError> {
    let setting = "slow start";
    let known: Vec<String> = keys(SlowStart::FIELDS).collect();
    let mut slow_start = SlowStart::default();
    for Pair { key, value, .. } in pairs(word, setting, &known)? {
        if let Some(field) = find(SlowStart::FIELDS, key) {
            field.read(setting, value, &mut slow_start)?;
        }
    }
    Ok(slow_start)
}

/// Prints the fields that differ from the usual.
fn write<T>(f: &mut Formatter<'_>, fields: &[Field<T>], value: &T, usual: &T) -> fmt::Result {
    let get = |field: &Field<T>| (field.get)(value);
    let mut others = fields.iter().filter(|field| get(field) != (field.get)(usual));
    others.try_for_each(|field| write!(f, ",{}={}", field.key(), get(field)))
}

pub(super) fn write_ejection(f: &mut Formatter<'_>, ejection: &Ejection) -> fmt::Result {
    let failures = ejection.failures;
    write!(f, " --vsched-ejection failures={failures}")?;
    write(f, Ejection::FIELDS, ejection, &Ejection { failures, ..Ejection::default() })?;
    if let Some(outliers) = &ejection.outliers {
        write!(f, ",{OUTLIERS}={}", outliers.method.name())?;
        write(f, Outliers::FIELDS, outliers, &Outliers::default())?;
    }
    Ok(())
}

pub(super) fn write_slow_start(f: &mut Formatter<'_>, slow_start: &SlowStart) -> fmt::Result {
    let duration = slow_start.duration;
    write!(f, " --vsched-slow-start duration={duration}")?;
    write(f, SlowStart::FIELDS, slow_start, &SlowStart { duration, ..SlowStart::default() })
}
