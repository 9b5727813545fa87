use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use super::*;

/// Counts the values that live.
struct Counted {
    living: Arc<AtomicUsize>,
    maker: thread::ThreadId,
}

struct Owner {
    values: PerThread<Counted>,
    living: Arc<AtomicUsize>,
}

impl Leave for Owner {
    fn leave(&self, thread: &Ending) {
        self.values.leave(thread);
    }
}

impl Owner {
    fn new(living: &Arc<AtomicUsize>) -> Arc<Self> {
        Arc::new(Owner { values: PerThread::new(), living: Arc::clone(living) })
    }

    fn use_value(self: &Arc<Self>) -> Option<u32> {
        let check = |value: &Counted, number: u32| {
            assert_eq!(value.maker, thread::current().id(), "no other thread's value");
            number
        };
        if let Ok(number) = self.values.with(check) {
            return Some(number);
        }
        let weak = Arc::downgrade(self);
        self.values.enter(weak, || {
            self.living.fetch_add(1, Ordering::SeqCst);
            Counted { living: Arc::clone(&self.living), maker: thread::current().id() }
        });
        self.values.with(check).ok()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.living.fetch_sub(1, Ordering::SeqCst);
    }
}

fn living(count: &AtomicUsize) -> usize {
    count.load(Ordering::SeqCst)
}

#[test]
fn a_value_lives_as_long_as_its_thread_and_its_owner() {
    let count = Arc::default();
    let owner = Owner::new(&count);
    let own = owner.use_value();
    assert_eq!(owner.use_value(), own);
    assert_eq!(living(&count), 1);
    for _ in 0..10 {
        let owner = Arc::clone(&owner);
        let other = thread::spawn(move || owner.use_value()).join().expect("no panic");
        assert_ne!(other, own);
    }
    assert_eq!(living(&count), 1, "those of the threads that have ended are gone");
    drop(owner);
    assert_eq!(living(&count), 0);
}

#[test]
fn an_owner_that_goes_first_takes_the_values_of_living_threads_along() {
    let count = Arc::default();
    let owners = [Owner::new(&count), Owner::new(&count)];
    let (entered, all) = mpsc::channel();
    let gates: Vec<mpsc::Sender<()>> = (0..8)
        .map(|_| {
            let (owners, entered) = (owners.clone(), entered.clone());
            let (gate, opened) = mpsc::channel();
            thread::spawn(move || {
                owners.iter().for_each(|owner| assert!(owner.use_value().is_some()));
                drop(owners);
                entered.send(()).expect("the test waits");
                let _ = opened.recv();
                entered.send(()).expect("the test waits");
            });
            gate
        })
        .collect();
    gates.iter().for_each(|_| all.recv().expect("a thread"));
    assert_eq!(living(&count), 16);
    let [first, second] = owners;
    drop(first);
    assert_eq!(living(&count), 8);
    drop(second);
    assert_eq!(living(&count), 0);
    drop(gates);
    (0..8).for_each(|_| all.recv().expect("a thread"));
}

struct UsesAtEnd(Arc<Owner>);

impl Drop for UsesAtEnd {
    fn drop(&mut self) {
        // Neither panics nor makes a value that nobody would drop.
        self.0.use_value();
    }
}

thread_local! {
    static AT_END: RefCell<Option<UsesAtEnd>> = const { RefCell::new(None) };
}

#[test]
fn destructors_of_a_thread_may_use_an_owner() {
    let count = Arc::default();
    for first in [false, true] {
        let owner = Owner::new(&count);
        let used = Arc::clone(&owner);
        let run = move || {
            // Destructors run in some order of first use: try both.
            if first {
                used.use_value();
            }
            AT_END.with(|at_end| *at_end.borrow_mut() = Some(UsesAtEnd(Arc::clone(&used))));
            used.use_value();
        };
        thread::spawn(run).join().expect("no panic");
        assert_eq!(living(&count), 0, "{first}");
    }
}

#[test]
fn numbers_are_reused() {
    let count = Arc::default();
    let owner = Owner::new(&count);
    let mut most = 0;
    for _ in 0..200 {
        let owner = Arc::clone(&owner);
        let number = thread::spawn(move || owner.use_value()).join().expect("no panic");
        most = most.max(number.expect("a living thread"));
    }
    // Other tests of this process have threads too.
    assert!(most < 150, "{most}");
}
