//! Models of `rotation/ticket_word.rs`: a process holds a server while others take tickets, make versions, and find that
//! none is held.

use loom::thread;

use crate::concurrent::segments::ArcRef;
use crate::rotation::schedule::Schedule;
use crate::rotation::shared::SharedRotation;
use crate::rotation::ticket_word::TicketWord;
use crate::sync::{Arc, AtomicU32, Ordering};

/// One server, whose turn it always is, of a service with one version.
struct Service {
    is_held: AtomicU32,
    word: ArcRef<TicketWord>,
    rotation: SharedRotation,
    schedule: Schedule,
    /// 1 once holders can find the version.
    is_found: AtomicU32,
}

impl Service {
    fn new() -> Self {
        let word = ArcRef::standalone(TicketWord::uninitialized());
        Service {
            is_held: AtomicU32::new(0),
            rotation: SharedRotation::of(word.clone(), 2),
            word,
            schedule: Schedule::new([0, 0].as_slice().into(), |_| true),
            is_found: AtomicU32::new(0),
        }
    }

    fn begun() -> Self {
        let service = Service::new();
        service.publish();
        service.begin();
        service
    }

    fn is_any_held(&self) -> bool {
        self.is_held.load(Ordering::SeqCst) == 1
    }

    fn publish(&self) {
        self.is_found.store(1, Ordering::SeqCst);
    }

    fn begin(&self) {
        self.rotation.adopt_state(0, || self.is_any_held());
    }

    fn look_at(&self) {
        if self.is_found.load(Ordering::SeqCst) == 1 {
            self.word.get().raise();
        }
    }

    fn hold(&self) {
        self.is_held.store(1, Ordering::SeqCst);
        self.look_at();
    }

    fn lower(&self) {
        self.rotation.lower(|| self.is_any_held());
    }

    /// True if the pick looks at the server.
    fn pick(&self) -> bool {
        let ticket = self.rotation.current.take_ticket();
        if self.schedule.unconditional(ticket).is_some() {
            return false;
        }
        let _ = self.rotation.redeem(ticket, &self.schedule, Some);
        true
    }

    fn pick_while_held(&self) {
        assert!(self.pick(), "a held server is not looked at");
    }
}

/// Runs them at once, then picks.
fn at_once<const N: usize>(service: Service, acts: [fn(&Service); N]) {
    let service = Arc::new(service);
    let threads = acts.map(|act| {
        let service = Arc::clone(&service);
        thread::spawn(move || act(&service))
    });
    for thread in threads {
        thread.join().unwrap();
    }
    service.pick_while_held();
}

fn holder(service: &Service) {
    service.hold();
    service.pick_while_held();
}

fn picker(service: &Service) {
    service.pick();
    service.pick();
}

/// Every pick after a hold looks at the server.
pub fn a_hold_beside_pickers() {
    at_once(Service::begun(), [holder, picker]);
}

/// Pickers take the flag of an earlier hold out of the word.
pub fn a_hold_beside_the_end_of_another() {
    let service = Service::begun();
    service.word.get().raise();
    let lower = |service: &Service| {
        service.lower();
        service.pick();
    };
    at_once(service, [holder, lower, |service| _ = service.pick()]);
}

/// Either the holder finds the version, or its maker the hold.
pub fn a_hold_beside_a_new_version() {
    let make = |service: &Service| {
        service.publish();
        service.begin();
    };
    at_once(Service::new(), [Service::hold, make]);
}

/// The holder raises the word before it sets the state.
pub fn planted_a_look_before_the_hold() {
    let service = Service::begun();
    let hold = |service: &Service| {
        service.look_at();
        service.is_held.store(1, Ordering::SeqCst);
    };
    let lower = |service: &Service| {
        service.lower();
        service.pick();
    };
    at_once(service, [hold, lower]);
}

/// The maker of a version publishes it after it has looked at the servers.
pub fn planted_a_version_looked_at_before_it_is_found() {
    let make = |service: &Service| {
        service.begin();
        service.publish();
    };
    at_once(Service::new(), [Service::hold, make]);
}
