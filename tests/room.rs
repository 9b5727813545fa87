//! Waiting until an overloaded service has room: nothing here ticks, so that a lost wake-up hangs.

mod common;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use common::{config, flow};
use vsched::config::{RealServer, Thresholds};
use vsched::{
    Config, Director, Handle, Holder, MAX_CONNECTIONS, OwnedConnection, Refused, Room,
    SchedulerKind, ServerState, ServiceId,
};

/// Counts how often its task was woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

struct Waiting {
    room: Pin<Box<Room>>,
    woken: Arc<Woken>,
}

impl Waiting {
    fn new(handle: &Handle, service: ServiceId) -> Self {
        Waiting { room: Box::pin(handle.room(service)), woken: Arc::default() }
    }

    fn poll(&mut self) -> Poll<Result<(), Refused>> {
        let waker = Waker::from(Arc::clone(&self.woken));
        self.room.as_mut().poll(&mut Context::from_waker(&waker))
    }

    fn woken(&self) -> usize {
        self.woken.0.load(Ordering::SeqCst)
    }
}

fn limited(servers: u16, upper: u32) -> Config {
    let mut config = config(SchedulerKind::Wlc, servers, &[1]);
    for server in &mut config.services[0].servers {
        server.thresholds = Thresholds::new(upper, 0);
    }
    config
}

fn running(config: &Config) -> (Director, Handle, ServiceId) {
    let director = Director::new(config).expect("a valid config");
    let (handle, service) = (director.handle(), director.services()[0].0);
    (director, handle, service)
}

fn fill(handle: &Handle, service: ServiceId) -> Vec<OwnedConnection> {
    let held: Vec<_> = std::iter::from_fn(|| handle.connect(service, &flow(1)).ok()).collect();
    assert_eq!(handle.connect(service, &flow(1)).err(), Some(Refused::AllOverloaded));
    held
}

#[test]
fn it_resolves_at_once_unless_all_are_overloaded() {
    let (director, handle, service) = running(&limited(2, 2));
    assert_eq!(Waiting::new(&handle, service).poll(), Poll::Ready(Ok(())));
    let held = fill(&handle, service);
    assert_eq!(Waiting::new(&handle, service).poll(), Poll::Pending);
    let state = |state| {
        for (server, _) in director.servers(service).expect("it runs") {
            director.set_state(server, Holder::Host, state).expect("it runs");
        }
    };
    state(ServerState::Down);
    assert_eq!(Waiting::new(&handle, service).poll(), Poll::Ready(Err(Refused::AllDown)));
    state(ServerState::Up);
    drop(held);
    let other = Director::new(&limited(1, 1)).expect("a valid config");
    let stranger = other.services()[0].0;
    assert_eq!(
        Waiting::new(&handle, stranger).poll(),
        Poll::Ready(Err(Refused::NoService)),
        "of another director"
    );
    let far = ServiceId::from_raw([u32::MAX, 0]);
    assert_eq!(Waiting::new(&handle, far).poll(), Poll::Ready(Err(Refused::NoService)));
}

#[test]
fn a_close_wakes_in_order_and_one_after_the_other() {
    let (_director, handle, service) = running(&limited(1, 2));
    let mut held = fill(&handle, service);
    let mut tasks: Vec<_> = (0..4).map(|_| Waiting::new(&handle, service)).collect();
    assert!(tasks.iter_mut().all(|task| task.poll() == Poll::Pending));
    let woken = |tasks: &[Waiting]| tasks.iter().map(Waiting::woken).collect::<Vec<_>>();
    // Three quarters of 2 rounded down are 1: the mark goes when fewer than that are left.
    held.clear();
    assert_eq!(woken(&tasks), [1, 0, 0, 0]);
    assert_eq!(tasks[0].poll(), Poll::Ready(Ok(())));
    assert_eq!(woken(&tasks), [1, 1, 0, 0], "it passes the room on");
    // Others have taken it: the second keeps its place.
    let mut held = fill(&handle, service);
    assert_eq!(tasks[1].poll(), Poll::Pending);
    held.clear();
    assert_eq!(woken(&tasks), [1, 2, 0, 0]);
    // A task that is cancelled passes it on as well.
    drop(tasks.remove(1));
    assert_eq!(woken(&tasks), [1, 1, 0]);
    assert_eq!(tasks[1].poll(), Poll::Ready(Ok(())));
    assert_eq!(tasks[2].poll(), Poll::Ready(Ok(())));
}

#[test]
fn whatever_makes_room_wakes() {
    type Change = fn(&Director, &Handle, ServiceId, &mut Vec<OwnedConnection>);
    let changes: [(&str, Change, Result<(), Refused>); 8] = [
        (
            "a close by a worker",
            |director, _, _, held| {
                let worker = director.worker();
                for connection in held.drain(..) {
                    worker.close(connection.into_lease()).expect("an open lease");
                }
            },
            Ok(()),
        ),
        (
            "a close by another thread",
            |_, _, _, held| {
                let held = std::mem::take(held);
                thread::spawn(move || drop(held)).join().expect("no panic");
            },
            Ok(()),
        ),
        (
            "a higher limit",
            |director, _, _, _| {
                director.apply(&limited(1, 9)).expect("a valid config");
            },
            Ok(()),
        ),
        (
            "a new server",
            |director, _, _, _| {
                let mut more = limited(2, 2);
                more.services[0].servers[1].thresholds = Thresholds::default();
                director.apply(&more).expect("a valid config");
            },
            Ok(()),
        ),
        (
            "corrected counts",
            |director, _, service, _| {
                let server = director.servers(service).expect("it runs")[0].0;
                director.set_counts(server, 0, 0).expect("it runs");
            },
            Ok(()),
        ),
        (
            "a service that is deleted",
            |director, _, _, _| {
                director.apply(&Config::new()).expect("a valid config");
            },
            Err(Refused::NoService),
        ),
        (
            "servers that go down",
            |director, _, service, _| {
                let server = director.servers(service).expect("it runs")[0].0;
                director.set_state(server, Holder::Host, ServerState::Down).expect("it runs");
            },
            Err(Refused::AllDown),
        ),
        (
            "a command",
            |director, _, _, _| {
                let rules: vsched::config::rules::Rules =
                    "-a -t 10.1.0.1:1000 -r 10.9.0.77:80 -m".parse().expect("valid rules");
                for command in rules.commands() {
                    director.execute(command).expect("a valid command");
                }
            },
            Ok(()),
        ),
    ];
    for (what, change, result) in changes {
        let (director, handle, service) = running(&limited(1, 2));
        let mut held = fill(&handle, service);
        let mut task = Waiting::new(&handle, service);
        assert_eq!(task.poll(), Poll::Pending, "{what}");
        assert_eq!(task.woken(), 0, "{what}");
        change(&director, &handle, service, &mut held);
        assert_eq!(task.woken(), 1, "{what}");
        assert_eq!(task.poll(), Poll::Ready(result), "{what}");
    }
}

/// A full counter is no threshold, so no close clears a mark; whoever changes the state wakes.
#[test]
fn a_full_counter_is_waited_for() {
    let (director, handle, service) = running(&limited(1, 0));
    let server = director.servers(service).expect("it runs")[0].0;
    director.set_counts(server, MAX_CONNECTIONS, 0).expect("it runs");
    assert_eq!(handle.connect(service, &flow(1)).err(), Some(Refused::AllOverloaded));
    let mut task = Waiting::new(&handle, service);
    assert_eq!(task.poll(), Poll::Pending);
    director.tick(Duration::from_secs(1));
    assert_eq!((task.woken(), task.poll()), (1, Poll::Pending));
    director.set_counts(server, 0, 0).expect("it runs");
    assert_eq!((task.woken(), task.poll()), (2, Poll::Ready(Ok(()))));
}

#[test]
fn services_do_not_wake_each_others_tasks() {
    let mut config = limited(1, 1);
    let mut other = config.services[0].clone();
    other.key = vsched::config::ServiceKey::tcp(common::vip(1));
    other.servers = vec![RealServer::new(common::rip(9)).with_thresholds(1, 0)];
    config.services.push(other);
    let (director, handle, first) = running(&config);
    let second = director.service_by_key(&config.services[1].key).expect("it runs");
    let (held, _other) = (fill(&handle, first), fill(&handle, second));
    let mut tasks = [first, second].map(|service| Waiting::new(&handle, service));
    tasks.iter_mut().for_each(|task| assert_eq!(task.poll(), Poll::Pending));
    drop(held);
    assert_eq!(tasks.each_ref().map(Waiting::woken), [1, 0]);
}

/// A poll by another task's waker replaces the former.
#[test]
fn the_latest_waker_counts() {
    let (_director, handle, service) = running(&limited(1, 1));
    let held = fill(&handle, service);
    let mut room = pin!(handle.room(service));
    let (first, second) = (Arc::new(Woken::default()), Arc::new(Woken::default()));
    for woken in [&first, &second] {
        let waker = Waker::from(Arc::clone(woken));
        assert!(room.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    drop(held);
    assert_eq!([first, second].map(|woken| woken.0.load(Ordering::SeqCst)), [0, 1]);
}

/// A waker that is the last owner of a task drops it, with what the task waits for.
#[test]
fn a_waker_may_end_another_wait() {
    struct Task(#[allow(dead_code, reason = "dropped with the waker")] Mutex<Waiting>);
    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }
    let (_director, handle, service) = running(&limited(1, 1));
    let held = fill(&handle, service);
    let mut room = Box::pin(handle.room(service));
    let mut poll = |waker: Waker| room.as_mut().poll(&mut Context::from_waker(&waker));
    for _ in 0..2 {
        let mut inner = Waiting::new(&handle, service);
        assert_eq!(inner.poll(), Poll::Pending);
        // The second replaces the first, which is thereby dropped.
        assert_eq!(poll(Waker::from(Arc::new(Task(Mutex::new(inner))))), Poll::Pending);
    }
    let last = Arc::new(Woken::default());
    assert_eq!(poll(Waker::from(Arc::clone(&last))), Poll::Pending);
    drop(held);
    assert_eq!(last.0.load(Ordering::SeqCst), 1);
}

#[test]
fn no_task_waits_for_ever() {
    const TASKS: u32 = 200;
    for servers in [1, 3] {
        let (director, handle, service) = running(&limited(servers, 2));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(4)
            .enable_time()
            .build()
            .expect("a runtime");
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| {
                let handle = handle.clone();
                runtime.spawn(async move {
                    for n in 0..20 {
                        // Some give up while they wait.
                        if (task + n) % 7 == 0 {
                            let wait = handle.room(service);
                            let _ = tokio::time::timeout(Duration::from_micros(50), wait).await;
                            continue;
                        }
                        let connection = loop {
                            match handle.connect(service, &flow(task)) {
                                Err(Refused::AllOverloaded) => {
                                    handle.room(service).await.expect("it runs");
                                }
                                result => break result.expect("only overload refuses"),
                            }
                        };
                        tokio::task::yield_now().await;
                        drop(connection);
                    }
                })
            })
            .collect();
        runtime.block_on(async {
            let all = async {
                for task in tasks {
                    task.await.expect("no panic");
                }
            };
            let limit = Duration::from_secs(120);
            tokio::time::timeout(limit, all).await.expect("a task was never woken");
        });
        for (_, server) in director.servers(service).expect("it runs") {
            assert_eq!((server.counts.active, server.counts.inactive), (0, 0));
        }
    }
}
