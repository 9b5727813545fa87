//! Scenarios as data: reads the tables in `tests/data/scenarios` and runs their rows through a
//! director. The language is described in the README there.

mod addresses;
mod services;
pub(crate) mod table;
pub(crate) mod world;
