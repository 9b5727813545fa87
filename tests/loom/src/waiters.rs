//! Models of `concurrent/waiters.rs`: tasks that wait for a place, and threads that make one.
//!
//! A place is a number in a word. A task that finds none enters the queue and looks again; it must be
//! woken if a place is free in the end.

use std::sync::atomic::{AtomicBool, Ordering as Plain};
use std::task::{Wake, Waker};

use loom::thread;

use crate::concurrent::waiters::{Ticket, Waiters};
use crate::sync::{Arc, AtomicU32, Ordering, fence};

struct World {
    places: AtomicU32,
    waiters: Waiters,
}

/// Not modeled itself: only read when all threads have ended, or by its own task.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Plain::Relaxed);
    }
}

#[derive(Default)]
struct Task {
    ticket: Option<Ticket>,
    woken: Arc<Woken>,
}

impl World {
    fn new(places: u32) -> Arc<Self> {
        Arc::new(World { places: AtomicU32::new(places), waiters: Waiters::default() })
    }

    fn look(&self) -> bool {
        self.places.load(Ordering::SeqCst) > 0
    }

    /// As `Room::poll`: true once there is a place.
    fn poll(&self, task: &mut Task) -> bool {
        if !self.look() {
            task.woken.0.store(false, Plain::Relaxed);
            self.waiters.enter(&mut task.ticket, &Waker::from(Arc::clone(&task.woken)));
            if !self.look() {
                return false;
            }
        }
        self.leave(task);
        true
    }

    fn leave(&self, task: &mut Task) {
        if let Some(ticket) = task.ticket.take() {
            self.waiters.leave(ticket);
        }
    }

    /// A close that makes room.
    fn make(&self) {
        self.places.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        self.waiters.notify();
    }
}

/// True if the task need not wait, or knows that it need not.
fn is_served(waits: bool, task: &Task) -> bool {
    !waits || task.woken.0.load(Plain::Relaxed)
}

/// A task begins to wait while a place is made.
pub fn no_wake_up_is_lost() {
    let world = World::new(0);
    let other = Arc::clone(&world);
    let making = thread::spawn(move || other.make());
    let mut task = Task::default();
    let waits = !world.poll(&mut task);
    making.join().unwrap();
    assert!(is_served(waits, &task), "waits for ever");
}

/// Two threads make places while one task waits already and another begins to.
pub fn two_places_wake_two() {
    let world = World::new(0);
    let mut first = Task::default();
    assert!(!world.poll(&mut first));
    let making = [(); 2].map(|()| {
        let world = Arc::clone(&world);
        thread::spawn(move || world.make())
    });
    let mut second = Task::default();
    let waits = !world.poll(&mut second);
    for thread in making {
        thread.join().unwrap();
    }
    assert!(is_served(true, &first) && is_served(waits, &second), "waits for ever");
}

/// The task that is woken gives up; the next one learns of the place.
pub fn a_task_that_gives_up_passes_it_on() {
    let world = World::new(0);
    let (mut first, mut second) = (Task::default(), Task::default());
    assert!(!world.poll(&mut first) && !world.poll(&mut second));
    let other = Arc::clone(&world);
    let making = thread::spawn(move || other.make());
    world.leave(&mut first);
    making.join().unwrap();
    assert!(is_served(true, &second), "waits for ever");
}

/// A place that is made before it is announced elsewhere: looking only before entering loses it.
pub fn planted_no_second_look() {
    let world = World::new(0);
    let other = Arc::clone(&world);
    let making = thread::spawn(move || other.make());
    let mut task = Task::default();
    let mut waits = false;
    if !world.look() {
        waits = true;
        world.waiters.enter(&mut task.ticket, &Waker::from(Arc::clone(&task.woken)));
    }
    making.join().unwrap();
    assert!(is_served(waits, &task), "waits for ever");
}
