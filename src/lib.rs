// The README and the documents link to each other. In rendered docs these links lead to modules,
// elsewhere to files. The picture is not in the crate: a text says where it is.
//! [architecture]: architecture
//! [behaviour]: behaviour
//! [configuration]: configuration
//! [embedding]: embedding
//! [embedding-in-rust]: embedding_in_rust
//! [glossary]: glossary
//! [linking]: linking
//! [lvs]: lvs
//! [operations]: operations
//! [performance]: performance
//! [status page]: data:image/svg+xml,%3Csvg%20xmlns='http://www.w3.org/2000/svg'%20width='460'%20height='24'%3E%3Ctext%20y='17'%20font-family='sans-serif'%20font-size='15'%20fill='gray'%3EThe%20picture%20is%20docs/images/status.png%20in%20the%20repository.%3C/text%3E%3C/svg%3E
//!
#![doc = include_str!("../README.md")]

mod arena;
mod concurrent;
pub mod config;
mod director;
pub mod error;
#[cfg(feature = "capi")]
mod ffi;
mod flow;
mod handle;
mod memory;
pub mod metrics;
#[cfg(all(feature = "netlink", target_os = "linux"))]
pub mod netlink;
mod pool;
pub mod protocol;
pub mod requirements;
mod rotation;
mod sched;
mod service;
mod sync;
mod worker;

/// How the code is built, its layers and invariants, and the path of a pick file by file:
/// `docs/architecture.md` in the repository.
pub mod architecture {}

#[doc = include_str!("../docs/behaviour.md")]
pub mod behaviour {}

#[doc = include_str!("../docs/lvs.md")]
pub mod lvs {}

/// [linking]: crate::linking
/// [behaviour]: crate::behaviour
///
#[doc = include_str!("../docs/embedding.md")]
pub mod embedding {}

/// [embedding]: crate::embedding
///
#[doc = include_str!("../docs/embedding-in-rust.md")]
pub mod embedding_in_rust {}

/// [architecture]: crate::architecture
/// [behaviour]: crate::behaviour
/// [lvs-glossary]: crate::lvs#glossary
///
#[doc = include_str!("../docs/glossary.md")]
pub mod glossary {}

#[doc = include_str!("../docs/linking.md")]
pub mod linking {}

/// Every setting of a config in TOML, JSON and rules, with defaults and limits: `docs/config.md` in the
/// repository, and its JSON Schema, `docs/vsched.schema.json`.
pub mod configuration {}

/// What to watch, what each metric means, queries, alerts, and a dashboard: `docs/operations.md` in the
/// repository, and `packaging`.
#[cfg_attr(doctest, doc = include_str!("../docs/operations.md"))]
pub mod operations {}

/// All figures, what they are compared with and how they are measured: `docs/performance.md` in the
/// repository. `make bench` measures them on your machine.
pub mod performance {}

pub use arena::block::limits::BlockLimits;
pub use arena::block::owners::OwnerId;
pub use arena::block::{Block, Reclaimed};
pub use arena::counts::{Activity, MAX_CONNECTIONS};
pub use arena::health::Outcome;
pub use arena::id::{ServerId, ServiceId};
pub use config::{Config, SchedulerKind, ServerHealth, ServerState};
pub use director::{
    Applied, ApplyPolicy, Bar, Director, ExplainedPick, ExplainedServer, Explanation, Hold, Holder,
    Item, RemovedServer,
};
pub use error::{ConnectionError, Refused, StateError};
pub use flow::Flow;
pub use handle::{Handle, OwnedConnection, Room};
pub use pool::endpoint::Pick;
pub use worker::{Connection, Lease, Tried, Worker};
