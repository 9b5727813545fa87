//! vsched.
pub mod config;
pub mod error;
mod sched;
pub use sched::SchedulerKind;
