//! Models of `arena/ejection.rs`: workers that eject servers at once, beside a director that ends
//! ejections, holds servers and gives their slots to others.

use loom::thread;

use crate::arena::ejection::eject;
use crate::arena::ejection_budget::EjectionBudget;
use crate::arena::slots::{Ended, NO_SERVICE, ServerSlot};
use crate::config::ServerState::{Down, Up};
use crate::sync::Arc;

struct Service {
    budget: EjectionBudget,
    servers: [ServerSlot; 2],
}

/// Two servers, of which this many may be ejected.
fn service(most: u32) -> Arc<Service> {
    let budget = EjectionBudget::new(0);
    budget.allow(1, most);
    let servers = [0; 2].map(|_| {
        let slot = ServerSlot::new(0);
        slot.occupy(0);
        slot
    });
    Arc::new(Service { budget, servers })
}

impl Service {
    fn eject(&self, server: usize) -> bool {
        eject(&self.servers[server], 0, (0, &self.budget))
    }

    fn ejected(&self) -> usize {
        self.servers.iter().filter(|slot| slot.counts_seqcst().is_ejected()).count()
    }

    fn end_ejection(&self, server: usize) -> bool {
        let ended = self.servers[server].end_ejection(Up);
        if ended {
            self.budget.release();
        }
        ended
    }

    /// Places taken and servers marked are as many.
    fn assert_agrees(&self) {
        assert_eq!(self.budget.taken().0 as usize, self.ejected(), "places");
    }
}

fn spawn<R: 'static>(
    service: &Arc<Service>,
    act: impl FnOnce(&Service) -> R + 'static,
) -> thread::JoinHandle<R> {
    let service = Arc::clone(service);
    thread::spawn(move || act(&service))
}

/// One place, two servers that fail at once: exactly one is ejected.
pub fn one_place_is_taken_once() {
    let service = service(1);
    let other = spawn(&service, |service| service.eject(0));
    let here = service.eject(1);
    assert!(here != other.join().unwrap(), "one of the two");
    service.assert_agrees();
}

/// Two workers see the limit reached: one ejects, and one place is taken.
pub fn one_server_is_ejected_once() {
    let service = service(2);
    let other = spawn(&service, |service| service.eject(0));
    let here = service.eject(0);
    assert!(here != other.join().unwrap(), "one of the two");
    service.assert_agrees();
    assert_eq!(service.ejected(), 1);
}

/// The director ends an ejection while a worker ejects another server: at no time are more ejected than
/// there are places.
pub fn a_place_given_back_is_taken_again() {
    let service = service(1);
    assert!(service.eject(0));
    let other = spawn(&service, |service| service.eject(1));
    assert!(service.end_ejection(0));
    assert!(service.ejected() <= 1, "too many");
    other.join().unwrap();
    service.assert_agrees();
}

/// A holder sets the state of a server that a worker ejects: the ejection stays until the director ends
/// it, unless the server was held down first.
pub fn a_state_does_not_end_an_ejection() {
    let service = service(2);
    let other = spawn(&service, |service| service.eject(0));
    service.servers[0].set_state(0, Down).unwrap();
    service.servers[0].set_state(0, Up).unwrap();
    let ejected = other.join().unwrap();
    assert_eq!(ejected, service.ejected() == 1, "ejected");
    service.assert_agrees();
}

/// The slot of a server that a worker ejects gets its next owner: that one is not ejected, and the place
/// is free.
pub fn an_ejection_ends_with_the_owner() {
    let service = service(2);
    let other = spawn(&service, |service| service.eject(0));
    match service.servers[0].vacate() {
        Ended::No => panic!("no connection is open"),
        Ended::Yes => {}
        Ended::Ejected => service.budget.release(),
    }
    service.servers[0].occupy(0);
    other.join().unwrap();
    assert_eq!(service.ejected(), 0, "the next owner is ejected");
    service.assert_agrees();
}

/// The service of a server that a worker ejects is deleted, and the server comes back in another service:
/// it is ejected only with a place of that one.
pub fn an_ejection_ends_with_the_service() {
    an_ejection_beside_a_move(|slot| slot.detach(Up));
}

fn an_ejection_beside_a_move(detach: impl Fn(&ServerSlot) -> bool) {
    let budgets = Arc::new([0, 1].map(|generation| {
        let budget = EjectionBudget::new(generation);
        budget.allow(1, 1);
        budget
    }));
    let slot = Arc::new(ServerSlot::new(0));
    slot.occupy(0);
    let (shared, places) = (Arc::clone(&slot), Arc::clone(&budgets));
    let worker = thread::spawn(move || {
        let service = shared.service();
        let budget = places.get(service as usize);
        budget.is_some_and(|budget| eject(&shared, 0, (service, budget)))
    });
    // As the director does when it deletes the service, and when it adds the other.
    if slot.end_ejection(Up) {
        budgets[0].release();
    }
    if detach(&slot) {
        budgets[0].release();
    }
    slot.set_service(1);
    worker.join().unwrap();
    let ejected = slot.counts_seqcst().is_ejected();
    let taken = [0, 1].map(|service: usize| budgets[service].taken().0);
    assert_eq!(taken, [0, u32::from(ejected)], "places");
}

/// Wrong: only the service changes, not the word.
pub fn planted_a_move_without_a_version() {
    an_ejection_beside_a_move(|slot| {
        slot.set_service(NO_SERVICE);
        false
    });
}

/// Wrong: the place of an owner that left is not given back.
pub fn planted_a_place_that_is_lost() {
    let service = service(2);
    let other = spawn(&service, |service| service.eject(0));
    assert!(service.servers[0].vacate().has_left());
    service.servers[0].occupy(0);
    other.join().unwrap();
    service.assert_agrees();
}
