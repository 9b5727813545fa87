//! A thousand recorded command lines are read, executed and printed as ipvsadm and a kernel did.
//!
//! `tests/data/ipvsadm/commands.jsonl` is the transcript; its README says how it was recorded. The
//! results must be equal byte for byte, and what was refused must be refused, except for the
//! differences that are listed here with their reasons.

use std::collections::BTreeSet;

use serde_json::Value;
use vsched::SchedulerKind;
use vsched::config::{Config, rules::Rules};
use vsched::error::RulesError;

const TRANSCRIPT: &str = include_str!("data/ipvsadm/commands.jsonl");

const NO_LOOKUP: &str = "names are never looked up";
const ENGINES: &str = "which persistence engines exist only the running kernel knows";
const SAVED_MARK: &str = "`ipvsadm --save` prints great marks so, ipvsadm cannot read them back";
const LINK_LOCAL: &str = "right if the director holds that address, which only the kernel knows";
const FORGIVING: &str = "comments and a path before the command are ours to understand";

/// Accepted by ipvsadm, refused by us.
const STRICTER: &[(&str, &str)] = &[
    ("-A -t localhost:80", NO_LOOKUP),
    ("-A -t 10.0.0.1:http", NO_LOOKUP),
    ("-A -u 10.0.0.1:domain", NO_LOOKUP),
    ("-A -t 10.0.0.1:domain", NO_LOOKUP),
    ("-A -t [::1]:http", NO_LOOKUP),
    ("-A -t 10.0.0.1:80 -p 60 -M localhost", NO_LOOKUP),
    ("-a -t 10.0.0.1:80 -r localhost -m", NO_LOOKUP),
    ("-a -t 10.0.0.1:80 -r 10.0.1.1:http -m", NO_LOOKUP),
    ("-a -t 10.0.0.1:80 -r 10.0.1.1:http", NO_LOOKUP),
    ("-a -t 10.0.0.1:80 -r 10.0.1.1:http -g", NO_LOOKUP),
    ("-a -t 10.0.0.1:80 -r 10.0.1.1:http -i", NO_LOOKUP),
    ("-A -t [::1]:80 -p -M 4294967360", "ipvsadm reads 64 because its number overflows"),
    (
        "-A -t 10.0.0.1:80\n-A -t 10.0.0.1:80\n-A -t 10.0.0.2:80\n",
        "--restore goes on after what the kernel refuses; a config is taken whole or not at all",
    ),
];

const MIXED: &str = "a proxy masquerades between address families";

/// Refused by ipvsadm or the kernel, accepted by us.
const LAXER: &[(&str, &str)] = &[
    ("-A -f -1", SAVED_MARK),
    ("-A -f -2147483648", SAVED_MARK),
    ("-A -t 10.0.0.1:80 -s twos", "came after Linux 6.1"),
    ("-A -u 10.0.0.1:5060 --pe nosuch -p", ENGINES),
    ("-A -u 10.0.0.1:5060 -p 60 --pe -M", ENGINES),
    ("-A -u 10.0.0.1:5060 -p 60 --pe 0123456789abcde", ENGINES),
    ("-a -t [2001:db8::1]:80 -r [fe80::1]:80 -m", LINK_LOCAL),
    ("-a -t 10.0.0.1:80 -r [fe80::1]:80 -i", LINK_LOCAL),
    ("/sbin/ipvsadm -A -t 10.0.0.1:80\n", FORGIVING),
    ("-a -t 10.0.0.1:80 -r [2001:db8::1]:80 -m", MIXED),
    ("-a -t 10.0.0.1:80 -r 2001:db8::1 -m", MIXED),
    ("-a -t [2001:db8::1]:80 -r 10.0.1.1 -m", MIXED),
    ("-a -t [2001:db8::1]:80 -r 10.0.1.1:8080 -m", MIXED),
    ("# comment\n", FORGIVING),
    ("-A -t 10.0.0.1:80 # comment\n", FORGIVING),
];

/// Schedulers of real kernels that a build may not have yet.
const REAL_SCHEDULERS: &[&str] = &["sh", "dh", "mh", "lblc", "lblcr"];

struct Case {
    /// Command lines run one by one, or one text for `--restore`, which ends in a line end; and
    /// whether the real ones accepted.
    steps: Vec<(String, bool)>,
    rules: String,
    thresholds: Option<String>,
}

fn cases() -> impl Iterator<Item = Case> {
    TRANSCRIPT.lines().skip(1).map(|line| {
        let case: Value = serde_json::from_str(line).expect(line);
        let texts = match &case["restore"] {
            Value::String(text) => vec![text.clone()],
            _ => strings(&case["commands"]),
        };
        let exits = case["exits"].as_array().expect("exits");
        assert_eq!(texts.len(), exits.len());
        Case {
            steps: texts.into_iter().zip(exits.iter().map(|exit| *exit == 0)).collect(),
            rules: case["rules"].as_str().expect("rules").to_owned(),
            thresholds: case["thresholds"].as_str().map(str::to_owned),
        }
    })
}

fn strings(value: &Value) -> Vec<String> {
    let strings = value.as_array().expect("an array").iter();
    strings.map(|v| v.as_str().expect("a string").to_owned()).collect()
}

fn run(config: &mut Config, text: &str) -> Result<(), RulesError> {
    text.parse::<Rules>()?.apply_to(config)
}

/// Runs the steps; `None` where the rest of the case cannot be compared.
fn replay(
    case: &Case,
    differences: &mut BTreeSet<&'static str>,
    failures: &mut Vec<String>,
) -> Option<Config> {
    let mut config = Config::default();
    for (text, accepted) in &case.steps {
        let before = config.clone();
        let result = run(&mut config, text);
        let listed = if *accepted { STRICTER } else { LAXER };
        let listed = listed.iter().find(|(known, _)| known == text);
        let agree = result.is_ok() == *accepted;
        match (listed, &result) {
            (None, _) if agree => {}
            (Some((known, _)), _) if !agree => {
                differences.insert(known);
                return None;
            }
            (None, Err(error)) if is_missing_scheduler(error) => return None,
            _ => failures.push(format!("{text}\n  real: {accepted}, ours: {result:?}")),
        }
        if !accepted && text.ends_with('\n') {
            // --restore has already done what stands before the wrong line, we never have.
            return None;
        }
        if result.is_err() && config != before {
            failures.push(format!("{text}\n  refused, yet the config changed"));
        }
    }
    Some(config)
}

fn is_missing_scheduler(error: &RulesError) -> bool {
    REAL_SCHEDULERS.contains(&error.word()) && error.word().parse::<SchedulerKind>().is_err()
}

#[test]
fn the_transcript_is_of_a_real_kernel() {
    let header: Value = serde_json::from_str(TRANSCRIPT.lines().next().unwrap()).unwrap();
    assert!(header["ipvsadm"].as_str().unwrap().starts_with("ipvsadm v1.31"));
    assert!(header["kernel"].is_string());
    assert!(cases().count() > 900);
}

#[test]
fn every_command_line_does_what_the_real_one_does() {
    let (mut differences, mut failures) = (BTreeSet::new(), Vec::new());
    for case in cases() {
        let Some(config) = replay(&case, &mut differences, &mut failures) else {
            continue;
        };
        let printed = config.to_rules().to_string();
        if printed != case.rules {
            failures.push(format!("{:?}\n  real:\n{}  ours:\n{printed}", case.steps, case.rules));
        }
    }
    assert!(failures.is_empty(), "{}:\n{}", failures.len(), failures.join("\n"));
    // A difference that no longer shows must leave the tables.
    for (known, reason) in STRICTER.iter().chain(LAXER) {
        assert!(differences.contains(known), "{known:?} ({reason}) is no difference");
    }
}

#[test]
fn thresholds_are_those_of_the_real_listing() {
    let mut seen = 0;
    for case in cases() {
        let Some(listing) = &case.thresholds else {
            continue;
        };
        let config = replay(&case, &mut BTreeSet::new(), &mut Vec::new()).expect("comparable");
        let real = listing.lines().filter_map(|line| {
            let mut words = line.strip_prefix("  -> ")?.split_ascii_whitespace().skip(1);
            Some((words.next()?.parse::<u32>().ok()?, words.next()?.parse().ok()?))
        });
        let text = config.to_rules().with_thresholds().to_string();
        let ours = text.lines().filter(|line| line.starts_with("-a ")).map(|line| {
            let words: Vec<_> = line.split(' ').collect();
            match words.as_slice() {
                [.., "-x", upper, "-y", lower] => (upper.parse().unwrap(), lower.parse().unwrap()),
                _ => (0, 0),
            }
        });
        assert_eq!(ours.collect::<Vec<(u32, u32)>>(), real.collect::<Vec<_>>(), "{text}");
        seen += 1;
    }
    assert!(seen > 10);
}

#[test]
fn complete_texts_read_back_equal() {
    let mut servers = 0;
    for case in cases() {
        let Some(config) = replay(&case, &mut BTreeSet::new(), &mut Vec::new()) else {
            continue;
        };
        let text = config.to_rules().with_thresholds().unsorted().to_string();
        assert_eq!(text.parse().as_ref(), Ok(&config), "{text}");
        servers += config.services.iter().map(|s| s.servers.len()).sum::<usize>();

        // What ipvsadm prints reads back too, unless it printed an empty list of flags. Servers
        // are then of other ages, and that decides the order of a circle.
        match config.to_rules().to_string().parse::<Config>() {
            Ok(saved) => assert_eq!(lines(&saved.to_rules().to_string()), lines(&case.rules)),
            Err(error) => assert!(case.rules.contains(" -b \n"), "{error}: {}", case.rules),
        }
    }
    assert!(servers > 100);
}

fn lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines
}
