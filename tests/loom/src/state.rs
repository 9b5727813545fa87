//! The files under test.

#![allow(dead_code, unreachable_pub, reason = "these files serve the crate, not the models")]

#[path = "../../../src/state/counts.rs"]
pub(crate) mod counts;
#[path = "../../../src/state/cursor.rs"]
pub(crate) mod cursor;
#[path = "../../../src/state/publication.rs"]
pub(crate) mod publication;
#[path = "../../../src/state/slots.rs"]
pub(crate) mod slots;
