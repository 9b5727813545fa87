//! Models of `memory/templates.rs`: concurrent first connections of one client, connections concurrent
//! with the director's tick, and concurrent closes.

use loom::thread;

use crate::arena::Arena;
use crate::arena::block::maps::SharedMap;
use crate::memory::address_map::{AddressKey, AffinityEntry};
use crate::memory::pace::Pace;
use crate::memory::templates::{Template, TemplateId, Templates};
use crate::sync::Arc;

const TIMEOUT: u64 = 10;
/// By how much a tick advances the clock: every template has expired then, even if it was extended.
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

    /// Time passes, and a sweep visits the map.
    fn tick(&self) {
        self.arena.set_clock(self.arena.clock() + LATER);
        self.sweep();
    }

    fn sweep(&self) {
        self.templates.begin_sweep();
        let (mut slice, mut call) = (usize::MAX, usize::MAX);
        self.templates.sweep(&mut Pace { slice: &mut slice, call: &mut call });
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
        self.tick();
        assert!(!self.is_known(), "held by no connection");
        // Removes late writes.
        self.tick();
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
    service.tick();
    assert!(service.is_known(), "gone while a connection is open");
    service.templates.release(next);
    service.check();
}

/// The tick finds an expired template, concurrent with the client's next connection.
pub fn a_template_ends_beside_a_pick() {
    let service = Service::new();
    service.connection(0);
    let other = spawn(&service, |service| service.connection(1));
    service.tick();
    other.join().unwrap();
    service.check();
}

/// A connection keeps its template through a tick, until it closes.
pub fn an_open_connection_keeps_its_template() {
    let service = Service::new();
    let id = service.pick(0);
    service.templates.acquire(id);
    let other = spawn(&service, |service| service.connection(1));
    service.tick();
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
    after.tick();
    other.join().unwrap();
    assert!(after.is_known(), "gone while a connection is open");
    after.templates.release(id);
    after.check();
    assert_eq!(service.templates.remembered().entries, 0);
}

/// The time of a template is over while a connection holds it, and the sweep comes by as that closes: the
/// template is extended.
pub fn a_close_after_the_deadline_extends_it() {
    let service = Service::new();
    let id = service.pick(0);
    service.templates.acquire(id);
    service.arena.set_clock(LATER);
    let other = spawn(&service, move |service| service.templates.release(id));
    service.sweep();
    other.join().unwrap();
    assert!(service.is_known(), "gone while a connection is open");
    service.check();
}

/// A client whose template is over comes again, concurrent with the sweep: its new template is of its own.
pub fn a_template_made_anew_beside_a_sweep() {
    let service = Service::new();
    service.connection(0);
    service.arena.set_clock(LATER);
    assert!(!service.is_known(), "it is over");
    let other = spawn(&service, |service| service.pick(1));
    service.sweep();
    let id = other.join().unwrap();
    if let Some((_, server)) = service.templates.find(service.client) {
        assert_eq!(server, 1, "the server of the template that is over");
    }
    service.templates.acquire(id);
    service.templates.release(id);
    service.check();
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
    after.tick();
    assert!(after.is_known(), "gone while a connection is open");
}

/// Wrong: releases a connection that was never acquired.
pub fn planted_let_go_without_hold() {
    let service = Service::new();
    let id = service.pick(0);
    service.templates.acquire(id);
    let other = spawn(&service, move |service| service.templates.release(id));
    service.tick();
    other.join().unwrap();
    service.tick();
    assert!(service.is_known(), "gone while a connection is open");
}

/// The templates of two owners of a block.
struct Shared {
    arena: Arc<Arena>,
    owners: [Templates; 2],
    maps: [Arc<SharedMap>; 2],
    client: AddressKey,
}

impl Shared {
    fn new() -> Self {
        let arena = Arena::in_block(0b11);
        let maps = SharedMap::pair::<AffinityEntry<Template>>(4).map(Arc::new);
        let owners = maps
            .clone()
            .map(|map| Templates::shared(Arc::clone(&arena), map).expect("entries of this type"));
        let client = owners[0].key([5 << 32, 0], 4);
        Shared { arena, owners, maps, client }
    }

    /// Time passes, and the second owner looks, then sweeps: true if the template is still there.
    fn is_kept(&self) -> bool {
        self.arena.set_clock(self.arena.clock() + LATER);
        let other = &self.owners[1];
        let found = other.find(self.client).is_some();
        other.begin_sweep();
        let (mut slice, mut call) = (usize::MAX, usize::MAX);
        other.sweep(&mut Pace { slice: &mut slice, call: &mut call });
        assert_eq!(found, other.find(self.client).is_some(), "a sweep decides as a look does");
        found
    }
}

/// An owner's last connection closes while its next one opens: to the other owner the template is held from when it is
/// open on, and no longer once both have closed.
pub fn an_owners_last_connection_beside_its_next() {
    last_beside_next(|shared, id| shared.owners[0].acquire(id));
}

/// The next connection is counted, but the other owner does not learn of it.
pub fn planted_an_owner_that_does_not_tell() {
    last_beside_next(|shared, id| {
        let (at, serial) = (0..4, id.serial());
        at.into_iter().for_each(|at| _ = shared.maps[0].open.open(at, serial));
    });
}

fn last_beside_next(open: fn(&Shared, TemplateId)) {
    let shared = Arc::new(Shared::new());
    let id = shared.owners[0].make(shared.client, 0, TIMEOUT);
    shared.owners[0].acquire(id);
    let closes = {
        let shared = Arc::clone(&shared);
        thread::spawn(move || shared.owners[0].release(id))
    };
    open(&shared, id);
    assert!(shared.is_kept(), "not held by an open connection");
    closes.join().unwrap();
    assert!(shared.is_kept(), "not held by an open connection");
    shared.owners[0].release(id);
    assert!(!shared.is_kept(), "held by no connection");
}

/// Two owners have a connection each through one template, and close.
pub fn owners_hold_a_template_each() {
    let shared = Arc::new(Shared::new());
    let id = shared.owners[0].make(shared.client, 0, TIMEOUT);
    let acts = [0, 1].map(|n| {
        let shared = Arc::clone(&shared);
        thread::spawn(move || {
            shared.owners[n].acquire(id);
            if n == 0 {
                shared.owners[n].release(id);
            }
        })
    });
    acts.into_iter().for_each(|act| act.join().unwrap());
    assert!(shared.is_kept(), "not held by an open connection");
    shared.owners[1].release(id);
    assert!(!shared.is_kept(), "held by no connection");
}
