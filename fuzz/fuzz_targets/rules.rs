//! Rules texts: read or refused with a place in the text; what is read is printed and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vsched::{Config, Director};

fuzz_target!(|text: &str| {
    let config: Config = match text.parse() {
        Ok(config) => config,
        Err(error) => {
            assert!(error.line() >= 1 && error.line() <= text.split('\n').count());
            return;
        }
    };
    let printed = config.to_rules().with_thresholds().unsorted().to_string();
    let again: Config = printed.parse().expect("what was printed");
    assert_eq!(again.services, config.services);
    if config.validate().is_ok() {
        let director = Director::new(&config).expect("a valid config");
        assert!(director.apply(&again).expect("the same").is_empty());
    }
});
