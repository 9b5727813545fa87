//! Whose turn it is: one ticket word for all workers, of which a worker may take tickets in chunks, or one
//! word per worker; retries have instances of their own. Each word carries its state from one version of
//! a service's servers to the next.

pub(crate) mod chunk;
pub(crate) mod schedule;
pub(crate) mod shared;
pub(crate) mod ticket_word;
pub(crate) mod version;
pub(crate) mod worker;
