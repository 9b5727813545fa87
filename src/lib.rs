#![doc = include_str!("../README.md")]

pub mod config;
mod director;
pub mod error;
#[cfg(feature = "capi")]
mod ffi;
mod flow;
#[cfg(all(feature = "netlink", target_os = "linux"))]
pub mod netlink;
mod pool;
pub mod protocol;
pub mod requirements;
mod sched;
mod state;
mod sync;
mod worker;

#[doc = include_str!("../docs/architecture.md")]
pub mod architecture {}

#[doc = include_str!("../docs/behaviour.md")]
pub mod behaviour {}

#[doc = include_str!("../docs/lvs.md")]
pub mod lvs {}

#[doc = include_str!("../docs/embedding.md")]
pub mod embedding {}

pub use config::Config;
pub use director::{Applied, ApplyPolicy, Director, Item, RemovedServer};
pub use flow::Flow;
pub use sched::SchedulerKind;
pub use state::counts::{Activity, MAX_CONNECTIONS};
pub use state::pick::{Pick, Refused};
pub use state::slots::{ConnectionError, ServerId, ServiceId};
pub use worker::{Connection, Lease, Tried, Worker};
