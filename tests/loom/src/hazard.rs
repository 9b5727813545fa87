//! Models of `concurrent/hazard.rs`: readers concurrent with a writer that publishes and frees.
//!
//! A value that the writer reclaims is marked as freed, but its memory stays until the model ends: a
//! reader that accesses it fails an assertion. Loom also checks that each access happens before the
//! mark, as it would have to happen before a real free.

#![allow(clippy::arc_with_non_send_sync, reason = "loom's threads are one thread of the system")]

use std::sync::atomic::{AtomicBool, Ordering};

use loom::cell::UnsafeCell;
use loom::thread;

use crate::concurrent::hazard::{Reader, Snapshot};
use crate::concurrent::segments::CAPACITY;
use crate::sync::{Arc, AtomicU32};

struct Value {
    number: usize,
    memory: UnsafeCell<()>,
    freed: AtomicBool,
}

impl Value {
    fn new(number: usize) -> Arc<Self> {
        Arc::new(Value { number, memory: UnsafeCell::new(()), freed: AtomicBool::new(false) })
    }

    fn look(&self) -> usize {
        self.memory.with(|_| ());
        assert!(!self.freed.load(Ordering::Relaxed), "looks at a freed value");
        self.number
    }

    fn free(&self) {
        self.memory.with_mut(|_| ());
        self.freed.store(true, Ordering::Relaxed);
    }
}

type Shared = Arc<Snapshot<Value>>;

fn published() -> Shared {
    Arc::new(Snapshot::new(Value::new(0)))
}

/// Reads as a pick does: without a guard if the value is already protected, else with one.
#[allow(unsafe_code)]
fn look(reader: &Reader<Value>) -> usize {
    // SAFETY: no other method of the reader is called meanwhile.
    let seen = unsafe { reader.load_unguarded(|value| Some(value.look())) };
    seen.unwrap_or_else(|| reader.with(Value::look))
}

/// Publishes a value, then frees what can be freed. The result keeps the memory.
fn replace(publication: &Shared, number: usize) -> Vec<Arc<Value>> {
    publication.publish(Value::new(number));
    let gone = publication.reclaim();
    gone.iter().for_each(|value| value.free());
    gone
}

fn kept(publication: &Shared) -> usize {
    publication.with_live(<[_]>::len)
}

/// A reader reads twice while the value is replaced twice: nothing that it uses is freed, it never sees
/// an older value than before, and in the end only the current value is kept.
pub fn one_reader_two_replacements() {
    let publication = published();
    let reader = Snapshot::reader(&publication);
    let looking = thread::spawn(move || {
        let first = look(&reader);
        let second = look(&reader);
        assert!(first <= second, "goes back");
    });
    let mut memory = replace(&publication, 1);
    memory.extend(replace(&publication, 2));
    looking.join().unwrap();
    // The reader has gone, and with it its hazard slot.
    memory.extend(publication.reclaim());
    assert_eq!((memory.len(), kept(&publication)), (2, 1));
}

/// Two readers concurrent with one replacement; one of them has read before.
pub fn two_readers() {
    let publication = published();
    let readers = [(); 2].map(|()| Snapshot::reader(&publication));
    look(&readers[0]);
    let looking = readers.map(|reader| thread::spawn(move || look(&reader)));
    let memory = replace(&publication, 1);
    for thread in looking {
        thread.join().unwrap();
    }
    drop(memory);
}

/// A nested guard sees the same value as the outer one, and the outer value outlives the nested guard.
pub fn nested_looks_keep_the_outer_value() {
    let publication = published();
    let reader = Snapshot::reader(&publication);
    let looking = thread::spawn(move || {
        reader.with(|outer| {
            let number = outer.look();
            assert_eq!(look(&reader), number);
            assert_eq!(outer.look(), number);
        });
        look(&reader)
    });
    let memory = replace(&publication, 1);
    looking.join().unwrap();
    drop(memory);
}

/// Guards may be dropped in any order; the value of the last one lives until that is dropped.
pub fn looks_end_in_any_order() {
    let publication = published();
    let reader = Snapshot::reader(&publication);
    let looking = thread::spawn(move || {
        let first = reader.load();
        let number = first.look();
        let second = reader.load();
        drop(first);
        let third = reader.load();
        assert_eq!((second.look(), third.look()), (number, number));
        drop(second);
        assert_eq!(third.look(), number);
        drop(third);
        look(&reader)
    });
    let memory = replace(&publication, 1);
    looking.join().unwrap();
    drop(memory);
}

/// A read that starts after `publish` has returned sees the published value.
pub fn published_values_are_found() {
    let publication = published();
    let done = Arc::new(AtomicU32::new(0));
    let reader = Snapshot::reader(&publication);
    look(&reader);
    let seen = Arc::clone(&done);
    let looking = thread::spawn(move || {
        let published = seen.load(Ordering::Acquire) as usize;
        assert!(look(&reader) >= published, "an old value after a newer one was published");
    });
    publication.publish(Value::new(1));
    done.store(1, Ordering::Release);
    looking.join().unwrap();
}

/// Readers are created and dropped during a replacement; an idle one keeps one old value, not all.
pub fn readers_come_and_go() {
    let publication = published();
    let idle = Snapshot::reader(&publication);
    look(&idle);
    let shared = Arc::clone(&publication);
    let coming = thread::spawn(move || {
        let reader = Snapshot::reader(&shared);
        look(&reader)
    });
    let mut memory = replace(&publication, 1);
    memory.extend(replace(&publication, 2));
    coming.join().unwrap();
    memory.extend(publication.reclaim());
    assert_eq!(kept(&publication), 2, "the current value and the one that the idle reader holds");
    drop(idle);
    assert_eq!(publication.reclaim().len(), 1);
    assert_eq!(kept(&publication), 1);
}

/// Two calls borrow slots, one of them twice, while the value is replaced twice: nothing that they look at
/// is freed, and in the end only the current value is kept.
pub fn borrowed_slots() {
    let publication = published();
    let reads = [1, 2].map(|times| {
        let shared = Arc::clone(&publication);
        thread::spawn(move || {
            let seen: Vec<usize> = (0..times).map(|_| shared.read(Value::look)).collect();
            assert!(seen.is_sorted(), "goes back");
        })
    });
    let mut memory = replace(&publication, 1);
    reads.into_iter().for_each(|read| read.join().unwrap());
    memory.extend(replace(&publication, 2));
    assert_eq!((memory.len(), kept(&publication)), (2, 1));
}

/// More calls than there are slots: one takes the lock.
pub fn all_slots_are_borrowed() {
    let publication = published();
    let shared = Arc::clone(&publication);
    read_within_reads(&publication, CAPACITY, &mut |outer| {
        let shared = Arc::clone(&shared);
        let looking = thread::spawn(move || shared.read(Value::look));
        let memory = replace(&publication, 1);
        looking.join().unwrap();
        assert_eq!((outer.look(), memory.len()), (0, 0));
    });
    assert_eq!(publication.reclaim().len(), 1);
}

fn read_within_reads(publication: &Shared, times: usize, act: &mut dyn FnMut(&Value)) {
    publication.read(|value| match times {
        1 => act(value),
        _ => read_within_reads(publication, times - 1, act),
    });
}

/// A borrowed slot is given back, value and all, also when the look panics.
pub fn a_panic_gives_the_slot_back() {
    let publication = published();
    let look = || publication.read(|_| panic!("on purpose"));
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(look)).is_err());
    assert_eq!(replace(&publication, 1).len(), 1);
}

/// Wrong: a writer that frees old values without checking the hazard slots.
pub fn planted_retire_ignores_holds() {
    let publication = published();
    let reader = Snapshot::reader(&publication);
    let looking = thread::spawn(move || look(&reader));
    publication.publish(Value::new(1));
    publication.with_live(|values| values[0].free());
    looking.join().unwrap();
}

/// Wrong: the same beside a borrowed slot.
pub fn planted_retire_ignores_borrowed_slots() {
    let publication = published();
    let shared = Arc::clone(&publication);
    let looking = thread::spawn(move || shared.read(Value::look));
    publication.publish(Value::new(1));
    publication.with_live(|values| values[0].free());
    looking.join().unwrap();
}

/// Wrong: a value is used after the closure in which it may be used.
pub fn planted_look_after_the_closure() {
    let publication = published();
    let reader = Snapshot::reader(&publication);
    let shared = Arc::clone(&publication);
    let looking = thread::spawn(move || {
        let kept = shared.with_live(|values| Arc::clone(&values[0]));
        reader.with(|_| ());
        kept.look();
    });
    let memory = replace(&publication, 1);
    looking.join().unwrap();
    drop(memory);
}
