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

struct Holder {
    values: PerThread<Counted>,
    living: Arc<AtomicUsize>,
}

impl Leave for Holder {
    fn leave(&self, thread: &Ending) {
        self.values.leave(thread);
    }
}

impl Holder {
    fn new(living: &Arc<AtomicUsize>) -> Arc<Self> {
        Arc::new(Holder { values: PerThread::new(), living: Arc::clone(living) })
    }

    fn use_value(self: &Arc<Self>) -> Option<u32> {
        let check = |value: Option<&Counted>, number: u32| {
            value.map(|value| {
                assert_eq!(value.maker, thread::current().id(), "no other thread's value");
                number
            })
        };
        if let Some(number) = self.values.with(check) {
            return Some(number);
        }
        let weak = Arc::downgrade(self);
        self.values.enter(weak, || {
            self.living.fetch_add(1, Ordering::SeqCst);
            Counted { living: Arc::clone(&self.living), maker: thread::current().id() }
        });
        self.values.with(check)
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
fn a_value_lives_as_long_as_its_thread_and_its_holder() {
    let count = Arc::default();
    let holder = Holder::new(&count);
    let own = holder.use_value();
    assert_eq!(holder.use_value(), own);
    assert_eq!(living(&count), 1);
    for _ in 0..10 {
        let holder = Arc::clone(&holder);
        let other = thread::spawn(move || holder.use_value()).join().expect("no panic");
        assert_ne!(other, own);
    }
    assert_eq!(living(&count), 1, "those of the threads that have ended are gone");
    drop(holder);
    assert_eq!(living(&count), 0);
}

#[test]
fn an_holder_that_goes_first_takes_the_values_of_living_threads_along() {
    let count = Arc::default();
    let holders = [Holder::new(&count), Holder::new(&count)];
    let (entered, all) = mpsc::channel();
    let gates: Vec<mpsc::Sender<()>> = (0..8)
        .map(|_| {
            let (holders, entered) = (holders.clone(), entered.clone());
            let (gate, opened) = mpsc::channel();
            thread::spawn(move || {
                holders.iter().for_each(|holder| assert!(holder.use_value().is_some()));
                drop(holders);
                entered.send(()).expect("the test waits");
                let _ = opened.recv();
                entered.send(()).expect("the test waits");
            });
            gate
        })
        .collect();
    gates.iter().for_each(|_| all.recv().expect("a thread"));
    assert_eq!(living(&count), 16);
    let [first, second] = holders;
    drop(first);
    assert_eq!(living(&count), 8);
    drop(second);
    assert_eq!(living(&count), 0);
    drop(gates);
    (0..8).for_each(|_| all.recv().expect("a thread"));
}

struct UsesAtEnd(Arc<Holder>);

impl Drop for UsesAtEnd {
    fn drop(&mut self) {
        // Neither panics nor makes a value that nothing would drop.
        self.0.use_value();
    }
}

std::thread_local! {
    static AT_END: RefCell<Option<UsesAtEnd>> = const { RefCell::new(None) };
}

#[test]
fn destructors_of_a_thread_may_use_an_holder() {
    let count = Arc::default();
    for first in [false, true] {
        let holder = Holder::new(&count);
        let used = Arc::clone(&holder);
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
    let holder = Holder::new(&count);
    let mut most = 0;
    for _ in 0..200 {
        let holder = Arc::clone(&holder);
        let number = thread::spawn(move || holder.use_value()).join().expect("no panic");
        most = most.max(number.expect("a living thread"));
    }
    // Other tests of this process have threads too.
    assert!(most < 150, "{most}");
}
