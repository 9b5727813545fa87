//! Random configs for the C tests, which rebuild each by calls: `ffi-tests/configs.jsonl`.
//!
//! With `VSCHED_WRITE` in the environment the file is written; otherwise it must be what is generated, so
//! that a new setting gets into it.

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use vsched_property::configs::configs;

const CONFIGS: usize = 100;

#[test]
fn the_c_tests_have_every_setting() {
    let mut runner = TestRunner::deterministic();
    let mut text = String::new();
    let mut written = 0;
    while written < CONFIGS {
        let mut config = configs().new_tree(&mut runner).expect("a config").current();
        // C describes daemons by commands alone.
        config.daemons = Vec::new();
        if config.services.is_empty() || config.validate().is_err() {
            continue;
        }
        writeln!(text, "{}", serde_json::to_string(&config).expect("a text")).expect("a string");
        written += 1;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ffi-tests/configs.jsonl");
    if env::var_os("VSCHED_WRITE").is_some() {
        fs::write(&path, &text).expect("the file is written");
    }
    let found = fs::read_to_string(&path).expect("the file is read");
    assert!(
        found == text,
        "generated anew by VSCHED_WRITE=1 cargo test -p vsched-property --test corpus"
    );
}
