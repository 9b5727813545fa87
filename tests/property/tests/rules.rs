//! A rules text can express every config, and so can data.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use vsched::config::Config;
use vsched::config::rules::Rules;
use vsched_property::cases;
use vsched_property::configs::configs;

#[test]
fn a_complete_text_reads_back_as_the_config_that_printed_it() {
    let (valid, all) = (Cell::new(0u32), Cell::new(0u32));
    let check = |config: Config| {
        all.set(all.get() + 1);
        if config.validate().is_err() {
            return Ok(());
        }
        valid.set(valid.get() + 1);
        let text = config.to_string();
        prop_assert_eq!(&text, &config.to_rules().complete().to_string());
        let read = text.parse::<Config>();
        prop_assert_eq!(read.as_ref(), Ok(&config), "{}", text);
        // As data, too.
        let json = serde_json::to_string(&config).expect("a text");
        prop_assert_eq!(&serde_json::from_str::<Config>(&json).expect("just written"), &config);
        let toml = toml::to_string(&config).expect("a text");
        prop_assert_eq!(
            &toml::from_str::<Config>(&toml).expect("just written"),
            &config,
            "{}",
            toml
        );
        // Line by line it comes to the same.
        let rules: Rules = text.parse().expect("just read");
        let mut built = Config::default();
        for command in rules.commands() {
            prop_assert_eq!(built.execute(command), Ok(()), "{}", text);
        }
        prop_assert_eq!(&built, &config, "{}", text);
        // What needs nothing of our own, ipvsadm's text says as well.
        if !text.contains("--vsched-") {
            let services = text.split_inclusive('\n').filter(|line| !line.starts_with("--"));
            let readable = config.to_rules().with_thresholds().unsorted().to_string();
            prop_assert_eq!(services.collect::<String>(), readable);
        }
        Ok(())
    };
    let result = TestRunner::new(cases(5_000)).run(&configs(), check);
    assert!(result.is_ok(), "{}", result.unwrap_err());
    let (valid, all) = (valid.get(), all.get());
    assert!(valid > all / 2, "only {valid} of {all} were valid");
}
