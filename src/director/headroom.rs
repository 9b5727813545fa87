//! Checks that the system has the memory for a change before anything is changed.
//!
//! Rust's collections abort the process if a small allocation fails. The control plane therefore
//! allocates one block as large as everything that the change will allocate, and frees it at once:
//! where the address space is limited (`ulimit -v`, a job object, 32 bits), a change that does not
//! fit is an error. Memory that other threads allocate between the check and the change is not
//! accounted for.

use crate::arena::Arena;
use crate::arena::health::HealthSlot;
use crate::arena::service_slot::ServiceSlot;
use crate::arena::slots::ServerSlot;
use crate::config::diff::Change;
use crate::config::{Memory, RealServer, VirtualService};
use crate::director::allocator::SlotClaim;
use crate::director::ask::ask;
use crate::error::ApplyError;

// All sizes are in bytes.
/// Independent of the change: lists that start with a minimum capacity.
const LEAST: usize = 16 << 10;
/// Per service: its entries in the lists and indexes of the running and the wanted config.
const SERVICE: usize = 2 * size_of::<VirtualService>() + 256;
/// Per server: the same.
const SERVER: usize = 2 * size_of::<RealServer>() + 128 + 64;
/// Per service: two pointers in the copied service table, and again when the copy is boxed.
const TABLE: usize = 32;
/// Per service: its entry in the index of services.
const INDEX: u64 = 76;
/// Per named service: its entry there.
const INDEX_NAME: u64 = 57;
/// Per renamed service: its names in the lists of those that come and go, which double as they grow.
const RENAMED: u64 = 128;
/// Per service, and per named one: its entry in a table by key, and in one by name. A table has at most
/// 16/7 as many places.
const DISTINCT: u64 = 49 * 16 / 7;
const DISTINCT_NAME: u64 = 17 * 16 / 7 + 1;
/// Per server of a service that is edited: its entries in the copied lists, which double if they grow.
const LISTED: usize = 2 * (size_of::<RealServer>() + size_of::<SlotClaim>());
/// Two counts of a worker.
const NUMBERS: usize = 16;
/// Per change: its place in a list that doubles as it grows, and its entry in the report.
const CHANGE: usize = 4 * size_of::<Change>();

/// An upper bound of the memory that a change allocates until and after its publication.
#[derive(Default)]
pub(super) struct Headroom {
    bytes: u64,
}

impl Headroom {
    /// For computing the changes of this many services and servers, running and wanted.
    pub(super) fn to_change(services: usize, servers: usize) -> Self {
        let bytes = LEAST + services * (SERVICE + CHANGE) + servers * (SERVER + CHANGE);
        Headroom { bytes: bytes as u64 }
    }

    /// Adds the memory for comparing the keys and names of all wanted services with each other.
    pub(super) fn and_validate(self, services: usize, named: usize) -> Self {
        let tables = services as u64 * DISTINCT + named as u64 * DISTINCT_NAME;
        self.and(tables)
    }

    /// Adds so many bytes.
    pub(super) fn and(self, bytes: u64) -> Self {
        Headroom { bytes: self.bytes + bytes }
    }

    /// Adds the memory for compiling a service of at most this many servers: their lists, the result, as
    /// much again for its inputs, and the rotation and counts of each of `workers` workers.
    pub(super) fn compile(&mut self, servers: usize, memory: Memory, workers: usize) {
        self.bytes += (servers * LISTED) as u64;
        self.bytes += 2 * memory.compiled() + workers as u64 * memory.per_worker();
    }

    /// Adds the memory for this many servers and services: new slots with the statistics of each
    /// worker, and the service table. If a service is not shared exactly, each worker may also need
    /// state for every server and service.
    pub(super) fn slots(
        &mut self,
        arena: &Arena,
        workers: usize,
        (servers, services): (u32, u32),
        in_workers: bool,
    ) {
        let new = (arena.servers.missing(servers), arena.services.missing(services));
        let all = if in_workers { (servers as usize, services as usize) } else { (0, 0) };
        let totals = (new.0 + new.1 + 2 * all.0) * NUMBERS;
        let rotations = 2 * all.1 * size_of::<ServiceSlot>();
        let server = size_of::<ServerSlot>() + size_of::<HealthSlot>();
        let slots = new.0 * server + new.1 * size_of::<ServiceSlot>();
        let table = services as usize * TABLE;
        self.bytes += (LEAST + slots + table + (workers + 1) * (totals + rotations)) as u64;
    }

    /// Adds the memory for the index of services, which is copied when services are added, renamed or
    /// deleted.
    pub(super) fn index(&mut self, services: u32, named: usize, renamed: usize) {
        self.bytes += u64::from(services) * INDEX;
        self.bytes += named as u64 * INDEX_NAME + renamed as u64 * RENAMED;
    }

    /// Checks that the system has this much memory.
    pub(super) fn check(&self) -> Result<(), ApplyError> {
        ask(self.bytes, || "the change as a whole".to_owned())
    }
}
