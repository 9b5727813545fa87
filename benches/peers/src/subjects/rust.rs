//! vsched as called from Rust.

use std::hint::black_box;
use std::sync::Arc;

use vsched::{Activity, Director, Flow, Lease, OwnedConnection, Pick, Refused, ServiceId, Worker};

use crate::case::{Run, in_turn, repeat};
use crate::subjects::random::Random;

fn parts(director: &Director, flows: &[Flow]) -> (Worker, ServiceId) {
    let service = director.service_for(&flows[0]).expect("the flows' service");
    (director.worker(), service)
}

/// Runs `pick` with one flow after the other. A single flow is passed directly, because iterating
/// would cost as much as half a pick.
fn each(flows: Arc<[Flow]>, mut pick: impl FnMut(&Flow) + Send + 'static) -> Run {
    if let [flow] = *flows {
        return repeat(move || pick(black_box(&flow)));
    }
    in_turn(flows, pick)
}

/// The harness's own cost: the loop of `pick` around a call that does nothing.
pub fn empty_loop(flows: Arc<[Flow]>) -> Run {
    let nothing: fn(ServiceId, &Flow) -> Result<Pick, Refused> = |_, _| Err(Refused::NoServer);
    let (nothing, service) = (black_box(nothing), ServiceId::from_raw([0, 0]));
    each(flows, move |flow| {
        black_box(&nothing(service, flow));
    })
}

pub fn pick(director: &Director, flows: Arc<[Flow]>) -> Run {
    let (worker, service) = parts(director, &flows);
    each(
        flows,
        // Inlined into the loop: a call would add to the harness's cost.
        #[inline(always)]
        move |flow| {
            // Read in place, for the same reason.
            black_box(&worker.pick_server(service, flow));
        },
    )
}

/// Connections distributed roughly by weight, with some on each server.
fn hold(director: &Director, worker: &Worker, service: ServiceId) -> Vec<Lease> {
    let mut held = Vec::new();
    for (server, observed) in director.servers(service).expect("it runs") {
        for _ in 0..2 + observed.server.weight / 16 {
            held.push(worker.open(server, Activity::Active).expect("it runs"));
        }
    }
    held
}

/// Opens a connection on the server of a random one, and closes that one.
pub fn open_close(director: &Director, flows: Arc<[Flow]>) -> Run {
    let (worker, service) = parts(director, &flows);
    let mut held = hold(director, &worker, service);
    let mut random = Random::new(7);
    repeat(move || {
        let at = random.below(held.len());
        let old = &mut held[at];
        let new = worker.open(old.server(), Activity::Active).expect("it runs");
        worker.close_in_place(old).expect("an open lease");
        *old = new;
    })
}

/// A whole connection: picks, opens, and closes a random older one, whose lease is in the cache as it
/// would be in a host that ends a connection. One loop per thread.
pub fn connect_close(director: &Director, flows: Arc<[Flow]>, threads: usize) -> Vec<Run> {
    let (worker, service) = parts(director, &flows);
    let mut held = hold(director, &worker, service);
    let share = held.len() / threads;
    let run = |thread: usize| {
        let (worker, service) = parts(director, &flows);
        let flow = flows[0];
        let mut held = held.split_off(held.len() - share);
        let mut random = Random::new(7 + thread as u64);
        repeat(move || {
            let old = random.one_of(&mut held);
            let new = worker.connect(service, black_box(&flow)).expect("available");
            worker.close_in_place(old).expect("an open lease");
            *old = new.into_lease();
        })
    };
    let runs = (0..threads).map(run).collect();
    // What does not divide: no connection of a worker that has gone stays.
    for lease in held {
        worker.close(lease).expect("an open lease");
    }
    runs
}

/// A connection from or to one remembered address after the other. Each closes at once: if older ones did,
/// connections would gather where the addresses are, and lblc would move addresses instead of finding
/// them. One loop per thread, which begin at different addresses.
pub fn remembered(director: &Director, flows: Vec<Flow>, threads: usize) -> Vec<Run> {
    let (worker, service) = parts(director, &flows);
    // Some connections on each server, which stay: lblc looks at how busy a remembered server is.
    let _stay = hold(director, &worker, service);
    for flow in &flows {
        let lease = worker.connect(service, flow).expect("available").into_lease();
        worker.close(lease).expect("an open lease");
    }
    let flows: Arc<[Flow]> = flows.into();
    let run = |thread: usize| {
        let (worker, service) = parts(director, &flows);
        let flows = Arc::clone(&flows);
        let mut at = thread * flows.len() / threads;
        repeat(move || {
            let connection = worker.connect(service, black_box(&flows[at])).expect("available");
            drop(black_box(connection));
            at = if at + 1 == flows.len() { 0 } else { at + 1 };
        })
    };
    (0..threads).map(run).collect()
}

/// The harness's own cost around a connection: the loop of `connect_close` without the calls.
pub fn connections_loop(n: usize) -> Run {
    let mut held: Vec<Lease> = (0..n).map(|_| Lease::default()).collect();
    let mut random = Random::new(7);
    repeat(move || {
        let old = random.one_of(&mut held);
        *old = black_box(Lease::default());
    })
}

/// The same through a handle, as an async task does it: each connection closes by its drop.
pub fn handle_connect_close(director: &Director, flows: Arc<[Flow]>, threads: usize) -> Vec<Run> {
    let (worker, service) = parts(director, &flows);
    let held = hold(director, &worker, service);
    let handle = director.handle();
    let pick = |lease: Lease| {
        let pick = worker.pick_server(service, &flows[0]).expect("available");
        handle.adopt(pick, lease)
    };
    let mut held: Vec<OwnedConnection> = held.into_iter().map(pick).collect();
    let share = held.len() / threads;
    let run = |thread: usize| {
        let (handle, flow) = (handle.clone(), flows[0]);
        let mut held = held.split_off(held.len() - share);
        let mut random = Random::new(7 + thread as u64);
        repeat(move || {
            let old = random.one_of(&mut held);
            *old = handle.connect(service, black_box(&flow)).expect("available");
        })
    };
    (0..threads).map(run).collect()
}
