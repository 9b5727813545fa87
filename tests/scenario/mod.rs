//! Scenarios as data: reads the tables in `tests/data/scenarios` and runs their rows through a
//! director. The README there describes the language.

mod addresses;
mod services;
pub(crate) mod table;
pub(crate) mod world;
