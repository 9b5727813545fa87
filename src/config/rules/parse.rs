//! Parses one line into one command.

use crate::config::rules::Checks;
use crate::config::rules::draft::Draft;
use crate::config::rules::options::{Opt, Spec, Verb};
use crate::config::rules::popt::{Argument, Scanner};
use crate::config::rules::settings;
use crate::config::rules::words::Word;
use crate::config::{Command, steps};
use crate::error::RulesError;

const COMMANDS: &str = "expected -A, -E, -D, -C, -a, -e, -d, --set, --start-daemon, --stop-daemon or \
                        --vsched-SETTING";

/// Parses one line; `first` is the first of its words.
pub(super) fn command(
    first: Word<'_>,
    words: &[Word<'_>],
    checks: Checks,
) -> Result<Command, RulesError> {
    let mut scanner = Scanner::new(words);
    let item = scanner.next().unwrap_or(Ok(Argument::Argument(first)))?;
    refuse_own(&item, checks)?;
    if let Argument::Option(spec, at, value) = item {
        if settings::is_setting(spec.opt) {
            return settings::read(spec, at, value, scanner).map(Command::Set);
        }
    }
    let (verb, command) = verb(item)?;
    let mut draft = Draft::new(verb, command);
    let mut seen: Vec<(Opt, Word<'_>)> = Vec::new();
    for item in scanner {
        let item = item?;
        refuse_own(&item, checks)?;
        let (spec, at, value) = match item {
            Argument::Option(spec, at, value) => (spec, at, value),
            Argument::Argument(word) => {
                return Err(word.error("unexpected argument: it belongs to no option"));
            }
        };
        check_place(verb, spec, at)?;
        let kind = spec.opt.kind();
        let before = seen.iter().find(|(opt, _)| *opt == kind);
        steps::take(seen.len());
        if let Some((_, first)) = before.filter(|_| !kind.may_repeat()) {
            return Err(at.duplicates(*first));
        }
        if before.is_none() {
            seen.push((kind, at));
        }
        draft.set(spec.opt, at, value)?;
    }
    draft.finish(checks)
}

/// Refuses `--vsched-` options outside of rules texts.
fn refuse_own(item: &Argument<'_>, checks: Checks) -> Result<(), RulesError> {
    match item {
        Argument::Option(spec, at, _) if spec.is_own() && checks == Checks::Ipvsadm => {
            Err(at.error("unknown option"))
        }
        _ => Ok(()),
    }
}

fn verb<'t>(item: Argument<'t>) -> Result<(Verb, Word<'t>), RulesError> {
    match item {
        Argument::Option(spec, at, _) => match Verb::of(spec.opt) {
            Some(verb) => Ok((verb, at)),
            None if spec.opt == Opt::OtherCommand => Err(not_configuration(spec, at)),
            None => Err(at.error(format!("the command must come first: {COMMANDS}"))),
        },
        Argument::Argument(word) => Err(word.error(format!("not a command: {COMMANDS}"))),
    }
}

fn not_configuration(spec: &Spec, at: Word<'_>) -> RulesError {
    at.error(format!("command --{} is no configuration: {COMMANDS}", spec.long))
}

/// Refuses a second command and options of other commands.
fn check_place(verb: Verb, spec: &Spec, at: Word<'_>) -> Result<(), RulesError> {
    if Verb::of(spec.opt).is_some()
        || spec.opt == Opt::OtherCommand
        || settings::is_setting(spec.opt)
    {
        return Err(at.error(format!(
            "second command --{}: {} is the command of this line",
            spec.long,
            verb.name()
        )));
    }
    if verb.allows(spec.opt) {
        return Ok(());
    }
    Err(at.error(format!(
        "option --{} does not go with {}, which takes {}",
        spec.long,
        verb.name(),
        verb.takes()
    )))
}
