#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]

mod attempts;
mod balancer;
mod config_file;
mod control_loop;
mod errors;
mod flow;
mod health;
mod metrics;
mod proxy;
mod selection;

pub use attempts::Attempts;
pub use balancer::Balancer;
pub use config_file::{ConfigFile, ConfigFileError};
pub use control_loop::ControlLoop;
pub use flow::{cookie_key, hash_key, header_key};
pub use health::HealthChecks;
pub use metrics::Metrics;
pub use selection::{NeedsLoads, Selected, Selection, SelectionConfig};
