//! `Sharing::Chunks`: the sequence is the exact one, workers stay within the bounds that its documentation
//! states, and no turn is lost while the sequence stays the same.

use std::fmt::Write as _;
use std::net::SocketAddr;

use vsched::config::{Command, RealServer, Sharing};
use vsched::{Config, Director, Flow, Holder, SchedulerKind, ServerState, ServiceId, Worker};

const SERVICE: &str = "tcp 10.0.0.1:80";
const ROTATIONS: [SchedulerKind; 2] = [SchedulerKind::Rr, SchedulerKind::Wrr];

fn config(kind: SchedulerKind, weights: &[u32], sharing: Sharing) -> Config {
    let mut rules = format!("-A -t 10.0.0.1:80 -s {}\n", kind.name());
    for (number, weight) in weights.iter().enumerate() {
        writeln!(rules, "-a -t 10.0.0.1:80 -r 10.0.1.{number}:80 -m -w {weight}").expect("text");
    }
    let mut config: Config = rules.parse().expect("rules");
    config.services[0].sharing = sharing;
    config
}

fn run(config: &Config) -> (Director, ServiceId) {
    let director = Director::new(config).expect("a config");
    let service = director.service(SERVICE).expect("the service");
    (director, service)
}

fn address(number: usize) -> SocketAddr {
    format!("10.0.1.{number}:80").parse().expect("an address")
}

/// The number of the server that the worker picks.
fn pick(worker: &Worker, service: ServiceId) -> usize {
    let picked = worker.pick_server(service, &Flow::default()).expect("a server").address();
    (0..256).find(|number| address(*number) == picked).expect("one of them")
}

fn random(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as usize
}

/// The first picks of a single worker, shared exactly.
fn sequence(kind: SchedulerKind, weights: &[u32], count: usize) -> Vec<usize> {
    let (director, service) = run(&config(kind, weights, Sharing::Exact));
    let worker = director.worker();
    (0..count).map(|_| pick(&worker, service)).collect()
}

/// Turns of each server among these picks.
fn counts(picks: &[usize], servers: usize) -> Vec<usize> {
    (0..servers).map(|number| picks.iter().filter(|pick| **pick == number).count()).collect()
}

/// A worker by itself picks as with `exact`, also beside reloads of other services.
#[test]
fn a_single_worker_picks_as_exactly() {
    for kind in ROTATIONS {
        for length in [1, 2, 16, 64] {
            let picks = [Sharing::Exact, Sharing::Chunks(length)].map(|sharing| {
                let mut config = config(kind, &[3, 1, 2, 5, 1], sharing);
                let (director, service) = run(&config);
                let worker = director.worker();
                let mut picks = Vec::new();
                for number in 0..200u16 {
                    let flow =
                        Flow::tcp(([10, 9, 9, 9], number).into(), ([10, 0, 0, 1], 80).into());
                    let connection = worker.connect(service, &flow).expect("a server");
                    picks.push(connection.address());
                    if number % 7 == 0 {
                        let other = format!("-A -t 10.0.0.2:{}", number + 1);
                        let other: Config = other.parse().expect("rules");
                        config.services.truncate(1);
                        config.services.extend(other.services);
                        director.apply(&config).expect("a config");
                    }
                }
                picks
            });
            assert_eq!(picks[0], picks[1], "{kind:?} {length}");
        }
    }
}

/// At any time each worker has at most `length - 1` turns left to use: the picks are turns of the sequence of
/// which no more than that are missing. Fails if chunks are longer.
#[test]
fn workers_stay_within_their_chunks() {
    const PICKS: usize = 4000;
    // In the second, more turns than all chunks have lie between two of one server.
    let weights = [vec![1, 3, 1, 2, 1, 1, 4], (0..200).map(|number| 1 + number / 199).collect()];
    for (kind, weights) in
        ROTATIONS.into_iter().flat_map(|kind| weights.iter().map(move |it| (kind, it)))
    {
        for (workers, length) in [(1usize, 64u8), (2, 5), (2, 64), (3, 16), (8, 16)] {
            let unused = workers * usize::from(length - 1);
            let sequence = sequence(kind, weights, PICKS + unused);
            let mut turns = vec![Vec::new(); weights.len()];
            sequence.iter().enumerate().for_each(|(turn, server)| turns[*server].push(turn));
            let (director, service) = run(&config(kind, weights, Sharing::Chunks(length)));
            let workers: Vec<Worker> = (0..workers).map(|_| director.worker()).collect();
            let (mut seed, mut had, mut last) = (7, vec![0; weights.len()], 0);
            for count in 1..=PICKS {
                // Uneven: some workers pick rarely.
                let worker = random(&mut seed) % workers.len();
                let server = pick(&workers[worker.min(random(&mut seed) % workers.len())], service);
                last = last.max(turns[server][had[server]]);
                had[server] += 1;
                assert!(
                    last < count + unused,
                    "{kind:?}: turn {last} is pick {count}, {unused} unused"
                );
            }
        }
    }
}

/// The bound itself is reached: each worker's first turns follow those of the other's chunk.
#[test]
fn each_worker_takes_its_turns_in_order() {
    let (director, service) = run(&config(SchedulerKind::Rr, &[1; 40], Sharing::Chunks(8)));
    let workers = [director.worker(), director.worker()];
    let first = pick(&workers[0], service);
    // The scheduler made that pick, and a pick by a worker without a place takes none of a chunk.
    let turn = |number: usize| (first + 40 - number) % 40;
    let mut picks = [Vec::new(), Vec::new()];
    for number in 0..24 {
        let worker = number % 2;
        picks[worker].push(pick(&workers[worker], service));
    }
    let of = |starts: [usize; 2]| {
        starts.iter().flat_map(|start| (*start..start + 8).map(turn)).take(12).collect::<Vec<_>>()
    };
    assert_eq!(picks, [of([1, 17]), of([9, 25])]);
}

/// Reloads that change other settings, hold servers or leave the service alone, with every worker in the
/// middle of a chunk: after a long run all servers have had their share.
#[test]
fn no_turn_is_lost_in_reloads_that_keep_the_sequence() {
    for workers in [1, 3] {
        for length in [4, 15, 64] {
            let mut wanted = config(SchedulerKind::Rr, &[1; 16], Sharing::Chunks(length));
            let (director, service) = run(&wanted);
            let workers: Vec<Worker> = (0..workers).map(|_| director.worker()).collect();
            let (mut seed, mut picks) = (3, Vec::new());
            for reload in 0..2000u32 {
                let worker = &workers[random(&mut seed) % workers.len()];
                picks.push(pick(worker, service));
                // A limit that is never reached, and the panic threshold.
                wanted.services[0].servers[3].thresholds.upper = 1000 + reload % 2;
                wanted.services[0].panic_threshold = (reload % 3) as u8;
                director.apply(&wanted).expect("a config");
                if reload % 5 == 0 {
                    picks.push(pick(worker, service));
                }
            }
            let unused = workers.len() * usize::from(length - 1).div_ceil(16);
            let counts = counts(&picks, 16);
            let (least, most) = (counts.iter().min(), counts.iter().max());
            let apart = most.zip(least).map_or(0, |(most, least)| most - least);
            assert!(apart <= unused + 1, "{length}: {counts:?}");
        }
    }
}

/// A worker per request: each finds what the one before it left.
#[test]
fn workers_that_come_and_go_lose_no_turn() {
    let weights = [1, 2, 1];
    for kind in ROTATIONS {
        let sequence = sequence(kind, &weights, 100);
        let (director, service) = run(&config(kind, &weights, Sharing::Chunks(16)));
        let picks: Vec<usize> = (0..100).map(|_| pick(&director.worker(), service)).collect();
        assert_eq!(picks, sequence, "{kind:?}");
    }
}

/// A worker ends in the middle of a chunk while another picks: the next one in its place continues there.
#[test]
fn the_next_worker_uses_what_one_left() {
    let (director, service) = run(&config(SchedulerKind::Rr, &[1; 40], Sharing::Chunks(8)));
    let stays = director.worker();
    let sequence: Vec<usize> = sequence(SchedulerKind::Rr, &[1; 40], 40);
    // The scheduler makes the first pick.
    assert_eq!(pick(&stays, service), sequence[0]);
    let leaves = director.worker();
    let picks =
        |worker: &Worker, count| (0..count).map(|_| pick(worker, service)).collect::<Vec<usize>>();
    assert_eq!(picks(&leaves, 3), sequence[1..4]);
    assert_eq!(picks(&stays, 2), sequence[9..11]);
    drop(leaves);
    assert_eq!(picks(&stays, 6), sequence[11..17]);
    assert_eq!(picks(&stays, 1), sequence[17..18], "not what the other left");
    let comes = director.worker();
    assert_eq!(picks(&comes, 5), sequence[4..9]);
    assert_eq!(picks(&comes, 1), sequence[25..26], "a chunk of its own");
}

/// Reloads that keep the sequence keep a chunk: weights under rr, even 0, and another length, which applies
/// from the next chunk.
#[test]
fn a_chunk_outlives_weights_and_another_length() {
    let config =
        |weights: &[u32], length| config(SchedulerKind::Rr, weights, Sharing::Chunks(length));
    let (mut weights, sequence) = ([1; 20], sequence(SchedulerKind::Rr, &[1; 20], 20));
    let (director, service) = run(&config(&weights, 8));
    let workers = [director.worker(), director.worker()];
    let picks = |worker: usize, count| {
        (0..count).map(|_| pick(&workers[worker], service)).collect::<Vec<usize>>()
    };
    assert_eq!(picks(0, 1), sequence[..1]);
    assert_eq!(picks(0, 2), sequence[1..3]);
    assert_eq!(picks(1, 2), sequence[9..11]);
    weights[sequence[3]] = 0;
    weights[sequence[5]] = 7;
    director.apply(&config(&weights, 8)).expect("a config");
    assert_eq!(picks(0, 2), sequence[4..6]);
    weights[sequence[3]] = 1;
    director.apply(&config(&weights, 2)).expect("a config");
    assert_eq!(picks(0, 3), sequence[6..9]);
    // A chunk of two.
    assert_eq!(picks(0, 1), sequence[17..18]);
    assert_eq!(picks(1, 6), sequence[11..17]);
    assert_eq!(picks(1, 1), sequence[19..20]);
    assert_eq!(picks(0, 1), sequence[18..19]);
}

/// Other weights of wrr: what is left of the former sequence is discarded, and from the next pick on the
/// picks are those of the new weights.
#[test]
fn other_weights_of_wrr_end_a_chunk() {
    const PICKS: usize = 100;
    let weights = [1, 4, 2, 1, 6];
    let cycle = sequence(SchedulerKind::Wrr, &weights, 2 * PICKS);
    for length in [2, 16, 64] {
        let sharing = Sharing::Chunks(length);
        let (director, service) = run(&config(SchedulerKind::Wrr, &[3, 1, 2, 5, 1], sharing));
        let worker = director.worker();
        (0..4).for_each(|_| _ = pick(&worker, service));
        director.apply(&config(SchedulerKind::Wrr, &weights, sharing)).expect("a config");
        let picks: Vec<usize> = (0..PICKS).map(|_| pick(&worker, service)).collect();
        let of_cycle = cycle.windows(PICKS).any(|turns| turns == picks);
        assert!(of_cycle, "{length}: {picks:?} is no part of {cycle:?}");
    }
}

/// Without a worker each pick takes one turn, after those that workers have taken.
#[test]
fn a_caller_without_a_worker_takes_single_turns() {
    let (director, service) = run(&config(SchedulerKind::Rr, &[1; 40], Sharing::Chunks(8)));
    let sequence = sequence(SchedulerKind::Rr, &[1; 40], 40);
    let worker = director.worker();
    let alone = || {
        let picked = director.pick_server(service, &Flow::default()).expect("a server").address();
        (0..40).find(|number| address(*number) == picked).expect("one of them")
    };
    assert_eq!([pick(&worker, service), pick(&worker, service)], sequence[..2]);
    assert_eq!([alone(), alone()], sequence[9..11]);
    assert_eq!(pick(&worker, service), sequence[2]);
}

/// The service of a slot, then another one there, or the same key again: nothing of the chunk is left.
#[test]
fn another_service_has_no_chunk() {
    let wanted = config(SchedulerKind::Rr, &[1; 5], Sharing::Chunks(16));
    let (director, service) = run(&wanted);
    let worker = director.worker();
    let first: Vec<usize> = (0..3).map(|_| pick(&worker, service)).collect();
    director.apply(&Config::new()).expect("a config");
    director.apply(&wanted).expect("a config");
    let service = director.service(SERVICE).expect("the service");
    assert_eq!((0..3).map(|_| pick(&worker, service)).collect::<Vec<_>>(), first);
}

/// A reload that changes the servers discards what is left: nothing that was removed is picked.
#[test]
fn other_servers_end_a_chunk() {
    for kind in ROTATIONS {
        let (director, service) = run(&config(kind, &[1; 6], Sharing::Chunks(64)));
        let workers = [director.worker(), director.worker()];
        let key = SERVICE.parse().expect("a key");
        for removed in 0..4 {
            workers.iter().for_each(|worker| _ = pick(worker, service));
            let server = address(removed);
            director.execute(&Command::DeleteServer { service: key, server }).expect("it runs");
            for worker in workers.iter().cycle().take(200) {
                assert!(pick(worker, service) > removed, "{kind:?}");
            }
            let server = RealServer::new(address(100 + removed));
            director.execute(&Command::AddServer { service: key, server }).expect("it runs");
        }
    }
}

/// Servers that are held, overloaded or quiesced are passed over from the next pick on, also in the middle
/// of a chunk, and are picked again when they can be.
#[test]
fn unavailable_servers_are_passed_over_in_a_chunk() {
    for servers in [3, 40] {
        let mut wanted = config(SchedulerKind::Rr, &vec![1; servers], Sharing::Chunks(16));
        wanted.services[0].servers[1].thresholds.upper = 1;
        let (director, service) = run(&wanted);
        let worker = director.worker();
        let held = director.server_by_address(service, address(0)).expect("it runs");
        let full = director.server_by_address(service, address(1)).expect("it runs");
        let lease = worker.open(full, vsched::Activity::Active).expect("it runs");
        let other = |worker: &Worker| (0..200).all(|_| pick(worker, service) > 1);
        director.set_state(held, Holder::Administrator, ServerState::Down).expect("it runs");
        assert!(other(&worker), "{servers}");
        director.set_state(held, Holder::Administrator, ServerState::Up).expect("it runs");
        assert!((0..200).any(|_| pick(&worker, service) == 0), "{servers}");
        worker.close(lease).expect("it is open");
        assert!((0..200).any(|_| pick(&worker, service) == 1), "{servers}");
        // Nothing left, and something again.
        for number in 0..servers {
            let server = director.server_by_address(service, address(number)).expect("it runs");
            director.set_state(server, Holder::Administrator, ServerState::Down).expect("it runs");
        }
        assert!((0..50).all(|_| worker.pick_server(service, &Flow::default()).is_err()));
        director.set_state(full, Holder::Administrator, ServerState::Up).expect("it runs");
        assert!((0..50).all(|_| pick(&worker, service) == 1), "{servers}");
    }
}

/// Services beyond the ones that a worker finds at once.
#[test]
fn many_services_have_chunks() {
    let mut wanted = Config::new();
    for number in 0..300u32 {
        let rules = format!(
            "-A -f {0} -s rr\n-a -f {0} -r 10.0.1.0:80\n-a -f {0} -r 10.0.1.1:80",
            number + 1
        );
        wanted.services.extend(rules.parse::<Config>().expect("rules").services);
    }
    let director = Director::new(&wanted).expect("a config");
    let before = director.worker();
    wanted.services.iter_mut().for_each(|service| service.sharing = Sharing::Chunks(4));
    director.apply(&wanted).expect("a config");
    let after = director.worker();
    for (service, _) in director.services() {
        for worker in [&before, &after] {
            let picks: Vec<usize> = (0..40).map(|_| pick(worker, service)).collect();
            assert_eq!(counts(&picks, 2), [20, 20]);
        }
    }
}

/// Threads pick while reloads change nothing of the sequence: every server has its share.
#[test]
fn threads_beside_reloads_lose_no_turn() {
    let mut wanted = config(SchedulerKind::Rr, &[1; 8], Sharing::Chunks(16));
    let (director, service) = run(&wanted);
    let counted = std::thread::scope(|scope| {
        let picker = || {
            let worker = director.worker();
            let picks: Vec<usize> = (0..20_000).map(|_| pick(&worker, service)).collect();
            counts(&picks, 8)
        };
        let pickers = [scope.spawn(picker), scope.spawn(picker)];
        for reload in 0..300u32 {
            wanted.services[0].panic_threshold = (reload % 2) as u8;
            director.apply(&wanted).expect("a config");
        }
        pickers.map(|picker| picker.join().expect("no panic"))
    });
    let totals: Vec<usize> = (0..8).map(|number| counted[0][number] + counted[1][number]).collect();
    // 30 turns left at most, of eight servers.
    let (least, most) = (totals.iter().min(), totals.iter().max());
    assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 5), "{totals:?}");
}
