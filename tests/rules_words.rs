//! Commands given as separate words parse like the same words in a line of text, except for what
//! the kernel checks.

use serde_json::Value;
use vsched::config::{Command, Config, rules::Rules};

const TRANSCRIPT: &str = include_str!("data/ipvsadm/commands.jsonl");
/// What words leave to the kernel.
const LEFT: [&str; 2] = [
    "illegal real server: expected a unicast address",
    "illegal lower threshold: expected at most the upper one",
];
/// What words refuse as ipvsadm does.
const MIXED: &str = "a server of the other address family than its service needs tunneling (-i)";

#[test]
fn words_are_read_like_lines_but_for_what_the_kernel_checks() {
    let mut seen = [0; 4];
    for case in TRANSCRIPT.lines().skip(1) {
        let case: Value = serde_json::from_str(case).expect("JSON");
        for line in case["commands"].as_array().into_iter().flatten() {
            let line = line.as_str().expect("a line");
            let words: Vec<&str> = line.split([' ', '\t']).filter(|w| !w.is_empty()).collect();
            // Only a text has comments, and the program's name in it.
            if words.iter().any(|word| word.starts_with('#') || word.ends_with("ipvsadm")) {
                continue;
            }
            let found = Command::from_words(&words);
            if found.as_ref().is_err_and(|error| error.message() == MIXED) {
                // A text may also be for a proxy.
                match line.parse::<Rules>() {
                    Ok(_) => assert!(words.contains(&"-m"), "{line}"),
                    Err(error) => assert!(error.message().starts_with(MIXED), "{error}"),
                }
                seen[3] += 1;
                continue;
            }
            match words.join(" ").parse::<Rules>() {
                Ok(rules) => {
                    assert_eq!(found.as_ref().ok(), rules.commands().next(), "{line}");
                    seen[0] += 1;
                }
                Err(error) if LEFT.iter().any(|left| error.message().starts_with(left)) => {
                    let command = found.expect(line);
                    let Command::AddServer { service, server } = command else { continue };
                    let mut config: Config =
                        format!("-A -t {} -p", service.to_string().replace("tcp ", ""))
                            .parse()
                            .expect("a service");
                    config.services[0].servers.push(server);
                    config.validate().expect_err("no kernel takes it");
                    seen[1] += 1;
                }
                Err(error) => {
                    assert_eq!(found, Err(error), "{line}");
                    seen[2] += 1;
                }
            }
        }
    }
    assert!(seen[0] > 300 && seen[1] > 5 && seen[2] > 200 && seen[3] > 1, "{seen:?}");
}

#[test]
fn words_may_be_empty_or_hold_anything() {
    assert!(Command::from_words(&[]).is_err());
    assert!(Command::from_words(&[""]).is_err());
    let error = Command::from_words(&["-A", "", "-t", "10.0.0.1:80"]).expect_err("an argument");
    assert_eq!((error.line(), error.column(), error.word()), (1, 4, ""));
    let error = Command::from_words(&["-A", "-t", "10.0.0.1:80 # x"]).expect_err("no address");
    assert_eq!(error.word(), "10.0.0.1:80 # x");
}
