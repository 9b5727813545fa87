//! Models of `memory/templates.rs`: concurrent first connections of one client, connections concurrent
//! with the director's tick, and concurrent closes.

use loom::thread;

use crate::arena::Arena;
use crate::memory::address_map::AddressKey;
use crate::memory::templates::{TemplateId, Templates};
use crate::sync::Arc;

const TIMEOUT: u64 = 10;
/// A time at which every template has expired, even if it was extended.
const LATER: u64 = 1 << 40;

struct Service {
    arena: Arc<Arena>,
    templates: Templates,
    client: AddressKey,
}

impl Service {
    fn new() -> Arc<Self> {
        let arena = Arena::with_servers(2);
        let templates = Templates::new(Arc::clone(&arena), 2).expect("memory");
        let client = templates.key([5 << 32, 0], 4);
        Arc::new(Service { arena, templates, client })
    }

    /// A pick, in which the scheduler returns this server if the client has no template.
    fn pick(&self, server: u32) -> TemplateId {
        match self.templates.find(self.client) {
            Some((template, _)) => self.templates.renew(self.client, template),
            None => self.templates.make(self.client, server, TIMEOUT),
        }
    }

    /// A connection that opens and closes.
    fn connection(&self, server: u32) {
        let id = self.pick(server);
        self.templates.acquire(id);
        self.templates.release(id);
    }

    fn is_known(&self) -> bool {
        self.templates.find(self.client).is_some()
    }

    /// After all connections have closed: no template remains after its timeout.
    fn check(&self) {
        if let Some((template, _)) = self.templates.find(self.client) {
            let id = self.templates.renew(self.client, template);
            assert!(!id.is_none(), "a template that connections cannot hold");
        }
        self.templates.tick(LATER);
        assert!(!self.is_known(), "held by no connection");
        // Removes late writes.
        self.templates.tick(LATER);
        assert_eq!(self.arena.unpinned().len(), 2, "pinned by no entry");
    }
}

fn spawn<R: 'static>(
    service: &Arc<Service>,
    act: impl FnOnce(&Service) -> R + 'static,
) -> thread::JoinHandle<R> {
    let service = Arc::clone(service);
    thread::spawn(move || act(&service))
}

/// Two first connections of a client: afterward it has one server.
pub fn first_connections_meet() {
    let service = Service::new();
    let other = spawn(&service, |service| service.connection(1));
    service.connection(0);
    other.join().unwrap();
    assert!(service.is_known());
    service.check();
}

/// One connection closes while another opens: the template counts the right number.
pub fn holds_are_counted_exactly() {
    let service = Service::new();
    let id = service.pick(0);
    service.templates.acquire(id);
    let other = spawn(&service, move |service| service.templates.release(id));
    let next = service.pick(1);
    service.templates.acquire(next);
    other.join().unwrap();
    service.templates.tick(LATER);
    assert!(service.is_known(), "gone while a connection is open");
    service.templates.release(next);
    service.check();
}

/// The tick finds an expired template, concurrent with the client's next connection.
pub fn a_template_ends_beside_a_pick() {
    let service = Service::new();
    service.connection(0);
    let other = spawn(&service, |service| service.connection(1));
    service.templates.tick(LATER);
    other.join().unwrap();
    service.check();
}

/// A connection keeps its template through a tick, until it closes.
pub fn an_open_connection_keeps_its_template() {
    let service = Service::new();
    let id = service.pick(0);
    service.templates.acquire(id);
    let other = spawn(&service, |service| service.connection(1));
    service.templates.tick(LATER);
    other.join().unwrap();
    assert!(service.is_known(), "gone while a connection is open");
    service.templates.release(id);
    service.check();
}

/// A change of capacity, concurrent with a connection of a picker that still has the previous map: an
/// open connection keeps its template, no matter through which map it opens and closes.
pub fn connections_beside_another_capacity() {
    let service = Service::new();
    let id = service.pick(0);
    service.templates.acquire(id);
    let other = spawn(&service, |service| service.connection(1));
    let next = service.templates.next(8).expect("memory").expect("other templates");
    let (arena, client) = (Arc::clone(&service.arena), service.client);
    let after = Service { arena, templates: next, client };
    after.templates.tick(LATER);
    other.join().unwrap();
    assert!(after.is_known(), "gone while a connection is open");
    after.templates.release(id);
    after.check();
    assert_eq!(service.templates.remembered().entries, 0);
}

/// Wrong: the next map has a separate template for the client, as if entries were copied.
pub fn planted_a_copy_for_another_capacity() {
    let service = Service::new();
    let (arena, client) = (Arc::clone(&service.arena), service.client);
    let templates = Templates::new(Arc::clone(&arena), 8).expect("memory");
    let after = Service { arena, templates, client };
    let id = service.pick(0);
    after.pick(0);
    service.templates.acquire(id);
    after.templates.tick(LATER);
    assert!(after.is_known(), "gone while a connection is open");
}

/// Wrong: releases a connection that was never acquired.
pub fn planted_let_go_without_hold() {
    let service = Service::new();
    let id = service.pick(0);
    service.templates.acquire(id);
    let other = spawn(&service, move |service| service.templates.release(id));
    service.templates.tick(LATER);
    other.join().unwrap();
    service.templates.tick(LATER << 1);
    assert!(service.is_known(), "gone while a connection is open");
}
