//! Handles: as workers decide, from any thread and any task, with connections that any thread closes.

mod common;

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use common::{config, flow};
use vsched::config::{Sharing, Thresholds};
use vsched::{
    Activity, Config, Director, Handle, Outcome, OwnedConnection, Refused, SchedulerKind, ServerId,
    ServiceId,
};

const SERVERS: u16 = 4;

fn with_sharing(kind: SchedulerKind, sharing: Sharing) -> Config {
    let mut config = config(kind, SERVERS, &[3, 1, 2, 1]);
    config.services[0].sharing = sharing;
    config
}

fn running(config: &Config) -> (Director, Handle, ServiceId) {
    let director = Director::new(config).expect("a valid config");
    let (handle, service) = (director.handle(), director.services()[0].0);
    (director, handle, service)
}

fn connections(director: &Director, service: ServiceId) -> u32 {
    let servers = director.servers(service).expect("it runs");
    servers.iter().map(|(_, server)| server.counts.active + server.counts.inactive).sum()
}

#[test]
fn handles_and_connections_go_anywhere() {
    fn anywhere<T: Send + Sync + 'static>() {}
    fn cheap<T: Clone>() {}
    anywhere::<Handle>();
    anywhere::<OwnedConnection>();
    cheap::<Handle>();
}

#[test]
fn a_handle_decides_as_a_worker() {
    for kind in SchedulerKind::ALL {
        for sharing in [Sharing::Exact, Sharing::PerWorker] {
            let config = with_sharing(*kind, sharing);
            let (director, handle, service) = running(&config);
            let twin = Director::new(&config).expect("a valid config");
            let (worker, same) = (twin.worker(), twin.services()[0].0);
            let (mut open, mut held) = (Vec::new(), Vec::new());
            for n in 0..60 {
                let what = format!("{} {sharing:?} {n}", kind.name());
                let flow = flow(n);
                assert_eq!(handle.service_for(&flow), Some(service), "{what}");
                let ours = handle.pick_server(service, &flow);
                let theirs = worker.pick_server(same, &flow);
                let address = |pick: vsched::Pick| pick.address();
                assert_eq!(ours.map(address), theirs.map(address), "{what}");
                let tried = ours.map(|pick| pick.server()).ok();
                let known = theirs.map(|pick| pick.server()).ok();
                let ours = handle.connect_excluding(service, &flow, tried.as_slice());
                let theirs = worker.connect_excluding(same, &flow, known.as_slice());
                let why = (ours.as_ref().err().copied(), theirs.as_ref().err().copied());
                assert_eq!(why.0, why.1, "{what}");
                if let (Ok(mut ours), Ok(mut theirs)) = (ours, theirs) {
                    assert_eq!(ours.address(), theirs.address(), "{what}");
                    assert_eq!(ours.forwarding(), theirs.forwarding(), "{what}");
                    if n % 3 == 0 {
                        ours.closing();
                        theirs.closing();
                    }
                    open.push(ours);
                    held.push(theirs);
                }
                if n % 4 == 0 && !open.is_empty() {
                    drop((open.remove(0), held.remove(0)));
                }
            }
            let counts = |director: &Director, service| {
                let servers = director.servers(service).expect("it runs");
                servers.into_iter().map(|(_, it)| (it.counts, it.statistics)).collect::<Vec<_>>()
            };
            assert_eq!(counts(&director, service), counts(&twin, same), "{}", kind.name());
            drop(open);
            assert_eq!(connections(&director, service), 0);
        }
    }
}

#[test]
fn all_handles_of_a_director_share_one_worker_per_thread() {
    let config = with_sharing(SchedulerKind::Rr, Sharing::PerWorker);
    let (director, handle, service) = running(&config);
    let pick =
        |handle: &Handle| handle.pick_server(service, &flow(0)).expect("one is up").address();
    let cycle: Vec<_> = (0..SERVERS).map(|_| pick(&handle)).collect();
    let other = director.handle();
    assert_eq!([pick(&other), pick(&handle), pick(&other.clone())], cycle[..3]);
    // After the last handle has gone the next one begins anew.
    drop((handle, other));
    assert_eq!(pick(&director.handle()), cycle[0]);
}

#[test]
fn leases_and_parts_move_between_handle_and_worker() {
    let (director, handle, service) = running(&with_sharing(SchedulerKind::Wlc, Sharing::Exact));
    let worker = director.worker();
    let connection = handle.connect(service, &flow(1)).expect("one is up");
    let (pick, lease) = connection.into_parts();
    assert_eq!(connections(&director, service), 1);
    worker.close(lease).expect("an open lease");
    let mut lease = handle.open_pick(&pick, Activity::Inactive).expect("it runs");
    handle.update(&mut lease, Activity::Active).expect("an open lease");
    let mut adopted = handle.adopt(pick, lease);
    assert_eq!(adopted.server(), pick.server());
    adopted.closing();
    assert_eq!(director.counts(pick.server()).expect("it runs").inactive, 1);
    adopted.finish(Outcome::Done, Some(Duration::from_millis(3))).expect("it was open");
    let lease = handle.open(pick.server(), Activity::Active).expect("it runs");
    handle.close_with(lease, Outcome::Failed, None).expect("an open lease");
    let lease = worker.open(pick.server(), Activity::Active).expect("it runs");
    handle.close(lease).expect("an open lease");
    handle.report(pick.server(), Outcome::Failed, None).expect("it runs");
    assert_eq!(connections(&director, service), 0);
    let health = director.health(pick.server()).expect("it runs");
    assert_eq!((health.done, health.failed), (1, 2));
}

#[test]
fn a_drop_reports_what_was_set_last() {
    let (director, handle, service) = running(&with_sharing(SchedulerKind::Rr, Sharing::Exact));
    let connect = || handle.connect(service, &flow(1)).expect("one is up");
    let health = |server: ServerId| {
        let health = director.health(server).expect("it runs");
        [health.done, health.failed, health.abandoned]
    };
    let silent = connect();
    let server = silent.server();
    drop(silent);
    assert_eq!(health(server), [0, 0, 0]);
    for (outcome, counted) in Outcome::ALL.iter().copied().zip([[1, 0, 0], [0, 1, 0], [0, 0, 1]]) {
        let mut connection = connect();
        let server = connection.server();
        let before = health(server);
        connection.set_outcome(Outcome::Abandoned, None);
        connection.set_outcome(outcome, Some(Duration::from_millis(1)));
        drop(connection);
        let after = health(server);
        assert_eq!([0, 1, 2].map(|it| after[it] - before[it]), counted);
    }
}

/// A thread that has ended protects no old table, and does not count as a worker any more.
#[test]
fn a_thread_that_has_ended_leaves_nothing_behind() {
    let config = with_sharing(SchedulerKind::Wlc, Sharing::PerWorker);
    let (director, handle, service) = running(&config);
    for round in 0..3 {
        for _ in 0..8 {
            let handle = handle.clone();
            let used = thread::spawn(move || drop(handle.connect(service, &flow(1))));
            used.join().expect("no panic");
        }
        // Their connections stay in the statistics.
        let statistics = director.observe().services[0].statistics;
        assert_eq!(statistics.connections, (round + 1) * 8);
        let mut fewer = config.clone();
        fewer.services[0].servers.truncate(2);
        director.apply(&fewer).expect("a valid config");
        director.tick(Duration::from_secs(2 * round + 1));
        assert_eq!(director.removed_servers(), 0, "a table of theirs is still protected");
        director.apply(&config).expect("a valid config");
        director.tick(Duration::from_secs(2 * round + 2));
    }
}

thread_local! {
    static HELD: RefCell<Vec<OwnedConnection>> = const { RefCell::new(Vec::new()) };
}

/// Destructors of a thread run in no certain order: some after the thread's worker has gone.
#[test]
fn a_thread_may_close_while_it_ends() {
    let (director, handle, service) = running(&with_sharing(SchedulerKind::Lc, Sharing::PerWorker));
    for first in [false, true] {
        let handle = handle.clone();
        let run = move || {
            if first {
                HELD.with(|held| held.borrow_mut().clear());
            }
            let connect = || handle.connect(service, &flow(1)).expect("one is up");
            let open: Vec<_> = (0..5).map(|_| connect()).collect();
            HELD.with(|held| held.borrow_mut().extend(open));
        };
        thread::spawn(run).join().expect("no panic");
        assert_eq!(connections(&director, service), 0, "{first}");
    }
}

#[test]
fn everything_works_after_the_director_has_gone() {
    let (director, handle, service) = running(&with_sharing(SchedulerKind::Rr, Sharing::Exact));
    drop(director);
    let held: Vec<_> =
        (0..8).map(|n| handle.connect(service, &flow(n)).expect("one is up")).collect();
    let again = handle.director().clone();
    assert_eq!(connections(&again, service), 8);
    // Handles and directors first, then the connections, on another thread.
    drop((again, handle));
    thread::spawn(move || drop(held)).join().expect("no panic");
}

/// Runs on a runtime of several threads; the machine may have fewer processors.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_time()
        .build()
        .expect("a runtime")
}

fn limited(upper: u32) -> Config {
    let mut config = with_sharing(SchedulerKind::Wlc, Sharing::Exact);
    for server in &mut config.services[0].servers {
        server.thresholds = Thresholds::new(upper, 0);
    }
    config
}

#[test]
fn tasks_that_move_at_every_await_keep_limits_and_counts() {
    const TASKS: u32 = 64;
    const CONNECTS: u32 = 100;
    let (director, handle, service) = running(&limited(3));
    let (refused, moved) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let runtime = runtime();
    let most = usize::from(SERVERS) * 3;
    let open = Arc::new(AtomicUsize::new(0));
    let mut rounds = 0;
    // A busy machine may run all tasks of a round on one thread.
    while rounds == 0 || rounds < 1_000 && moved.load(Ordering::SeqCst) == 0 {
        rounds += 1;
        let client = |task: u32| {
            let (handle, refused, moved) =
                (handle.clone(), Arc::clone(&refused), Arc::clone(&moved));
            let open = Arc::clone(&open);
            async move {
                for n in 0..CONNECTS {
                    let mut connection = match handle.connect(service, &flow(task * CONNECTS + n)) {
                        Ok(connection) => connection,
                        Err(why) => {
                            assert_eq!(why, Refused::AllOverloaded);
                            refused.fetch_add(1, Ordering::SeqCst);
                            tokio::task::yield_now().await;
                            continue;
                        }
                    };
                    assert!(open.fetch_add(1, Ordering::SeqCst) < most, "above the limits");
                    let thread = thread::current().id();
                    tokio::task::yield_now().await;
                    connection.closing();
                    tokio::task::yield_now().await;
                    let elsewhere = thread::current().id() != thread;
                    moved.fetch_add(usize::from(elsewhere), Ordering::SeqCst);
                    open.fetch_sub(1, Ordering::SeqCst);
                    drop(connection);
                }
            }
        };
        runtime.block_on(async {
            let tasks: Vec<_> = (0..TASKS).map(|task| tokio::spawn(client(task))).collect();
            for task in tasks {
                task.await.expect("no panic");
            }
        });
    }
    assert!(moved.load(Ordering::SeqCst) > 0, "no task moved in {rounds} rounds");
    assert!(refused.load(Ordering::SeqCst) > 0);
    assert_eq!(connections(&director, service), 0);
    let statistics = director.observe().services[0].statistics;
    let refused = refused.load(Ordering::SeqCst) as u64;
    assert_eq!(statistics.refused, refused);
    let connects = u64::from(rounds * TASKS * CONNECTS);
    assert_eq!(statistics.connections, connects - refused);
}

#[test]
fn cancelled_tasks_and_dropped_runtimes_leave_nothing_open() {
    let (director, handle, service) = running(&with_sharing(SchedulerKind::Lc, Sharing::PerWorker));
    for cancel in [true, false] {
        let runtime = runtime();
        let begun = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..50)
            .map(|n| {
                let (handle, begun) = (handle.clone(), Arc::clone(&begun));
                runtime.spawn(async move {
                    let mut connection = handle.connect(service, &flow(n)).expect("one is up");
                    connection.set_outcome(Outcome::Abandoned, None);
                    begun.fetch_add(1, Ordering::SeqCst);
                    std::future::pending::<()>().await;
                })
            })
            .collect();
        while begun.load(Ordering::SeqCst) < 50 {
            thread::yield_now();
        }
        assert_eq!(connections(&director, service), 50);
        if cancel {
            tasks.iter().for_each(|task| task.abort());
            runtime.block_on(async {
                for task in tasks {
                    assert!(task.await.expect_err("it never ends").is_cancelled());
                }
            });
            assert_eq!(connections(&director, service), 0);
        }
        drop(runtime);
        assert_eq!(connections(&director, service), 0);
    }
    let servers = director.servers(service).expect("it runs");
    let abandoned: u64 = servers.iter().map(|(_, server)| server.health.abandoned).sum();
    assert_eq!(abandoned, 100);
}

#[test]
fn reloads_beside_tasks_lose_no_count() {
    let all = with_sharing(SchedulerKind::Wlc, Sharing::Exact);
    let mut few = all.clone();
    few.services[0].servers.truncate(2);
    let (director, handle, service) = running(&all);
    let runtime = runtime();
    let tasks: Vec<_> = (0..16)
        .map(|task| {
            let handle = handle.clone();
            runtime.spawn(async move {
                for n in 0..400 {
                    let connection = handle.connect(service, &flow(task * 400 + n));
                    tokio::task::yield_now().await;
                    drop(connection.expect("one is up"));
                }
            })
        })
        .collect();
    let mut reloads = 0;
    while !tasks.iter().all(|task| task.is_finished()) {
        let next = if reloads % 2 == 0 { &few } else { &all };
        director.apply(next).expect("a valid config");
        reloads += 1;
    }
    runtime.block_on(async {
        for task in tasks {
            task.await.expect("no panic");
        }
    });
    drop(runtime);
    director.apply(&all).expect("a valid config");
    director.tick(Duration::from_secs(1));
    assert_eq!(connections(&director, service), 0);
    assert_eq!(director.removed_servers(), 0);
}
