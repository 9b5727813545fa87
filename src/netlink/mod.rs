//! The kernel's IPVS over generic netlink: reads it, and changes it in batches.
//!
//! [`Ipvs`] brings what runs to what a [`Config`](crate::config::Config) wants: [`Ipvs::sync`] reads,
//! plans, carries out, and reads again. [`plan`] is the pure part. A [`Rollout`] is a plan in progress, for
//! hosts that do other work while servers drain. A [`Preflight`] reports obstacles beforehand.
//!
//! [`Kernel`] is the connection below, to the IPVS of one network namespace. It reads what runs there
//! as [`Observed`](crate::config::Observed), and carries out [`Request`]s, up to 128 in one system
//! call. Every call ends in bounded time. Everything, including reading, needs CAP_NET_ADMIN in the
//! initial user namespace.
//!
//! The kernel has no transactions, no snapshots and no notifications of these objects. A batch can
//! fail in part ([`Failure`]), an answer can be lost ([`Error::Lost`]: the request may or may not have been
//! carried out), and a dump can be inconsistent; [`Kernel::read`] reads until two readings agree.

mod apply;
mod convert;
mod error;
mod exchange;
mod ipvs;
mod kernel;
mod namespace;
pub mod plan;
mod preflight;
mod read;
mod request;
mod socket;
mod sockopt;
mod verify;
pub mod wire;

pub use apply::{Draining, Outcome, Outcomes, Progress, Report, Rollout, Status};
pub use error::{Cause, Error, Failure, Object, Refused, Stopped};
pub use ipvs::{Ipvs, SyncError};
pub use kernel::{Kernel, Options};
pub use namespace::Namespace;
pub use preflight::{Finding, Preflight};
pub use read::{Reading, Unreadable};
pub use request::Request;
