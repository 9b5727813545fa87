//! Live state of one virtual service.

use crate::arena::ejection_budget::EjectionBudget;
use crate::rotation::chunk::TicketChunk;
use crate::rotation::worker::WorkerRotation;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// State of one service.
#[repr(C, align(64))]
pub(crate) struct ServiceSlot {
    /// The rotation of one worker. The shared one is the compiled service's `SharedRotation`.
    pub(crate) worker_rotation: WorkerRotation,
    /// The rotation of its retries.
    pub(crate) worker_retries: WorkerRotation,
    /// What a worker has taken of the shared rotation.
    pub(crate) chunk: TicketChunk,
    /// Number of random draws so far.
    draws: AtomicU64,
    generation: AtomicU32,
    /// 1 while the service takes servers that are down, because too many are.
    panics: AtomicU32,
    pub(crate) ejections: EjectionBudget,
}

impl ServiceSlot {
    /// A slot whose first owner has this generation.
    pub(crate) fn new(generation: u32) -> Self {
        ServiceSlot {
            worker_rotation: WorkerRotation::default(),
            worker_retries: WorkerRotation::default(),
            chunk: TicketChunk::default(),
            draws: AtomicU64::new(0),
            generation: AtomicU32::new(generation),
            panics: AtomicU32::new(0),
            ejections: EjectionBudget::new(generation),
        }
    }

    /// A slot that draws the numbers that this one would draw next.
    pub(crate) fn with_same_draws(&self) -> Self {
        // Relaxed: as in `next_draw`.
        let draws = AtomicU64::new(self.draws.load(Ordering::Relaxed));
        ServiceSlot { draws, ..ServiceSlot::new(0) }
    }

    /// Starts the sequence of draws far from those of other phases below 2^23.
    pub(crate) fn start_draws(&self, phase: u32) {
        // Relaxed: as in `next_draw`.
        self.draws.store(u64::from(phase).rotate_left(40), Ordering::Relaxed);
    }

    /// The number of the next draw, unique in this slot.
    pub(crate) fn next_draw(&self) -> u64 {
        // Relaxed: only uniqueness matters.
        self.draws.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn generation(&self) -> u32 {
        self.generation.load(Ordering::SeqCst)
    }

    /// For those who read the running state; picks obey each server's own.
    pub(crate) fn panics(&self) -> bool {
        // Relaxed: only a recent value matters.
        self.panics.load(Ordering::Relaxed) != 0
    }

    /// Director only.
    pub(crate) fn set_panics(&self, panics: bool) {
        // Relaxed: as in `panics`.
        self.panics.store(panics.into(), Ordering::Relaxed);
    }

    /// Readies the slot for another service. Director only.
    pub(crate) fn renew(&self) {
        self.set_panics(false);
        // SeqCst: no partner, as the slot has no owner.
        self.draws.store(0, Ordering::SeqCst);
        let left = self.generation.fetch_add(1, Ordering::SeqCst);
        self.ejections.renew(left.wrapping_add(1));
    }
}
