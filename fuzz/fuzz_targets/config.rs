//! Configs as JSON: whatever is read is checked, run if it is valid, and written as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vsched::{Config, Director, Flow};

fuzz_target!(|text: &str| {
    let Ok(config) = serde_json::from_str::<Config>(text) else { return };
    let written = serde_json::to_string(&config).expect("a config");
    assert_eq!(serde_json::from_str::<Config>(&written).expect("what was written"), config);
    let _ = config.requirements().to_string();
    // Memory of addresses is allocated at once; a fuzzer would ask for all there is.
    let large = config.services.iter().any(|service| service.affinity.capacity > 1 << 16);
    if large || config.validate().is_err() {
        return;
    }
    let director = Director::new(&config).expect("a valid config");
    let worker = director.worker();
    for (service, _) in director.services() {
        if let Ok(connection) = worker.connect(service, &Flow::default()) {
            assert!(director.counts(connection.server()).is_some());
        }
    }
    assert!(director.apply(&config).expect("the same").is_empty());
});
