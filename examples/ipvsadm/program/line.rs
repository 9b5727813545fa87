//! One command line: parses words into options by popt's syntax, and checks that they fit together.

use super::names::Names;
use super::options::{self, SUBJECTS, Spec, TABLE, Value, Verb};
use super::values::{self, Reader};

/// Why a line is not carried out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is no command: point to the help.
    NoCommand,
    /// Words that are not options; later lines are still read.
    Syntax(String),
    /// Options or values that do not fit: nothing more is read.
    Usage(String),
}

/// An option as it was given.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    pub(crate) spec: &'static Spec,
    /// With numbers instead of names.
    pub(crate) value: Option<String>,
    /// The last word that it uses.
    word: String,
}

/// A command with its options and arguments.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) verb: Verb,
    /// The value of the command itself: the side of a daemon.
    pub(crate) value: Option<String>,
    pub(crate) options: Vec<Given>,
    pub(crate) arguments: Vec<String>,
}

impl Line {
    /// Reads a line that is already split into words. Errors are reported in ipvsadm's order: options and
    /// their values in sequence, up to the first word that is not an option; then leftover arguments; then
    /// options that do not fit together.
    pub(crate) fn read(words: &[String], names: &Names) -> Result<Self, Refusal> {
        let mut found = Vec::new();
        let mut arguments = Vec::new();
        let scanned = scan(words, &mut found, &mut arguments);
        let mut options = found.into_iter();
        let first = options.next().ok_or(Refusal::NoCommand)?;
        let verb = first.spec.verb.ok_or(Refusal::NoCommand)?;
        let mut line = Line { verb, value: first.value, options: options.collect(), arguments };
        if !matches!(verb, Verb::Help | Verb::Version) {
            line.read_in_turn(names)?;
            scanned.map_err(Refusal::Syntax)?;
            line.check_arguments()?;
            values::flags(line.value_of("scheduler"), line.value_of("sched-flags"))?;
            line.check_together()?;
        }
        Ok(line)
    }

    /// The option of this name.
    pub(crate) fn option(&self, long: &str) -> Option<&Given> {
        self.options.iter().find(|given| given.spec.long == long)
    }

    /// True if an option of this name was given.
    pub(crate) fn has(&self, long: &str) -> bool {
        self.option(long).is_some()
    }

    /// The value of the option of this name.
    pub(crate) fn value_of(&self, long: &str) -> Option<&str> {
        self.option(long).and_then(|given| given.value.as_deref())
    }

    /// True if an option of this kind was given.
    pub(crate) fn has_kind(&self, kind: &str) -> bool {
        self.options.iter().any(|given| given.spec.kind == kind)
    }

    /// The checks that ipvsadm makes while it reads.
    fn read_in_turn(&mut self, names: &Names) -> Result<(), Refusal> {
        if matches!(self.verb, Verb::StartDaemon | Verb::StopDaemon) {
            values::role(self)?;
        }
        let mut reader = Reader::new(names);
        let mut kinds: Vec<&str> = Vec::new();
        for given in &mut self.options {
            let kind = given.spec.kind;
            if given.spec.verb.is_some() {
                return Err(Refusal::Usage(format!("invalid option `{}'", given.word)));
            }
            if !kind.is_empty() && kinds.contains(&kind) {
                return Err(Refusal::Usage(format!("multiple '{kind}' options specified")));
            }
            kinds.push(kind);
            reader.read(given)?;
        }
        Ok(())
    }

    fn check_arguments(&self) -> Result<(), Refusal> {
        let mut rest = self.arguments.as_slice();
        if self.verb == Verb::Set {
            values::timeouts(rest)?;
            rest = rest.get(values::TIMEOUTS..).unwrap_or_default();
        }
        match rest.first() {
            Some(word) => Err(Refusal::Usage(format!("unexpected argument {word}"))),
            None => Ok(()),
        }
    }

    /// The checks that ipvsadm makes at the end, in the order of its table.
    fn check_together(&self) -> Result<(), Refusal> {
        let command = self.verb.name();
        let mut subject = None;
        let mut last = "";
        for spec in TABLE.iter().filter(|spec| !spec.kind.is_empty()) {
            let kind = spec.kind;
            if kind == last {
                continue;
            }
            last = kind;
            if !self.has_kind(kind) {
                if self.verb.needs().contains(&kind) {
                    let problem = format!("need to supply the '{kind}' option for the");
                    return Err(Refusal::Usage(format!("You {problem} '{command}' command")));
                }
                continue;
            }
            if !spec.with.contains(&self.verb) {
                let problem = format!("Illegal '{kind}' option with the '{command}' command");
                return Err(Refusal::Usage(problem));
            }
            if self.verb == Verb::List && SUBJECTS.contains(&kind) {
                if let Some(other) = subject {
                    let problem =
                        format!("The option '{kind}' conflicts with the '{other}' option");
                    return Err(Refusal::Usage(format!("{problem} in the '{command}' command")));
                }
                subject = Some(kind);
            }
        }
        let any = |kinds: &[&str]| kinds.iter().any(|kind| self.has_kind(kind));
        if any(&["connection", "timeout", "daemon"]) && any(&["stats", "rate", "thresholds"])
            || any(&["timeout", "daemon"]) && any(&["persistent-conn"])
        {
            return Err(Refusal::Usage("options conflicts in the list command".to_owned()));
        }
        Ok(())
    }
}

/// Splits words into options and arguments; the error is for the first unknown option.
fn scan(
    words: &[String],
    found: &mut Vec<Given>,
    arguments: &mut Vec<String>,
) -> Result<(), String> {
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        if word == "--" {
            arguments.extend(words.by_ref().cloned());
        } else if let Some(name) = word.strip_prefix("--") {
            let (name, attached) = match name.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (name, None),
            };
            let spec = options::long(name).ok_or_else(|| format!("{word}: unknown option"))?;
            found.push(give(spec, word, attached, &mut words)?);
        } else if let Some(letters) = word.strip_prefix('-').filter(|rest| !rest.is_empty()) {
            let mut letters = letters.chars();
            while let Some(letter) = letters.next() {
                let spec = options::short(letter);
                let spec = spec.ok_or_else(|| format!("{word}: unknown option"))?;
                let rest = letters.as_str();
                let attached = match rest.strip_prefix('=') {
                    Some(value) => Some(value),
                    None => Some(rest).filter(|rest| spec.value != Value::No && !rest.is_empty()),
                };
                found.push(give(spec, word, attached, &mut words)?);
                if attached.is_some() {
                    break;
                }
            }
        } else {
            arguments.push(word.clone());
        }
    }
    Ok(())
}

fn give(
    spec: &'static Spec,
    word: &str,
    attached: Option<&str>,
    words: &mut std::iter::Peekable<std::slice::Iter<'_, String>>,
) -> Result<Given, String> {
    let given = |value: Option<&str>, word: &str| Given {
        spec,
        value: value.map(str::to_owned),
        word: word.to_owned(),
    };
    match (spec.value, attached) {
        (Value::No, Some(_)) => Err(format!("{word}: option does not take an argument")),
        (_, attached @ Some(_)) => Ok(given(attached, word)),
        (Value::No, None) => Ok(given(None, word)),
        (Value::Maybe, None) => match words.next_if(|next| !next.starts_with('-')) {
            Some(value) => Ok(given(Some(value), value)),
            None => Ok(given(None, word)),
        },
        (Value::Yes, None) => match words.next() {
            Some(value) => Ok(given(Some(value), value)),
            None => Err(format!("{word}: missing argument")),
        },
    }
}
