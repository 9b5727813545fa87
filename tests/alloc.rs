//! The hot path allocates and frees nothing under any scheduler. Counted on a fresh thread, with a
//! worker created on another thread, while a third thread reloads. That of a handle allocates nothing
//! after the thread's first call.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use common::{config, flow};
use vsched::config::{Ejection, Persistence, Sharing};
use vsched::{Activity, Director, Handle, Outcome, OwnedConnection, SchedulerKind, Tried, Worker};

struct Counting;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    CALLS.with(|calls| calls.set(calls.get() + 1));
}

// SAFETY: every call is passed on unchanged to the system allocator; counting touches only a
// constant-initialized thread-local without a destructor.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's duty, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        // SAFETY: the caller's duty, passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const RELOADS: u32 = 10_000;

/// Everything that a data plane does for a connection.
fn hot_path(worker: &Worker, round: u32) {
    let flow = flow(round);
    let service = worker.service_for(&flow).expect("the flow's service");
    let mut tried = Tried::<4>::new();
    if let Ok(pick) = worker.pick_server(service, &flow) {
        tried.try_push(pick.server()).expect("room");
        if let Ok(again) = worker.pick_server_excluding(service, &flow, tried.as_slice()) {
            assert_ne!(again.server(), pick.server());
        }
        // A server may be gone by now, if a reload came in between.
        if let Ok(mut lease) = worker.open(pick.server(), Activity::Active) {
            worker.update(&mut lease, Activity::Inactive).expect("an open lease");
            worker.close(lease).expect("an open lease");
        }
        // Of every outcome, in turn.
        let outcome = Outcome::ALL[round as usize % 3];
        let latency = Some(Duration::from_micros(round.into()));
        if let Ok(lease) = worker.open(pick.server(), Activity::Active) {
            worker.close_with(lease, outcome, latency).expect("an open lease");
        }
        let _ = worker.report(pick.server(), outcome, latency);
    }
    if let Ok(connection) = worker.connect(service, &flow) {
        connection.finish(Outcome::Failed, None).expect("an open connection");
    }
    if let Ok(mut connection) = worker.connect(service, &flow) {
        connection.established();
        connection.closing();
    }
}

#[test]
fn no_allocation_and_no_free_on_the_hot_path_during_reloads() {
    let all = SchedulerKind::ALL.iter().map(|kind| (*kind, None));
    let persistent = (SchedulerKind::Wlc, Some(Persistence::default()));
    for (scheduler, persistence) in all.chain([persistent]) {
        let mut configs =
            [config(scheduler, 5, &[3, 1, 0, 2, 1]), config(scheduler, 7, &[1, 1, 4, 2, 0, 1, 1])];
        configs.iter_mut().for_each(|config| config.services[0].persistence = persistence);
        // Half of the versions eject servers, and have a backup.
        let ejection = Ejection::default().with_failures(1).with_max_share(60);
        configs[1].services[0].ejection = Some(ejection);
        configs[1].services[0].servers[0].priority = 1;
        let director = Director::new(&configs[0]).expect("a valid config");
        let worker = director.worker();
        let (done, rounds) = (AtomicBool::new(false), AtomicU32::new(0));
        let calls = thread::scope(|scope| {
            let hot = scope.spawn(|| {
                let worker = worker;
                let before = CALLS.with(Cell::get);
                while !done.load(Ordering::SeqCst) {
                    hot_path(&worker, rounds.fetch_add(1, Ordering::SeqCst));
                }
                let calls = CALLS.with(Cell::get) - before;
                drop(worker);
                calls
            });
            while rounds.load(Ordering::SeqCst) == 0 {
                thread::yield_now();
            }
            for reload in 1..=RELOADS {
                let applied =
                    director.apply(&configs[reload as usize % 2]).expect("a valid config");
                assert!(!applied.is_empty());
            }
            done.store(true, Ordering::SeqCst);
            hot.join().expect("the hot thread")
        });
        let rounds = rounds.into_inner();
        assert!(rounds > 100, "{}: only {rounds} rounds beside the reloads", scheduler.name());
        assert_eq!(calls, 0, "{}: allocator calls in {rounds} rounds", scheduler.name());
    }
}

/// The same through a handle. Connections move to another thread in between.
fn through_handle(handle: &Handle, round: u32, elsewhere: &mut Vec<OwnedConnection>) {
    let flow = flow(round);
    let service = handle.service_for(&flow).expect("the flow's service");
    if let Ok(pick) = handle.pick_server(service, &flow) {
        let _ = handle.pick_server_excluding(service, &flow, &[pick.server()]);
        if let Ok(mut lease) = handle.open_pick(&pick, Activity::Active) {
            handle.update(&mut lease, Activity::Inactive).expect("an open lease");
            let mut connection = handle.adopt(pick, lease);
            connection.set_outcome(Outcome::Failed, None);
        }
        let _ = handle.report(pick.server(), Outcome::Done, Some(Duration::from_micros(7)));
    }
    if let Ok(mut connection) = handle.connect(service, &flow) {
        connection.established();
        connection.closing();
        connection.finish(Outcome::Done, None).expect("an open connection");
    }
    if elsewhere.len() < elsewhere.capacity() {
        elsewhere.extend(handle.connect(service, &flow));
    }
}

#[test]
fn no_allocation_through_a_handle_after_a_threads_first_call() {
    for scheduler in SchedulerKind::ALL {
        for sharing in [Sharing::Exact, Sharing::PerWorker, Sharing::Chunks(4)] {
            let in_turn = matches!(scheduler, SchedulerKind::Rr | SchedulerKind::Wrr);
            if matches!(sharing, Sharing::Chunks(_)) && !in_turn {
                continue;
            }
            let mut configs = [
                config(*scheduler, 5, &[3, 1, 0, 2, 1]),
                config(*scheduler, 7, &[1, 1, 4, 2, 0, 1, 1]),
            ];
            configs.iter_mut().for_each(|config| config.services[0].sharing = sharing);
            let director = Director::new(&configs[0]).expect("a valid config");
            let handle = director.handle();
            let (done, rounds) = (AtomicBool::new(false), AtomicU32::new(0));
            let count = |elsewhere: &mut Vec<OwnedConnection>| {
                let handle = handle.clone();
                through_handle(&handle, 0, elsewhere);
                let before = CALLS.with(Cell::get);
                while !done.load(Ordering::SeqCst) {
                    let round = rounds.fetch_add(1, Ordering::SeqCst);
                    through_handle(&handle, round, elsewhere);
                }
                CALLS.with(Cell::get) - before
            };
            let calls = thread::scope(|scope| {
                let hot = scope.spawn(|| {
                    let mut elsewhere = Vec::with_capacity(100);
                    let calls = count(&mut elsewhere);
                    // The main thread closes them: then it has a worker as well.
                    (calls, elsewhere)
                });
                while rounds.load(Ordering::SeqCst) == 0 {
                    thread::yield_now();
                }
                for reload in 1..=RELOADS / 10 {
                    director.apply(&configs[reload as usize % 2]).expect("a valid config");
                }
                done.store(true, Ordering::SeqCst);
                let (calls, mut elsewhere) = hot.join().expect("the hot thread");
                // The first closes here make this thread's worker.
                drop(elsewhere.pop());
                let before = CALLS.with(Cell::get);
                let room = elsewhere.drain(..).map(drop).count();
                assert!(room > 0, "{} {sharing:?}", scheduler.name());
                calls + CALLS.with(Cell::get) - before
            });
            assert_eq!(calls, 0, "{} {sharing:?}", scheduler.name());
        }
    }
}

#[test]
fn the_counter_counts() {
    let before = CALLS.with(Cell::get);
    drop(std::hint::black_box(Box::new(1)));
    assert_eq!(CALLS.with(Cell::get) - before, 2);
}
