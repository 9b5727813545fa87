//! The files of `memory` under test, with windows and chunks of two entries and sets of two servers.

#![allow(dead_code, unreachable_pub, reason = "these files serve the crate, not the models")]

#[path = "../../../src/memory/address_entry.rs"]
pub(crate) mod address_entry;
#[path = "../../../src/memory/address_map.rs"]
pub(crate) mod address_map;
#[path = "../../../src/memory/address_table.rs"]
pub(crate) mod address_table;
#[path = "../../../src/memory/expiry.rs"]
pub(crate) mod expiry;
#[path = "../../../src/memory/one_server.rs"]
pub(crate) mod one_server;
#[path = "../../../src/memory/pace.rs"]
pub(crate) mod pace;
#[path = "../../../src/memory/server_set.rs"]
pub(crate) mod server_set;
#[path = "../../../src/memory/templates.rs"]
pub(crate) mod templates;

pub(crate) mod sizes {
    pub(crate) const WINDOW: usize = 2;
    pub(crate) const CHUNK: usize = 2;
    pub(crate) const MOST: usize = 2;
}
