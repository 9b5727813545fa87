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
    // What ipvsadm reads may say less, but has to be a text.
    let _ = config.to_rules().with_thresholds().to_string().parse::<Config>();
    if config.validate().is_err() {
        return;
    }
    let printed = config.to_rules().complete().to_string();
    let again: Config = printed.parse().expect("what was printed");
    assert_eq!(again, config);
    // Memory of addresses is allocated at once; a fuzzer would ask for all there is.
    if config.services.iter().all(|service| service.affinity.capacity <= 1 << 16) {
        let director = Director::new(&config).expect("a valid config");
        assert!(director.apply(&again).expect("the same").is_empty());
    }
});
