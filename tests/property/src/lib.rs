//! A simple, slow model of `vsched`, and random scripts that both run.
//!
//! [`configs`] generates whole configs with every field. [`twins`] implements the schedulers as
//! literal walks of a list, [`load`] the counts and threshold rules of one server, [`kernel`] the
//! services with their lists and removed servers. They share only the plain config types with the
//! crate. [`script`] generates events; [`world`] applies them to both sides and compares after each
//! step.
//!
//! Each test has its default number of cases; `PROPTEST_CASES` in the environment replaces it, for
//! soaks.

mod chance;
pub mod configs;
pub mod kernel;
pub mod load;
mod maglev;
pub mod script;
pub mod templates;
pub mod twins;
pub mod world;

use std::net::SocketAddr;

use proptest::test_runner::{Config, FileFailurePersistence};
use vsched::config::ServiceKey;
use vsched::{Director, ServerId};

/// The id of a server of the service with this key.
pub fn server_id(
    director: &Director,
    service: &ServiceKey,
    server: SocketAddr,
) -> Option<ServerId> {
    director.service_by_key(service).and_then(|service| director.server_by_address(service, server))
}

/// Proptest's settings with this usual number of cases.
pub fn cases(usual: u32) -> Config {
    // Reads PROPTEST_CASES.
    let mut config = Config::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = usual;
    }
    config.max_shrink_iters = 20_000;
    config.failure_persistence = Some(Box::new(FileFailurePersistence::WithSource("regressions")));
    config
}
