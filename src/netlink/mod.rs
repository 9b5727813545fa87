//! The kernel's IPVS over generic netlink: read it, change it, in batches.
//!
//! [`Ipvs`] brings what runs to what a [`Config`](crate::config::Config) wants: [`Ipvs::sync`] reads,
//! plans, carries out, and reads again; [`plan`] is the pure part; a [`Rollout`] is a plan on its way,
//! for hosts that do something else while servers drain; a [`Preflight`] tells beforehand what stands
//! in the way.
//!
//! [`Kernel`] is the connection below, to the IPVS of one network namespace. It reads what runs there
//! as [`Observed`](crate::config::Observed), and carries out [`Request`]s, up to 128 in one system
//! call. Every call ends in bounded time. All of it, reading too, needs CAP_NET_ADMIN in the initial
//! user namespace.
//!
//! The kernel has no transactions, no snapshots and no notifications of these objects. A batch can
//! fail in parts ([`Failure`]), an answer can be lost ([`Error::Lost`]: what was asked for may or may
//! not have been done), and a dump can tear; [`Kernel::read`] reads until it agrees with itself.

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
