//! Linux's approach: servers are heap objects in a linked list that each pick walks.
//!
//! Written from the formulas, without a line of the kernel's code. A server is as large as the
//! kernel's (a 512-byte slab object), but everything that a walk reads is in its first cache line,
//! where the kernel's needs two. The objects' placement determines the cost of a walk; see
//! [`Layout`]. rr and wrr keep their position under a spin lock, as the kernel does; wlc takes no
//! lock.

use std::hint::{black_box, spin_loop};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32};

use crate::case::{Run, repeat};
use crate::subjects::random::Random;

const OVERLOADED: u32 = 2;

#[repr(C, align(64))]
pub struct Server {
    next: *const Server,
    flags: AtomicU32,
    weight: AtomicI32,
    active: AtomicI32,
    inactive: AtomicI32,
    /// Index in `List::servers`, by which a connection names its server.
    place: u32,
    /// Addresses, statistics, limits, routes, back links, which walks do not read.
    _rest: [u64; 60],
}

impl Server {
    fn available(&self) -> bool {
        self.flags.load(Relaxed) & OVERLOADED == 0
    }

    /// 256 for an active connection, 1 for an inactive one.
    fn overhead(&self) -> i64 {
        (i64::from(self.active.load(Relaxed)) << 8) + i64::from(self.inactive.load(Relaxed))
    }
}

/// Placement in memory of servers that were added one after the other.
#[derive(Clone, Copy)]
pub enum Layout {
    /// Consecutive: the best case for a walk, because the processor prefetches.
    Row,
    /// As a kernel's allocator places them with a random order in each slab, a protection against
    /// attackers who predict addresses (`CONFIG_SLAB_FREELIST_RANDOM`, as Debian builds it): 16
    /// objects of 512 bytes per slab.
    Slabs,
    /// Anywhere, as after months of adding and removing servers.
    Scattered,
}

impl Layout {
    /// Number of consecutive servers that are placed in random order.
    fn together(self) -> usize {
        match self {
            Layout::Row => 1,
            Layout::Slabs => 16,
            Layout::Scattered => usize::MAX,
        }
    }
}

/// The state of a rotation.
struct Place {
    last: *const Server,
    current_weight: i32,
}

pub struct List {
    head: *const Server,
    /// Owns the servers, in list order.
    servers: Vec<*mut Server>,
    max_weight: i32,
    gcd: i32,
    locked: AtomicBool,
    place: std::cell::UnsafeCell<Place>,
}

// SAFETY: servers are atomics that live as long as the list and are linked once, in `new`; `place`
// is touched only under `locked`.
unsafe impl Send for List {}
// SAFETY: as above.
unsafe impl Sync for List {}

impl List {
    pub fn new(weights: &[u32], layout: Layout) -> Arc<List> {
        let server = |weight: &u32| {
            Box::into_raw(Box::new(Server {
                next: ptr::null(),
                flags: AtomicU32::new(0),
                weight: AtomicI32::new(*weight as i32),
                active: AtomicI32::new(2 + (*weight / 16) as i32),
                inactive: AtomicI32::new(0),
                place: 0,
                _rest: [0; 60],
            }))
        };
        let mut servers: Vec<*mut Server> = weights.iter().map(server).collect();
        let mut random = Random::new(11);
        for together in servers.chunks_mut(layout.together()) {
            random.shuffle(together);
        }
        for (place, server) in servers.iter().enumerate() {
            // SAFETY: just made; nothing else refers to it yet.
            unsafe { (**server).place = place as u32 };
        }
        for pair in servers.windows(2) {
            // SAFETY: both were just made; nothing else refers to them yet.
            unsafe { (*pair[0]).next = pair[1] };
        }
        let divisor = |a: i32, b: i32| {
            let (mut a, mut b) = (a, b);
            while b != 0 {
                (a, b) = (b, a % b);
            }
            a
        };
        let weights = || weights.iter().map(|weight| *weight as i32);
        Arc::new(List {
            head: servers.first().map_or(ptr::null(), |first| *first),
            max_weight: weights().max().unwrap_or(0),
            gcd: weights().reduce(divisor).unwrap_or(1),
            servers,
            locked: AtomicBool::new(false),
            place: Place { last: ptr::null(), current_weight: 0 }.into(),
        })
    }

    fn after(&self, server: *const Server) -> *const Server {
        // SAFETY: null or one of ours, which live as long as the list.
        unsafe { server.as_ref() }.map_or(self.head, |server| server.next)
    }

    fn with_place<R>(&self, work: impl FnOnce(&mut Place) -> R) -> R {
        // Acquire: pairs with the Release store below, which publishes `place`.
        while self.locked.compare_exchange_weak(false, true, Acquire, Relaxed).is_err() {
            while self.locked.load(Relaxed) {
                spin_loop();
            }
        }
        // SAFETY: the lock is held.
        let result = work(unsafe { &mut *self.place.get() });
        // Release: pairs with the Acquire above; the next owner sees `place`.
        self.locked.store(false, Release);
        result
    }

    /// The next available server after the last one, in one pass over the list.
    fn rr(&self) -> Option<&Server> {
        self.with_place(|place| {
            let mut server = place.last;
            for _ in 0..=self.servers.len() {
                server = self.after(server);
                // SAFETY: as in `after`; null is the list's end.
                let Some(found) = (unsafe { server.as_ref() }) else { continue };
                if found.available() && found.weight.load(Relaxed) > 0 {
                    place.last = server;
                    return Some(found);
                }
            }
            None
        })
    }

    /// The next server of at least the current weight, which decreases by the divisor with each pass.
    fn wrr(&self) -> Option<&Server> {
        self.with_place(|place| {
            let mut server = place.last;
            // One pass per level, one for the rest of this pass, one to end.
            for _ in 0..self.max_weight / self.gcd + 2 {
                // A list that was never walked has no level yet.
                let mut next =
                    if place.current_weight > 0 { self.after(server) } else { ptr::null() };
                // SAFETY: as in `after`.
                while let Some(found) = unsafe { next.as_ref() } {
                    if found.weight.load(Relaxed) >= place.current_weight && found.available() {
                        place.last = next;
                        return Some(found);
                    }
                    next = found.next;
                }
                server = ptr::null();
                place.current_weight -= self.gcd;
                if place.current_weight <= 0 {
                    place.current_weight = self.max_weight;
                }
            }
            None
        })
    }

    /// The server with the least overhead / weight, compared without division; the first on a tie.
    fn wlc(&self) -> Option<&Server> {
        self.least(|server| i64::from(server.weight.load(Relaxed)))
    }

    /// The server with the least overhead.
    fn lc(&self) -> Option<&Server> {
        self.least(|server| i64::from(server.weight.load(Relaxed) > 0))
    }

    #[inline(always)]
    fn least(&self, weight: impl Fn(&Server) -> i64) -> Option<&Server> {
        let mut best: Option<(&Server, i64, i64)> = None;
        let mut at = self.head;
        // SAFETY: as in `after`.
        while let Some(server) = unsafe { at.as_ref() } {
            at = server.next;
            let weight = weight(server);
            if weight == 0 || !server.available() {
                continue;
            }
            let overhead = server.overhead();
            if best.is_none_or(|(_, least, its)| least * weight > overhead * its) {
                best = Some((server, overhead, weight));
            }
        }
        best.map(|(server, ..)| server)
    }

    /// Moves wrr to a random point of its period. A run is shorter than a period, and would otherwise
    /// measure only its beginning, where walks are longest.
    fn anywhere(&self, random: &mut Random) {
        let mut level = 0;
        while level == 0 {
            let server = self.servers[random.below(self.servers.len())];
            // SAFETY: as in `after`.
            let weight = unsafe { &*server }.weight.load(Relaxed);
            let drawn = self.gcd * (1 + random.below((self.max_weight / self.gcd) as usize) as i32);
            level = if weight >= drawn { drawn } else { 0 };
        }
        let last = self.servers[random.below(self.servers.len())];
        self.with_place(|place| *place = Place { last, current_weight: level });
    }
}

impl Drop for List {
    fn drop(&mut self) {
        for server in self.servers.drain(..) {
            // SAFETY: made by `Box::into_raw` in `new`; nothing else refers to the list any more.
            drop(unsafe { Box::from_raw(server) });
        }
    }
}

pub fn rr(list: &Arc<List>) -> Run {
    let list = Arc::clone(list);
    repeat(move || {
        black_box(list.rr());
    })
}

pub fn wrr(list: &Arc<List>) -> Run {
    let list = Arc::clone(list);
    let mut random = Random::new(13);
    Box::new(move |count| {
        for at in 0..count {
            if at % 64 == 0 {
                list.anywhere(&mut random);
            }
            black_box(list.wrr());
        }
    })
}

pub fn wlc(list: &Arc<List>) -> Run {
    let list = Arc::clone(list);
    repeat(move || {
        black_box(list.wlc());
    })
}

/// A whole connection, as in `rust::connect_close`.
pub fn connect_close(list: &Arc<List>, by_weight: bool) -> Run {
    let list = Arc::clone(list);
    let mut random = Random::new(7);
    let mut held: Vec<u32> = Vec::new();
    for server in &list.servers {
        // SAFETY: as in `after`.
        let server = unsafe { &**server };
        held.extend((0..server.active.load(Relaxed)).map(|_| server.place));
    }
    repeat(move || {
        let old = random.one_of(&mut held);
        let found = if by_weight { list.wlc() } else { list.lc() };
        let found = found.expect("a server is available");
        found.active.fetch_add(1, Relaxed);
        // SAFETY: as in `after`.
        unsafe { &*list.servers[*old as usize] }.active.fetch_sub(1, Relaxed);
        *old = found.place;
    })
}
