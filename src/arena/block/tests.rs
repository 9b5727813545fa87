use std::alloc::{Layout as Allocation, alloc_zeroed, dealloc};
use std::ptr::NonNull;

use super::{Block, BlockLimits, OwnerId, Reclaimed};
use crate::arena::block::directory::{Directory, Taken};
use crate::arena::counts::Activity::{Active, Inactive};
use crate::arena::ledger::{Settled, settle};
use crate::config::KernelRules;
use crate::error::{BlockError, ConnectionError};

const RULE: KernelRules = KernelRules::B;

/// The number in this variable of the environment.
fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable}: {text} is no number")),
        Err(_) => default,
    }
}

/// Zeroed memory that begins at this distance from a multiple of 64.
struct Memory {
    start: NonNull<u8>,
    offset: usize,
    length: usize,
}

impl Memory {
    fn new(offset: usize, length: usize) -> Self {
        // SAFETY: the size is not 0.
        let start = NonNull::new(unsafe { alloc_zeroed(Self::allocation(offset, length)) });
        Memory { start: start.expect("memory"), offset, length }
    }

    fn of(limits: &BlockLimits) -> Self {
        Self::new(0, limits.size().expect("limits in range"))
    }

    fn allocation(offset: usize, length: usize) -> Allocation {
        Allocation::from_size_align(offset + length, 64).expect("a size")
    }

    fn first(&self) -> NonNull<u8> {
        // SAFETY: within the memory.
        unsafe { self.start.add(self.offset) }
    }

    fn format(&self, limits: &BlockLimits) -> Result<(), BlockError> {
        // SAFETY: the memory outlives the tests' blocks, and is zeros or a block.
        unsafe { Block::format(self.first(), self.length, limits) }
    }

    fn attach(&self) -> Result<Block, BlockError> {
        // SAFETY: the memory outlives the tests' blocks, and is zeros or a block.
        unsafe { Block::attach(self.first(), self.length) }
    }

    fn format_or_attach(&self, limits: &BlockLimits) -> Result<Block, BlockError> {
        // SAFETY: the memory outlives the tests' blocks, and is zeros or a block.
        unsafe { Block::format_or_attach(self.first(), self.length, limits) }
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: within the memory, which no block uses meanwhile.
        unsafe { std::slice::from_raw_parts_mut(self.first().as_ptr(), self.length) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.start.as_ptr(), Self::allocation(self.offset, self.length)) }
    }
}

fn limits() -> BlockLimits {
    BlockLimits::new(64, 64).with_owners(3)
}

#[test]
fn memory_is_what_it_was_formatted_as() {
    let memory = Memory::of(&limits());
    assert_eq!(memory.attach().err(), Some(BlockError::New));
    memory.format(&limits()).expect("long enough");
    assert_eq!(memory.attach().expect("a block").limits(), limits());
    let other = BlockLimits::new(64, 64).with_owners(2);
    assert_eq!(memory.format_or_attach(&other).err(), Some(BlockError::OtherLimits));
    assert_eq!(memory.format_or_attach(&limits()).expect("the same").limits(), limits());
    let fresh = Memory::of(&limits());
    assert_eq!(fresh.format_or_attach(&limits()).expect("new").limits(), limits());
    assert_eq!(fresh.attach().expect("formatted").limits(), limits());
}

#[test]
fn memory_begins_where_it_did() {
    let size = limits().size().expect("in range");
    for offset in [8, 16, 40, 56] {
        let memory = Memory::new(offset, size);
        memory.format(&limits()).expect("8 is enough");
        assert_eq!(memory.attach().expect("a block").limits(), limits());
    }
    let memory = Memory::new(4, size);
    let refused = memory.format(&limits());
    assert_eq!(refused, Err(BlockError::Misaligned { offset: 4, expected: None }));
    // The same bytes elsewhere.
    let mut at_eight = Memory::new(8, size + 64);
    at_eight.format(&limits()).expect("long enough");
    let mut elsewhere = Memory::new(16, size + 64);
    let header = 56..size;
    let bytes = at_eight.bytes()[header].to_vec();
    elsewhere.bytes()[48..48 + bytes.len()].copy_from_slice(&bytes);
    let refused = elsewhere.attach().err();
    assert_eq!(refused, Some(BlockError::Misaligned { offset: 16, expected: Some(8) }));
}

#[test]
fn what_does_not_fit_is_refused() {
    let size = limits().size().expect("in range");
    let memory = Memory::new(0, size - 1);
    let short = BlockError::TooShort { length: size as u64 - 1, needed: size as u64 };
    assert_eq!(memory.format(&limits()), Err(short.clone()));
    assert_eq!(memory.attach().err(), Some(BlockError::New), "nothing was written");
    let memory = Memory::of(&limits());
    memory.format(&limits()).expect("long enough");
    // SAFETY: shorter than the memory.
    let shorter = unsafe { Block::attach(memory.first(), size - 1) };
    assert_eq!(shorter.err(), Some(short));
    for (wrong, what) in [
        (limits().with_owners(0), "owners"),
        (limits().with_owners(65), "owners"),
        (BlockLimits::new(u32::MAX, 1), "servers"),
        (BlockLimits::new(1, u32::MAX), "services"),
    ] {
        let error = wrong.size().expect_err("out of range").to_string();
        assert!(error.contains(what), "{error}");
    }
}

/// Whatever byte of the header is another, the block is refused, or it is the same block.
#[test]
fn a_damaged_header_is_refused() {
    let mut memory = Memory::of(&limits());
    memory.format(&limits()).expect("long enough");
    let mut refused = 0;
    for at in 0..64 {
        for bit in 0..8 {
            memory.bytes()[at] ^= 1 << bit;
            match memory.attach() {
                Ok(block) => assert_eq!(block.limits(), limits()),
                Err(_) => refused += 1,
            }
            memory.bytes()[at] ^= 1 << bit;
        }
    }
    assert!(refused >= 56 * 8, "{refused}");
}

#[test]
fn owners_come_and_go() {
    let memory = Memory::of(&limits());
    let block = memory.format_or_attach(&limits()).expect("new");
    let ids: Vec<OwnerId> = (0..3).map(|_| block.join().expect("room")).collect();
    assert_eq!(block.join(), Err(BlockError::OwnersFull { limit: 3 }));
    let process = std::process::id();
    assert_eq!(block.owners(), ids.iter().map(|id| (*id, process)).collect::<Vec<_>>());
    assert_eq!(block.reclaim(ids[1]), Ok(Reclaimed::All));
    assert_eq!(block.reclaim(ids[1]), Err(BlockError::NoOwner), "once");
    let again = block.join().expect("a place is free");
    assert_eq!((again.number, again.incarnation), (1, ids[1].incarnation + 1));
    assert_eq!(block.reclaim(ids[1]), Err(BlockError::NoOwner), "that one has gone");
    assert_eq!(block.reclaim_process(process.wrapping_add(1)), Reclaimed::All);
    assert_eq!(block.owners().len(), 3, "of another process");
    assert_eq!(block.reclaim_process(process), Reclaimed::All);
    assert_eq!(block.owners(), []);
    let stranger = OwnerId { number: 77, incarnation: 0 };
    assert_eq!(block.reclaim(stranger), Err(BlockError::NoOwner));
}

/// The connections of a dead owner are given back, once; those of others stay.
#[test]
fn connections_of_the_dead_are_given_back() {
    let memory = Memory::of(&limits());
    let [block, other] = [memory.format_or_attach(&limits()), memory.attach()].map(Result::unwrap);
    let [a, b] = [block.join(), other.join()].map(Result::unwrap);
    let slot = &block.parts().servers[5];
    slot.occupy(0);
    let generation = slot.generation();
    let open = |owner: OwnerId, activity| {
        let ledger = other.parts().ledger(owner.number, 5).unwrap();
        ledger.open(activity, || slot.open(generation, activity, RULE, false)).unwrap();
    };
    (0..3).for_each(|_| open(a, Active));
    (0..4).for_each(|_| open(b, Inactive));
    let counts = || (slot.counts_relaxed().active(), slot.counts_relaxed().total());
    assert_eq!(counts(), (3, 7));
    // A change that it was in the middle of: announced, and counted.
    let ledger = block.parts().ledger(a.number, 5).unwrap();
    let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        ledger.open(Active, || -> Result<(), ConnectionError> {
            slot.open(generation, Active, RULE, false).unwrap();
            panic!("it dies here")
        })
    }));
    assert!(died.is_err() && counts() == (4, 8));
    assert_eq!(other.reclaim(a), Ok(Reclaimed::All));
    assert_eq!(counts(), (0, 4));
    let b_entry = block.parts().ledger(b.number, 5).unwrap();
    // A process that reclaims late, when another owner has the place, changes nothing of that one's.
    let living = || block.parts().living(5);
    assert_eq!(settle(slot, b_entry, RULE, living), Settled::Yes);
    assert_eq!((b_entry.get().total(), counts()), (4, (0, 4)));
    b_entry.close(Inactive, || slot.close(generation, Inactive, RULE)).unwrap();
    assert_eq!(counts(), (0, 3));
    let refused = b_entry.close(Active, || slot.close(generation, Active, RULE));
    assert_eq!(refused, Err(ConnectionError::Stale), "it has none of these");
    assert_eq!(counts(), (0, 3));
}

/// Owners with the same names have the same slots; a slot is free once no owner has it and no connection.
#[test]
fn names_lead_to_slots() {
    let memory = Memory::of(&limits());
    let [block, other] = [memory.format_or_attach(&limits()), memory.attach()].map(Result::unwrap);
    let [a, b] = [block.join(), other.join()].map(Result::unwrap);
    let key = "tcp 10.0.0.1:80".parse().unwrap();
    let address = "10.0.1.1:80".parse().unwrap();
    let read = |block: &Block, owner| Directory::read(block, owner, block.claim(owner).unwrap());
    let mut directory = read(&block, a);
    assert!(block.try_claim(b).is_none(), "one at a time");
    assert_eq!(directory.free(), (64, 64));
    let service = directory.take_service(&key).unwrap();
    let server = directory.take_server(service.id, address).unwrap();
    assert!(service.is_new && server.is_new && directory.free() == (63, 63));
    drop(directory);
    let mut directory = read(&other, b);
    let found = directory.take_service(&key).unwrap();
    assert_eq!(found, Taken { is_new: false, ..service });
    let found = directory.take_server(service.id, address).unwrap();
    assert_eq!(found, Taken { is_new: false, ..server });
    drop(directory);
    let mut directory = read(&block, a);
    assert!(!directory.leave_server(server.id.slot), "the other has it");
    directory.leave_service(service.id);
    assert_eq!(directory.free(), (63, 63));
    drop(directory);
    // A claim of one that died is anyone's.
    let slot = &block.parts().servers[server.id.slot as usize];
    let ledger = other.parts().ledger(b.number, server.id.slot).unwrap();
    ledger.open(Active, || slot.open(server.id.generation, Active, RULE, false)).unwrap();
    std::mem::forget(block.claim(b).unwrap());
    assert!(block.try_claim(a).is_none());
    assert_eq!(block.reclaim(b), Ok(Reclaimed::All));
    let directory = read(&block, a);
    assert_eq!(directory.free(), (64, 64), "no owner has it");
    assert!(!slot.is(server.id.generation), "ids are stale");
}

#[path = "corruption_tests.rs"]
mod corruption;
