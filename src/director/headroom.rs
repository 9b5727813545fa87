//! Whether the system has the memory that a change takes, asked before anything is changed.
//!
//! Rust's collections abort the process when a small allocation fails. The control plane therefore
//! asks for one block as large as everything that a change allocates, and gives it back: where an
//! address space is limited (`ulimit -v`, a job object, 32 bits), a change that does not fit is an
//! error. What another thread takes between the question and the change is not foreseen.

use std::hint::black_box;

use crate::arena::Arena;
use crate::arena::slots::{ServerSlot, ServiceSlot};
use crate::config::diff::Change;
use crate::config::{Memory, RealServer, VirtualService};
use crate::error::ApplyError;

/// Beside what grows with the change: lists that start with room for some elements.
const LEAST: usize = 16 << 10;
/// A service in the lists and indexes of what there is and of what is wanted.
const SERVICE: usize = 2 * size_of::<VirtualService>() + 256;
/// A server in the same.
const SERVER: usize = 2 * size_of::<RealServer>() + 128;
/// A service in the table of services, which is copied, and once more as it is boxed.
const TABLE: usize = 16;
/// A service in their index.
const INDEX: u64 = 76;
/// Two counts of a worker.
const NUMBERS: usize = 16;
/// A change, in a list that doubles as it grows, and what is reported of it.
const CHANGE: usize = 4 * size_of::<Change>();

/// What a change takes until it is published, and after.
#[derive(Default)]
pub(super) struct Headroom {
    bytes: u64,
}

impl Headroom {
    /// For the changes of these services and servers, as they run and as they are wanted.
    pub(super) fn to_change(services: usize, servers: usize) -> Self {
        let bytes = LEAST + services * (SERVICE + CHANGE) + servers * (SERVER + CHANGE);
        Headroom { bytes: bytes as u64 }
    }

    /// For compiling a service: its pool, once more for what that is made from, and a copy of its
    /// rotation and servers for each worker that has its own.
    pub(super) fn compile(&mut self, memory: Memory, workers: usize) {
        self.bytes += 2 * memory.compiled() + workers as u64 * memory.per_worker();
    }

    /// For this many servers and services: new slots with the statistics of each worker, and the table
    /// of services. Where workers decide by themselves, each may need a place for every server.
    pub(super) fn slots(
        &mut self,
        arena: &Arena,
        workers: usize,
        (servers, services): (u32, u32),
        per_worker: bool,
    ) {
        let new = (arena.servers.missing(servers), arena.services.missing(services));
        let all = if per_worker { (servers as usize, services as usize) } else { (0, 0) };
        let totals = (new.0 + new.1 + 2 * all.0) * NUMBERS;
        let rotations = 2 * all.1 * size_of::<ServiceSlot>();
        let slots = new.0 * size_of::<ServerSlot>() + new.1 * size_of::<ServiceSlot>();
        let table = services as usize * TABLE;
        self.bytes += (LEAST + slots + table + (workers + 1) * (totals + rotations)) as u64;
    }

    /// For the index of services, which is copied when some are added or deleted.
    pub(super) fn index(&mut self, services: u32) {
        self.bytes += u64::from(services) * INDEX;
    }

    /// Asks the system for it.
    pub(super) fn check(&self) -> Result<(), ApplyError> {
        ask(self.bytes, || "the change as a whole".to_owned())
    }
}

/// Asks the system for one block of this size, which is freed at once.
pub(super) fn ask(bytes: u64, what: impl FnOnce() -> String) -> Result<(), ApplyError> {
    let mut block = Vec::<u8>::new();
    let reserved = usize::try_from(bytes).map(|bytes| block.try_reserve_exact(bytes));
    // Used, or the compiler leaves the allocation out.
    black_box(&mut block);
    match reserved {
        Ok(Ok(())) => Ok(()),
        _ => Err(ApplyError::OutOfMemory { what: what(), bytes }),
    }
}
