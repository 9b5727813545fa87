//! A service's servers as its scheduler sees them: positions in the kernel's list order, who may get a
//! connection, and what a pick answers.

pub(crate) mod endpoint;
pub(crate) mod history;
pub(crate) mod positions;
pub(crate) mod servers;
