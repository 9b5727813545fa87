//! Phases: directors and workers that start at the same time do not walk in step.

mod common;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use common::{config, flow, rip, server};
use vsched::config::{Command, Sharing, Ties, VirtualService};
use vsched::{Config, Director, SchedulerKind, Worker};

/// What has a rotation that all workers share, or each worker has of its own.
const ROTATIONS: [SchedulerKind; 6] = [
    SchedulerKind::Rr,
    SchedulerKind::Wrr,
    SchedulerKind::Lc,
    SchedulerKind::Wlc,
    SchedulerKind::Sed,
    SchedulerKind::Nq,
];
const RANDOM: [SchedulerKind; 2] = [SchedulerKind::Twos, SchedulerKind::P2c];

/// Scanned, and with an index.
const SIZES: [u16; 2] = [8, 40];

/// Those that have a choice rotate.
fn ties(kind: SchedulerKind) -> Ties {
    let has_ties = ["lc", "wlc", "sed", "nq"].contains(&kind.name());
    if has_ties { Ties::Rotate } else { Ties::Kernel }
}

fn rotating(kind: SchedulerKind, count: u16, sharing: Sharing) -> Config {
    let mut config = config(kind, count, &[1]);
    config.services[0].ties = ties(kind);
    config.services[0].sharing = sharing;
    config
}

/// As eight processes do that start with the same config, each with a director and a worker.
struct Processes(Vec<(Director, Worker)>);

impl Processes {
    fn sharing_exactly(config: &Config) -> Self {
        Processes((0..8).map(|phase| process(config, phase)).collect())
    }

    fn per_worker(config: &Config) -> Self {
        let process = |phase| {
            let director = Director::new(config).expect("valid");
            let worker = director.worker_with(phase);
            (director, worker)
        };
        Processes((0..8).map(process).collect())
    }

    fn picks(&self) -> Vec<SocketAddr> {
        self.0.iter().map(|(_, worker)| pick(worker)).collect()
    }

    /// Each of the eight picks another server.
    fn assert_apart(&self, what: &str) {
        let picks = self.picks();
        assert_eq!(picks.iter().collect::<BTreeSet<_>>().len(), 8, "{what}: {picks:?}");
    }

    fn each(&self, act: impl Fn(&Director)) {
        self.0.iter().for_each(|(director, _)| act(director));
    }

    /// A server is added, one is edited, and the scheduler is changed and changed back.
    fn assert_apart_through_changes(&self, mut config: Config, what: &str) {
        let service = &config.services[0];
        let (key, kind, count) = (service.key, service.scheduler, service.servers.len() as u16);
        config.services[0].servers.push(server(count + 1, 1));
        self.each(|director| drop(director.apply(&config).expect("valid")));
        self.assert_apart(&format!("{what}, after a reload"));
        let same = Command::EditServer { service: key, server: server(2, 1) };
        self.each(|director| drop(director.execute(&same).expect("it runs")));
        self.assert_apart(&format!("{what}, after an edit"));
        for scheduler in [Some(SchedulerKind::Fo), kind] {
            let service = &mut config.services[0];
            (service.scheduler, service.ties) = (scheduler, scheduler.map_or(Ties::Kernel, ties));
            self.each(|director| drop(director.apply(&config).expect("valid")));
        }
        self.assert_apart(&format!("{what}, bound again"));
    }
}

fn process(config: &Config, phase: u32) -> (Director, Worker) {
    let director = Director::new(config).expect("valid");
    director.set_phase(phase);
    let worker = director.worker();
    (director, worker)
}

fn pick(worker: &Worker) -> SocketAddr {
    let service = worker.service_for(&flow(1)).expect("the flow's service");
    worker.pick_server(service, &flow(1)).expect("one is available").address()
}

fn picks(worker: &Worker, count: usize) -> Vec<SocketAddr> {
    (0..count).map(|_| pick(worker)).collect()
}

#[test]
fn directors_start_apart_and_stay_apart() {
    for kind in ROTATIONS {
        for count in SIZES {
            let what = format!("{kind:?}, {count} servers");
            let config = rotating(kind, count, Sharing::Exact);
            let processes = Processes::sharing_exactly(&config);
            (0..20).for_each(|turn| processes.assert_apart(&format!("{what}, pick {turn}")));
            processes.assert_apart_through_changes(config, &what);
        }
    }
}

#[test]
fn services_that_come_later_start_apart() {
    for kind in ROTATIONS {
        for count in SIZES {
            let config = rotating(kind, count, Sharing::Exact);
            let processes = Processes::sharing_exactly(&Config::default());
            processes.each(|director| drop(director.apply(&config).expect("valid")));
            processes.assert_apart(&format!("{kind:?}, {count} servers"));
            processes.each(|director| drop(director.apply(&Config::default()).expect("valid")));
            // As an administrator adds them.
            let VirtualService { key: service, .. } = config.services[0];
            processes.each(|director| {
                let settings = config.services[0].settings();
                director.execute(&Command::AddService(settings)).expect("it is new");
                for server in config.services[0].servers.clone() {
                    director.execute(&Command::AddServer { service, server }).expect("it is new");
                }
            });
            processes.assert_apart(&format!("{kind:?}, {count} servers, one by one"));
        }
    }
}

#[test]
fn workers_of_other_directors_start_apart() {
    for kind in ROTATIONS {
        for count in SIZES {
            let what = format!("{kind:?}, {count} servers");
            let config = rotating(kind, count, Sharing::PerWorker);
            let processes = Processes::per_worker(&config);
            (0..20).for_each(|_| processes.assert_apart(&what));
            processes.assert_apart_through_changes(config, &what);
        }
    }
}

/// A worker's phase is the director's plus its number.
#[test]
fn phases_of_directors_and_numbers_of_workers_add_up() {
    for kind in ROTATIONS {
        let config = rotating(kind, 16, Sharing::PerWorker);
        // Four processes of four workers each.
        let mut firsts = BTreeSet::new();
        for process in 0..4 {
            let director = Director::new(&config).expect("valid");
            director.set_phase(4 * process);
            let workers: Vec<Worker> = (0..4).map(|_| director.worker()).collect();
            firsts.extend(workers.iter().map(pick));
        }
        assert_eq!(firsts.len(), 16, "{kind:?}");
    }
}

/// All that differs is where a walk starts: eight phases of a cycle of eight turns are at eight turns.
#[test]
fn weights_keep_their_shares_over_the_phases() {
    let config = config(SchedulerKind::Wrr, 4, &[4, 2, 1, 1]);
    let mut picks = Processes::sharing_exactly(&config).picks();
    picks.sort_unstable();
    assert_eq!(picks, [1, 1, 1, 1, 2, 2, 3, 4].map(rip));
    // A cycle that is too long to be precomputed: the phases start on other levels.
    let weights = [1_000_003, 500_001, 250_007, 125_003];
    let config = common::config(SchedulerKind::Wrr, 4, &weights);
    let processes = Processes::sharing_exactly(&config);
    let sequences: BTreeSet<Vec<SocketAddr>> =
        processes.0.iter().map(|(_, worker)| picks_of(worker)).collect();
    assert!(sequences.len() >= 4, "{sequences:?}");
}

fn picks_of(worker: &Worker) -> Vec<SocketAddr> {
    picks(worker, 64)
}

#[test]
fn other_phases_draw_other_random_numbers() {
    for kind in RANDOM {
        for sharing in [Sharing::Exact, Sharing::PerWorker] {
            let mut config = config(kind, 8, &[1]);
            config.services[0].sharing = sharing;
            let processes = match sharing {
                Sharing::Exact => Processes::sharing_exactly(&config),
                _ => Processes::per_worker(&config),
            };
            let sequences: Vec<_> =
                processes.0.iter().map(|(_, worker)| picks_of(worker)).collect();
            let different: BTreeSet<_> = sequences.iter().collect();
            assert_eq!(different.len(), 8, "{kind:?}, {sharing:?}");
            let alone = Director::new(&config).expect("valid");
            assert_eq!(picks_of(&alone.worker()), sequences[0], "{kind:?}, {sharing:?}");
        }
    }
    // Services that come later draw them too.
    let config = config(SchedulerKind::P2c, 8, &[1]);
    let later = [0, 1].map(|phase| {
        let (director, worker) = process(&Config::default(), phase);
        director.apply(&config).expect("valid");
        picks_of(&worker)
    });
    assert_ne!(later[0], later[1]);
}

/// Phase 0 is where a kernel starts, also as a phase that is set.
#[test]
fn phase_0_is_the_kernels() {
    for kind in ROTATIONS {
        let config = config(kind, 8, &[1, 2, 3]);
        let plain = Director::new(&config).expect("valid");
        let (_, worker) = process(&config, 0);
        assert_eq!(picks_of(&plain.worker()), picks_of(&worker), "{kind:?}");
        let mut own = config.clone();
        own.services[0].sharing = Sharing::PerWorker;
        let own = Director::new(&own).expect("valid");
        assert_eq!(picks_of(&plain.worker()).len(), picks_of(&own.worker_with(0)).len());
    }
}

/// In a service that all workers share exactly there is one rotation, whoever picks.
#[test]
fn a_workers_phase_does_not_move_a_shared_rotation() {
    for kind in ROTATIONS {
        let config = rotating(kind, 8, Sharing::Exact);
        let director = Director::new(&config).expect("valid");
        let workers = [director.worker_with(3), director.worker_with(5)];
        let picked: Vec<_> = (0..8).map(|turn| pick(&workers[turn % 2])).collect();
        assert_eq!(picked, [8, 7, 6, 5, 4, 3, 2, 1].map(rip), "{kind:?}");
    }
}

/// Among equals a single worker without turns picks as a kernel, whatever its phase.
#[test]
fn a_single_worker_without_turns_is_a_kernel() {
    for kind in &ROTATIONS[2..] {
        for count in SIZES {
            let mut config = rotating(*kind, count, Sharing::PerWorker);
            config.services[0].ties = Ties::Kernel;
            let director = Director::new(&config).expect("valid");
            let worker = director.worker_with(5);
            assert_eq!(picks(&worker, 3), [count; 3].map(rip), "{kind:?}");
            // In the place of one that had another phase.
            drop(worker);
            let workers = [director.worker_with(1), director.worker_with(2)];
            assert_ne!(pick(&workers[0]), pick(&workers[1]), "{kind:?}");
        }
    }
}

/// Setting the phase starts the rotations that run again.
#[test]
fn a_phase_that_is_set_later_starts_again() {
    for kind in ROTATIONS {
        let (director, worker) = process(&rotating(kind, 8, Sharing::Exact), 3);
        let first = picks(&worker, 3);
        director.set_phase(3);
        assert_eq!(picks(&worker, 3), first, "{kind:?}");
        director.set_phase(0);
        assert_eq!(picks(&worker, 3), [8, 7, 6].map(rip), "{kind:?}");
    }
}

/// While workers pick, the phase changes: no pick fails, and the rotation is whole afterwards.
#[test]
fn the_phase_changes_under_picks() {
    for kind in ROTATIONS {
        let (director, worker) = process(&rotating(kind, 8, Sharing::Exact), 0);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                let worker = director.worker();
                scope.spawn(move || (0..20_000).for_each(|_| _ = pick(&worker)));
            }
            (0..2_000).for_each(|phase| director.set_phase(phase));
        });
        let round: BTreeSet<_> = picks(&worker, 8).into_iter().collect();
        assert_eq!(round.len(), 8, "{kind:?}");
    }
}
