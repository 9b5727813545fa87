//! The files of `rotation` under test.

#![allow(dead_code, unreachable_pub, reason = "these files serve the crate, not the models")]

#[path = "../../../src/rotation/chunk.rs"]
pub(crate) mod chunk;
#[path = "../../../src/rotation/schedule.rs"]
pub(crate) mod schedule;
#[path = "../../../src/rotation/shared.rs"]
pub(crate) mod shared;
#[path = "../../../src/rotation/ticket_word.rs"]
pub(crate) mod ticket_word;
#[path = "../../../src/rotation/version.rs"]
pub(crate) mod version;
#[path = "../../../src/rotation/worker.rs"]
pub(crate) mod worker;
