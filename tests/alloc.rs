//! The hot path allocates and frees nothing under any scheduler. Counted on a fresh thread, with a
//! worker created on another thread, while a third thread reloads.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use common::{config, flow};
use vsched::config::{Ejection, Persistence};
use vsched::{Activity, Director, Outcome, SchedulerKind, Tried, Worker};

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
    if let Some(pick) = worker.pick_server(service, &flow) {
        tried.try_push(pick.server()).expect("room");
        if let Some(again) = worker.pick_server_excluding(service, &flow, tried.as_slice()) {
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
    if let Some(connection) = worker.connect(service, &flow) {
        connection.finish(Outcome::Failed, None).expect("an open connection");
    }
    if let Some(mut connection) = worker.connect(service, &flow) {
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

#[test]
fn the_counter_counts() {
    let before = CALLS.with(Cell::get);
    drop(std::hint::black_box(Box::new(1)));
    assert_eq!(CALLS.with(Cell::get) - before, 2);
}
