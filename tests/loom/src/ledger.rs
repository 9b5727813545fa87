//! Models of `arena/ledger.rs`: an owner that died in the middle of a change, beside others that go on.

use loom::thread;

use crate::arena::counts::Activity::Active;
use crate::arena::ledger::{Ledger, LivingEntries, Settled, recount, settle};
use crate::arena::slots::ServerSlot;
use crate::config::KernelRules;
use crate::error::ConnectionError;
use crate::sync::Arc;

const RULE: KernelRules = KernelRules::B;

/// One server, an owner that lives, and one that has died.
struct World {
    slot: ServerSlot,
    living: [Ledger; 2],
    dead: Ledger,
}

/// Where an owner died.
#[derive(Clone, Copy)]
pub enum Died {
    /// It had announced a connection.
    Announced,
    /// The server had counted it.
    Counted,
    /// It was open, and its end was announced.
    Closing,
    /// The server had uncounted it.
    Uncounted,
    /// It was open.
    Open,
}

/// All places in which it may have died.
pub const DEATHS: [Died; 5] =
    [Died::Announced, Died::Counted, Died::Closing, Died::Uncounted, Died::Open];

impl World {
    fn new(died: Died) -> Arc<Self> {
        let slot = ServerSlot::new(0);
        slot.occupy(0);
        let world = World { slot, living: Default::default(), dead: Ledger::default() };
        world.die(died);
        Arc::new(world)
    }

    fn open(&self, owner: &Ledger) {
        owner.open(Active, || self.slot.open(0, Active, RULE, false)).unwrap();
    }

    fn close(&self, owner: &Ledger) {
        owner.close(Active, || self.slot.close(0, Active, RULE)).unwrap();
    }

    /// A thread unwinds out of the middle of a change: the rest does not happen.
    fn die(&self, died: Died) {
        let nothing = || -> Result<(), ConnectionError> { std::panic::resume_unwind(Box::new(())) };
        let counted = |counts: bool| {
            move || {
                if counts {
                    self.slot.open(0, Active, RULE, false).unwrap();
                } else {
                    self.slot.close(0, Active, RULE).unwrap();
                }
                std::panic::resume_unwind(Box::new(()))
            }
        };
        if !matches!(died, Died::Announced | Died::Counted) {
            self.open(&self.dead);
        }
        let act = || {
            let dead = &self.dead;
            let _: Result<(), _> = match died {
                Died::Announced => dead.open(Active, nothing),
                Died::Counted => dead.open(Active, counted(true)),
                Died::Closing => dead.close(Active, nothing),
                Died::Uncounted => dead.close(Active, counted(false)),
                Died::Open => Ok(()),
            };
        };
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act));
    }

    fn settle(&self) -> Settled {
        settle(&self.slot, &self.dead, RULE, || -> LivingEntries<'_> {
            Box::new(self.living.iter())
        })
    }

    /// After everything: the count is that of the living.
    fn check(&self) {
        if self.settle() != Settled::Yes {
            panic!("no thread is changing it");
        }
        let sum: u32 = self.living.iter().map(|owner| owner.get().total()).sum();
        let counts = self.slot.counts_seqcst();
        assert_eq!((counts.active(), counts.total()), (sum, sum), "the connections of the living");
    }
}

fn spawn(world: &Arc<World>, act: impl FnOnce(&World) + 'static) -> thread::JoinHandle<()> {
    let world = Arc::clone(world);
    thread::spawn(move || act(&world))
}

/// An owner opens and closes, and opens again, while another is settled that died there.
pub fn a_death_beside_connections(died: Died) {
    let world = World::new(died);
    let other = spawn(&world, |world| {
        world.open(&world.living[0]);
        world.close(&world.living[0]);
        world.open(&world.living[0]);
    });
    world.settle();
    other.join().unwrap();
    world.check();
}

/// One owner closes a connection while another opens one.
pub fn a_death_beside_two_owners(died: Died) {
    let world = World::new(died);
    world.open(&world.living[0]);
    let closing = spawn(&world, |world| world.close(&world.living[0]));
    let opening = spawn(&world, |world| world.open(&world.living[1]));
    world.settle();
    closing.join().unwrap();
    opening.join().unwrap();
    world.check();
}

/// Two survivors settle at once, beside a connection.
pub fn two_survivors_settle(died: Died) {
    let world = World::new(died);
    let other = spawn(&world, |world| {
        world.settle();
    });
    let opening = spawn(&world, |world| world.open(&world.living[1]));
    world.settle();
    other.join().unwrap();
    opening.join().unwrap();
    world.check();
}

/// Entries read once, before the count: a connection that opens in between is struck out.
pub fn planted_one_look() {
    let world = World::new(Died::Counted);
    let other = spawn(&world, |world| world.open(&world.living[0]));
    let entries = [world.living[0].get(), world.living[1].get()];
    if entries.iter().all(|entry| entry.is_settled()) {
        let sum = entries.iter().map(|entry| entry.total()).sum();
        recount(&world.slot, world.slot.counts_seqcst(), (sum, sum), RULE);
    }
    other.join().unwrap();
    check_sum(&world);
}

/// The dead owner's entry taken from the count: it does not say what it was in the middle of.
pub fn planted_a_subtraction() {
    let world = World::new(Died::Counted);
    let counts = world.slot.counts_seqcst();
    let left = counts.total() - world.dead.get().total();
    recount(&world.slot, counts, (left, left), RULE);
    check_sum(&world);
}

/// A change that is announced after it was made.
pub fn planted_announced_late() {
    let world = World::new(Died::Open);
    let other = spawn(&world, |world| {
        world.slot.open(0, Active, RULE, false).unwrap();
        world.living[0].open(Active, || Ok(())).unwrap();
    });
    world.settle();
    other.join().unwrap();
    check_sum(&world);
}

fn check_sum(world: &World) {
    let sum: u32 = world.living.iter().map(|owner| owner.get().total()).sum();
    assert_eq!(world.slot.counts_seqcst().total(), sum, "the connections of the living");
}
