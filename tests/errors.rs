//! Every public error says all that it knows in one text, its cause included, and says it once: a
//! printer of error chains repeats nothing.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::Path;

use vsched::config::{Command, Config, Guardrails, Name, ServiceKey};
use vsched::error::{ApplyError, BlockError};
use vsched::{ApplyPolicy, BlockLimits, Director, Holder, Outcome, ServerId, ServerState, Tried};

/// An error's type, the error, and the text of its cause, if it has one.
type Case = (&'static str, Box<dyn Error>, Option<String>);

fn case<E: Error + 'static>(error: E, cause: Option<String>) -> Case {
    let path = std::any::type_name::<E>();
    (path.rsplit("::").next().unwrap_or(path), Box::new(error), cause)
}

fn plain<E: Error + 'static>(error: Result<impl Sized, E>) -> Case {
    case(error.err().expect("an error"), None)
}

fn applied(error: ApplyError) -> Case {
    let cause = match &error {
        ApplyError::Invalid(cause) => cause.to_string(),
        ApplyError::Command(cause) => cause.to_string(),
        ApplyError::Guardrails(cause) => cause.to_string(),
        ApplyError::Block(cause) => cause.to_string(),
        other => panic!("{other}"),
    };
    case(error, Some(cause))
}

/// Two problems.
fn invalid() -> Config {
    let mut invalid: Config = "-A -f 7\n-A -u 10.0.0.1:80".parse().expect("rules");
    for service in &mut invalid.services {
        service.panic_threshold = 101;
    }
    invalid
}

fn cases() -> Vec<Case> {
    let config: Config = "-A -f 7\n-a -f 7 -r 10.0.1.1:80".parse().expect("rules");
    let director = Director::new(&config).expect("a valid config");
    let worker = director.worker();
    let service = director.service("fwmark 7").expect("it runs");
    let stale = ServerId::from_raw([9, 9]);
    let invalid = invalid();
    let add = Command::AddService(config.services[0].settings());
    let policy = ApplyPolicy::new(Guardrails::default());
    let closed: Config = "-A -f 7".parse().expect("rules");
    let guarded = director.apply_with(&closed, &policy).expect_err("it closes");
    let ApplyError::Guardrails(guardrails) = guarded.clone() else { panic!("{guarded}") };
    let executed = director.execute(&add).expect_err("it runs");
    let ApplyError::Command(command) = executed.clone() else { panic!("{executed}") };
    let rules = "-A -f 7\n-A -f 7".parse::<Config>().expect_err("twice");
    let refused = rules.refused().map(ToString::to_string);
    let key = director.service("tcp x").expect_err("no key");
    vec![
        plain(BlockLimits::new(1, 1).with_owners(0).size()),
        applied(ApplyError::Block(BlockError::NoOwner)),
        plain("tcp x".parse::<ServiceKey>()),
        plain("!".parse::<Name>()),
        plain("x".parse::<vsched::SchedulerKind>()),
        plain("x".parse::<ServerId>()),
        plain("-A -f x".parse::<Config>()),
        case(rules, refused),
        plain(invalid.validate()),
        applied(director.apply(&invalid).expect_err("invalid")),
        case(command, None),
        applied(executed),
        case(guardrails, None),
        applied(guarded),
        case(key, Some("tcp x".parse::<ServiceKey>().expect_err("no key").to_string())),
        plain(director.service("fwmark 8")),
        plain(director.server(service, "10.0.1.9:80")),
        plain(worker.report(stale, Outcome::Failed, None)),
        plain(director.set_state(stale, Holder::Administrator, ServerState::Up)),
        plain(Tried::<0>::new().try_push(stale)),
        case(vsched::Refused::AllTried, None),
    ]
}

#[cfg(all(feature = "netlink", target_os = "linux"))]
mod kernel {
    use vsched::config::{Config, Observed};
    use vsched::netlink::plan::{Plan, PlanError, Policy};
    use vsched::netlink::wire::{Command, Message};
    use vsched::netlink::{Error, Kernel, Namespace, Object, Refused, Stopped, SyncError};

    use super::{Case, case};

    pub(super) fn cases(invalid: &Config) -> Vec<Case> {
        let refused = Refused::new(Command::Zero, Object::Everything, 1);
        let wire = || Message::decode(&[1]).expect_err("one byte is no message");
        let namespace = || match Kernel::open_in(Namespace::at("/no such namespace")) {
            Err(error) => error,
            Ok(kernel) => panic!("{kernel:?}"),
        };
        let Error::Namespace { source, .. } = namespace() else { panic!("{}", namespace()) };
        let plan = || Plan::new(invalid.clone(), &Observed::default(), &Policy::default());
        let plan = || plan().expect_err("an invalid config");
        let PlanError::Invalid(problems) = plan() else { panic!("{}", plan()) };
        let text = |error: &dyn std::error::Error| Some(error.to_string());
        vec![
            case(refused, None),
            case(Error::Refused(refused), text(&refused)),
            case(wire(), None),
            case(Error::Wire(wire()), text(&wire())),
            case(namespace(), text(&source)),
            case(plan(), text(&problems)),
            case(SyncError::Plan(plan()), text(&problems)),
            case(SyncError::Kernel(namespace()), text(&source)),
            case(Stopped::new(namespace(), 1, 2), text(&source)),
        ]
    }
}

/// What a printer of error chains prints, such as anyhow's `{:#}`.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text += &format!(": {source}");
        next = source.source();
    }
    text
}

fn all_cases() -> Vec<Case> {
    let cases = cases();
    #[cfg(all(feature = "netlink", target_os = "linux"))]
    let cases = cases.into_iter().chain(kernel::cases(&invalid())).collect();
    cases
}

#[test]
fn a_printed_chain_of_errors_says_each_cause_once() {
    for (name, error, cause) in all_cases() {
        let (text, chain) = (error.to_string(), chain(&*error));
        if let Some(cause) = cause {
            assert!(text.contains(&cause), "{name}: one text must say all: {text}");
            assert_eq!(chain.matches(&cause).count(), 1, "{name}: {chain}");
        }
        if let Some(source) = error.source() {
            assert!(!text.contains(&source.to_string()), "{name}: {chain}");
        }
    }
}

/// The types of errors in the sources, with the crate's folder.
fn in_sources(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && (cfg!(feature = "netlink") || !path.ends_with("netlink")) {
            in_sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(&path).expect("a source");
            let types =
                text.lines().filter_map(|line| line.strip_prefix("impl std::error::Error for "));
            found.extend(types.map(|rest| rest.split(' ').next().unwrap_or(rest).to_owned()));
        }
    }
}

#[test]
fn every_error_is_in_the_table() {
    let mut wanted = BTreeSet::new();
    in_sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut wanted);
    let found: BTreeSet<String> = all_cases().iter().map(|case| case.0.to_owned()).collect();
    assert_eq!(found, wanted);
    assert!(found.len() > 12);
}
