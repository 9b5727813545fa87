//! A service's servers as its scheduler sees them: positions in the kernel's list order, eligibility for
//! a connection, and the endpoint that a pick returns.

pub(crate) mod endpoint;
pub(crate) mod history;
pub(crate) mod positions;
pub(crate) mod servers;
