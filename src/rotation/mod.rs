//! Whose turn it is: one ticket word for all workers, one word per worker, or one word for retries.
//! Each word carries its state from one version of a service's servers to the next.

pub(crate) mod retry;
pub(crate) mod schedule;
pub(crate) mod shared;
pub(crate) mod version;
pub(crate) mod worker;
