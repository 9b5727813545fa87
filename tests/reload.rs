//! A change costs only what it changes, counted in allocations and bytes, not in time.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use common::{Random, rip, server, service, vip};
use vsched::config::{Command, KernelRules, ServiceKey, diff};
use vsched::error::ApplyError;
use vsched::{Activity, Config, Director, SchedulerKind};

struct Counting;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<u64> = const { Cell::new(0) };
    static FREED: Cell<u64> = const { Cell::new(0) };
}

fn add(counter: &'static std::thread::LocalKey<Cell<u64>>, count: usize) {
    counter.with(|counter| counter.set(counter.get() + count as u64));
}

// SAFETY: every call is passed on unchanged to the system allocator; counting touches only
// constant-initialised thread-locals without destructors.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(&CALLS, 1);
        add(&BYTES, layout.size());
        // SAFETY: the caller's duty, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        add(&FREED, layout.size());
        // SAFETY: the caller's duty, passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[derive(Debug, Clone, Copy)]
struct Cost {
    calls: u64,
    bytes: u64,
    /// Bytes that stay.
    kept: u64,
}

fn cost<R>(run: impl FnOnce() -> R) -> (R, Cost) {
    let now = || [CALLS.with(Cell::get), BYTES.with(Cell::get), FREED.with(Cell::get)];
    let before = now();
    let result = run();
    let [calls, bytes, freed] = now();
    let bytes = bytes - before[1];
    let kept = bytes.saturating_sub(freed - before[2]);
    (result, Cost { calls: calls - before[0], bytes, kept })
}

/// Services of this many servers each, all of them different.
fn config(scheduler: SchedulerKind, services: u16, servers: u16) -> Config {
    let service = |n| {
        service(n, scheduler)
            .with_servers((0..servers).map(|s| server(s, 1 + u32::from(s) % 5)).collect())
    };
    Config::new().with_services((0..services).map(service).collect())
}

const FEW: u16 = 10;
const MANY: u16 = 1000;
/// What each publication copies of every service: a pointer to it as compiled, and one as configured.
const WORD: u64 = 2 * 8;
const MORE: u64 = (MANY - FEW) as u64;

/// What something costs in a director of few and in one of many services.
fn costs(scheduler: SchedulerKind, run: impl Fn(&Director, &Config)) -> [Cost; 2] {
    [FEW, MANY].map(|services| {
        let config = config(scheduler, services, 20);
        let director = Director::new(&config).expect("a valid config");
        let _worker = director.worker();
        // What grows once has grown.
        run(&director, &config);
        cost(|| run(&director, &config)).1
    })
}

#[test]
fn a_command_costs_what_it_changes() {
    let edit = |n, weight| Command::EditServer {
        service: ServiceKey::tcp(vip(n)),
        server: server(3, weight),
    };
    for &scheduler in SchedulerKind::ALL {
        let [few, many] = costs(scheduler, |director, _| {
            director.execute(&edit(4, 9)).expect("a server that is there");
        });
        assert!(many.calls <= few.calls + 2, "{}: {few:?} {many:?}", scheduler.name());
        // A copy of the table of services, and the blocks that are asked for first.
        let bound = few.bytes + MORE * (WORD + 2 * 2 * WORD) + 512;
        assert!(many.bytes <= bound, "{}: {few:?} {many:?}", scheduler.name());
    }
}

#[test]
fn a_service_comes_and_goes_without_the_others() {
    let [few, many] = costs(SchedulerKind::Rr, |director, _| {
        let command = Command::AddService(service(MANY, SchedulerKind::Rr).settings());
        director.execute(&command).expect("a new service");
        let key = ServiceKey::tcp(vip(MANY));
        director.execute(&Command::DeleteService(key)).expect("the new service");
    });
    assert!(many.calls <= few.calls + 8, "{few:?} {many:?}");
    // Twice the table of pools and the table of keys: 33 bytes an entry, at most 16/7 as many.
    // And the blocks that are asked for first.
    assert!(
        many.bytes <= few.bytes + 2 * MORE * (WORD + 76 + 2 * (2 * WORD + 76)) + 2048,
        "{few:?} {many:?}"
    );
}

#[test]
fn one_changed_server_rebuilds_one_service() {
    for scheduler in [SchedulerKind::Rr, SchedulerKind::Wlc, SchedulerKind::Mh] {
        let weight = Cell::new(20);
        let [few, many] = costs(scheduler, |director, config| {
            // Of which the copy is counted here, and taken off below.
            let mut config = config.clone();
            weight.set(weight.get() + 1);
            config.services[7].servers[11].weight = weight.get();
            let applied = director.apply(&config).expect("a valid config");
            assert_eq!(applied.changed.len(), 1);
        });
        let [few_copy, many_copy] = costs(scheduler, |_, config| drop(config.clone()));
        let calls = [few.calls - few_copy.calls, many.calls - many_copy.calls];
        let bytes = [few.bytes - few_copy.bytes, many.bytes - many_copy.bytes];
        assert!(calls[1] <= calls[0] + 4, "{}: {calls:?}", scheduler.name());
        // Besides, the keys are looked at for two that are equal, in a block that is asked for first.
        assert!(
            bytes[1] <= bytes[0] + MORE * (4 * WORD + 120 + 112) + 512,
            "{}: {bytes:?}",
            scheduler.name()
        );
    }
}

#[test]
fn an_equal_config_is_looked_at_and_no_more() {
    let [few, many] = costs(SchedulerKind::Wlc, |director, config| {
        assert!(director.apply(config).expect("a valid config").is_empty());
    });
    assert!(many.calls <= few.calls && many.calls <= 8, "{few:?} {many:?}");
    // A publication would copy the table of pools.
    assert!(many.bytes <= few.bytes && many.bytes < MORE, "{few:?} {many:?}");
}

#[test]
fn a_server_takes_at_most_384_bytes() {
    for scheduler in [SchedulerKind::Rr, SchedulerKind::Wlc] {
        // The slots' segments double: at its worst every other slot is free.
        for (services, servers) in [(100, 100), (1000, 65), (1, 33_000)] {
            let config = config(scheduler, services, servers);
            let empty =
                config.services.iter().map(|it| it.settings().with_servers(Vec::new())).collect();
            let empty = Config::new().with_services(empty);
            let (without, service) = cost(|| Director::new(&empty).expect("a valid config"));
            let (with, all) = cost(|| Director::new(&config).expect("a valid config"));
            let servers = u64::from(services) * u64::from(servers);
            let each = (all.kept - service.kept) as f64 / servers as f64;
            let service = service.kept as f64 / f64::from(services);
            println!(
                "{}: {services} services, {servers} servers: {each:.0} bytes a server, \
                 {service:.0} a service",
                scheduler.name()
            );
            assert!(each <= 384.0, "{}: {each:.1} bytes a server", scheduler.name());
            drop((without, with));
        }
    }
}

#[test]
fn removed_servers_that_still_count_hold_up_nobody_and_are_all_found_in_the_end() {
    let mut wanted = config(SchedulerKind::Rr, 1, 1000);
    let director = Director::new(&wanted).expect("a valid config");
    let worker = director.worker();
    let key = ServiceKey::tcp(vip(0));
    let open = |n| {
        let server = common::server_id(&director, &key, rip(n)).expect("a server that is there");
        worker.open(server, Activity::Active).expect("an available server")
    };
    let leases: Vec<_> = (0..500).map(open).collect();
    wanted.services[0].servers.drain(..900);
    director.apply(&wanted).expect("a valid config");
    worker.service_for(&common::flow(1)).expect("the service");
    // Each publication looks at some of them; a tick at all.
    for weight in 2..20 {
        let server = server(950, weight);
        director.execute(&Command::EditServer { service: key, server }).expect("a server");
    }
    assert_eq!(director.removed_servers(), 500);
    let mut leases = leases.into_iter();
    leases.by_ref().take(300).for_each(|lease| worker.close(lease).expect("an open lease"));
    director.tick(std::time::Duration::from_secs(1));
    assert_eq!(director.removed_servers(), 200);
    leases.for_each(|lease| worker.close(lease).expect("an open lease"));
    director.tick(std::time::Duration::from_secs(2));
    assert_eq!(director.removed_servers(), 0);
}

/// Checks are left out for what runs already: the answer is that of a check of everything.
#[test]
fn apply_refuses_what_validate_refuses_in_the_same_words() {
    let mut random = Random(7);
    let start = config(SchedulerKind::Wrr, 4, 40);
    let director = Director::new(&start).expect("a valid config");
    let (mut accepted, mut refused) = (0, 0);
    for round in 0..3000 {
        let mut next = director.config();
        for _ in 0..=random.below(3) {
            disturb(&mut next, &mut random);
        }
        match (director.apply(&next), next.validate()) {
            (Ok(_), Ok(())) => {
                accepted += 1;
                assert!(diff::diff(&director.config(), &next).is_empty(), "round {round}");
            }
            (Err(ApplyError::Invalid(told)), Err(expected)) => {
                refused += 1;
                assert_eq!(told.to_string(), expected.to_string(), "round {round}");
            }
            (told, expected) => panic!("round {round}: {told:?}, but {expected:?}"),
        }
    }
    assert!(accepted > 500 && refused > 500, "{accepted} accepted, {refused} refused");
}

/// Changes something, to the worse or not.
fn disturb(config: &mut Config, random: &mut Random) {
    let mut below = |limit: usize| random.below(limit.max(1) as u64) as usize;
    let kind = below(12);
    match kind {
        0 => config.kernel_rules = [KernelRules::A, KernelRules::B][below(2)],
        1 => config.services.push(service(below(6) as u16, SchedulerKind::Rr)),
        2 => {
            let again = config.services.get(below(4)).cloned();
            config.services.extend(again.filter(|_| below(2) == 0));
        }
        _ => {}
    }
    let place = below(config.services.len());
    let Some(changed) = config.services.get_mut(place) else { return };
    let (at, number) = (below(changed.servers.len()), below(80) as u16);
    match kind {
        3 => changed.mh_table_index = [12, 11][below(2)],
        4 => changed.servers.push(server(number, 1)),
        5 => changed.servers.insert(at, server(number, 1)),
        6 => changed.servers.reverse(),
        7 => (0..40).for_each(|n| changed.servers.push(server(n * 2 + number % 2, 3))),
        8 => changed.servers.truncate(40),
        _ => {}
    }
    let Some(edited) = changed.servers.get_mut(at) else { return };
    match kind {
        9 => edited.weight = [0, 5, 1 << 31][below(3)],
        10 => edited.thresholds.upper = [9, 1 << 31][below(2)],
        11 if below(3) > 0 => drop(changed.servers.remove(at)),
        11 => edited.address = rip(number),
        _ => {}
    }
}
