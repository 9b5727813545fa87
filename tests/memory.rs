//! `Config::memory` is an upper bound of what a director allocates, and not much above it.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::process::Command as Process;
use std::{env, ptr};

use common::service;
use vsched::config::{
    Affinity, Command, Persistence, RealServer, ResourceLimits, Setting, Sharing, VirtualService,
};
use vsched::error::{ApplyError, StateError};
use vsched::{Activity, Applied, Config, Director, Holder, SchedulerKind, ServerState};

struct Counting;

thread_local! {
    /// Bytes that this thread has ever allocated.
    static ALL: Cell<u64> = const { Cell::new(0) };
    /// Those that it has not freed.
    static BYTES: Cell<i64> = const { Cell::new(0) };
    /// More than these are not there for it.
    static MOST: Cell<i64> = const { Cell::new(i64::MAX) };
}

fn is_there(bytes: usize) -> bool {
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    BYTES.with(Cell::get).saturating_add(bytes) <= MOST.with(Cell::get)
}

fn count(bytes: usize, sign: i64) {
    // Pages at the end, and what an allocator writes beside.
    let bytes = if bytes < 128 << 10 { bytes + 16 } else { (bytes + 16).next_multiple_of(4096) };
    BYTES.with(|all| all.set(all.get() + sign * bytes as i64));
}

// SAFETY: every call is passed on unchanged to the system allocator; counting touches only a
// constant-initialised thread-local without a destructor.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !is_there(layout.size()) {
            return ptr::null_mut();
        }
        count(layout.size(), 1);
        ALL.with(|all| all.set(all.get() + layout.size() as u64));
        // SAFETY: the caller's duty, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !is_there(layout.size()) {
            return ptr::null_mut();
        }
        count(layout.size(), 1);
        // SAFETY: the caller's duty, passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        // SAFETY: the caller's duty, passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn real(n: u32, weight: u32) -> RealServer {
    RealServer::new((std::net::Ipv4Addr::from_bits(0x0a00_0001 + n), 80).into()).with_weight(weight)
}

/// Bytes that a director of this config holds.
fn held(config: &Config) -> u64 {
    drop(Director::new(&Config::default()).expect("a valid config"));
    let before = BYTES.with(Cell::get);
    let director = Director::new(config).expect("a valid config");
    let held = BYTES.with(Cell::get) - before;
    drop(director);
    assert_eq!(BYTES.with(Cell::get), before, "all is freed");
    u64::try_from(held).expect("more is allocated than freed")
}

/// Services of each scheduler, few and many, with few and many servers of even and uneven weights.
fn configs() -> impl Iterator<Item = (String, Config)> {
    let counts = [(0, 1), (0, 100), (1, 1), (3, 200), (100, 1), (100, 20), (4000, 1)];
    let weights = [[1, 1, 1], [7, 3, 1000]];
    let sharings = [Sharing::Exact, Sharing::PerWorker, Sharing::Chunks(16)];
    let persistences = [None, Some(Persistence::default())];
    let every = SchedulerKind::ALL.iter().flat_map(move |kind| {
        let sizes = counts.into_iter().flat_map(move |count| weights.map(|it| (count, it)));
        let shared = sizes.flat_map(move |sizes| sharings.map(|it| (sizes, it)));
        let all = shared.flat_map(move |shared| persistences.map(|it| (shared, it)));
        all.map(move |it| (*kind, it))
    });
    let every = every.filter(|(kind, ((_, sharing), _))| {
        let in_turn = matches!(*kind, SchedulerKind::Rr | SchedulerKind::Wrr);
        in_turn || !matches!(sharing, Sharing::Chunks(_))
    });
    every.map(|(kind, ((((servers, services), weights), sharing), persistence))| {
        let servers = (0..servers).map(|n| real(n, weights[n as usize % 3]));
        let servers: Vec<RealServer> = servers.collect();
        let count = servers.len();
        let affinity = Affinity::default().with_capacity(100);
        let one = |n| {
            let mut made = service(n, kind)
                .with_sharing(sharing)
                .with_affinity(affinity)
                .with_servers(servers.clone());
            made.persistence = persistence;
            made
        };
        let services: Vec<VirtualService> = (0..services).map(one).collect();
        let persistent = persistence.is_some();
        let name = format!("{} {count} {weights:?} {sharing:?} {persistent}", kind.name());
        let what = format!("{} services of {name}", services.len());
        (what, Config::new().with_services(services))
    })
}

#[test]
fn a_bound_is_above_what_is_allocated_and_near_it() {
    let mut count = 0;
    for (what, config) in configs() {
        let (held, bound) = (held(&config), config.memory());
        assert!(held <= bound, "{what}: {held} bytes, said to be {bound} at most");
        let services = config.services.len() as u64;
        let coarse = 4 * held + (16 << 10) * services;
        assert!(bound <= coarse, "{what}: said to be {bound}, and is {held}");
        count += 1;
    }
    assert!(count > 500);
}

#[test]
fn large_maps_are_bounded_closely() {
    for kind in [SchedulerKind::Lblc, SchedulerKind::Lblcr, SchedulerKind::Mh] {
        let affinity = Affinity::default().with_capacity(1_000_000);
        let persistence = Some(Persistence::default());
        let mut service = service(0, kind).with_affinity(affinity);
        service.persistence = persistence;
        let config = Config::new().with_service(service);
        let (held, bound) = (held(&config), config.memory());
        assert!(held <= bound && bound < held + held / 100, "{}: {held} {bound}", kind.name());
    }
}

/// Ten thousand services of scheduler lblc are within the default.
#[test]
fn ten_thousand_services_that_remember_are_accepted() {
    let kind = SchedulerKind::Lblc;
    let services = (0..10_000).map(|n| service(n, kind).with_servers(vec![real(1, 1)]));
    let config = Config::new().with_services(services.collect());
    assert!(config.memory() <= ResourceLimits::default().memory);
    let director = Director::new(&config).expect("within the default limit");
    assert_eq!(director.services().len(), 10_000);
}

fn message(result: Result<Applied, ApplyError>) -> String {
    match result {
        Err(ApplyError::Invalid(error)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

/// By every way that a config can come.
#[test]
fn a_limit_holds_for_new_apply_and_execute() {
    let sized = |n, kind, capacity| {
        service(n, kind)
            .with_affinity(Affinity::default().with_capacity(capacity))
            .with_servers(vec![real(1, 1)])
    };
    let of = |services: &[VirtualService]| Config::new().with_services(services.to_vec());
    let small = sized(0, SchedulerKind::Lblc, 1000);
    let large = sized(1, SchedulerKind::Lblcr, 100_000);
    let limit = of(&[small.clone(), large.clone()]).memory();
    let limits = ResourceLimits::default().with_memory(limit);
    let larger = sized(1, SchedulerKind::Lblcr, 200_000);
    let wanted = of(&[small.clone(), larger.clone()]);
    let total = wanted.memory();
    let share = total - of(std::slice::from_ref(&small)).memory();
    let said = format!(
        "memory: {total} bytes are more than the limit of {limit}; most of all, {share}, takes \
         service tcp 10.1.0.1:1001: lower its affinity.capacity"
    );
    assert_eq!(wanted.validate(), Ok(()), "within the default");
    let checked = wanted.validate_within(&limits).expect_err("above these");
    assert_eq!(checked.to_string(), said);
    let new = Director::with_limits(&wanted, limits).map(|_| Applied::default());
    assert_eq!(message(new), said);

    let running = of(&[small.clone(), large]);
    let director = Director::with_limits(&running, limits).expect("within the limit");
    let id = director.service("tcp 10.1.0.1:1001").expect("it runs");
    assert_eq!(message(director.apply(&wanted)), said);
    assert_eq!(message(director.execute(&Command::EditService(larger.settings()))), said);
    let added = sized(2, SchedulerKind::Mh, 1).settings();
    let text = message(director.execute(&Command::AddService(added.clone())));
    assert!(text.contains("takes service tcp 10.1.0.1:1001: lower its affinity"), "{text}");
    let key = small.key;
    let one_more = Command::AddServer { service: key, server: real(2, 1) };
    assert!(message(director.execute(&one_more)).starts_with("memory: "));
    assert_eq!(director.config(), running, "nothing has changed");
    assert_eq!(director.service("tcp 10.1.0.1:1001"), Ok(id));

    // What takes no more than before is no matter of memory, and what is taken away makes room.
    let lighter = Command::EditServer { service: key, server: real(1, 0) };
    director.execute(&lighter).expect("no larger");
    director.execute(&Command::DeleteService(key)).expect("smaller");
    director.execute(&Command::AddService(added)).expect("there is room");
    director.execute(&Command::Clear).expect("smaller");
    director.apply(&running).expect("as at first");
    assert_eq!(message(director.apply(&wanted)), said);
}

#[test]
fn advice_is_about_the_largest_part() {
    let wrr = service(0, SchedulerKind::Wrr).with_servers(vec![real(1, 200_000), real(2, 1)]);
    let mh = service(0, SchedulerKind::Mh).with_mh_table_index(17);
    let rr = service(0, SchedulerKind::Rr).with_servers(vec![real(1, 1)]);
    let limits = ResourceLimits::default().with_memory(1);
    for (service, advice) in [
        (wrr, "lower its weights"),
        (mh, "lower its mh_table_index"),
        (rr, "have fewer services or servers"),
    ] {
        let config = Config::new().with_service(service);
        let error = config.validate_within(&limits).expect_err("more than a byte").to_string();
        assert!(error.ends_with(advice), "{error}");
    }
}

/// Set in a process that gets ever more memory for this config, by its number.
const CONFIG: &str = "VSCHED_MEMORY_CONFIG";
/// What an error may take to say what it says.
const WORDS: i64 = 4096;

/// A reload that does not fit is an error and changes nothing, however little is missing. A process
/// where a small allocation fails ends with it, so each config has a process of its own.
#[test]
fn a_change_that_the_system_has_no_memory_for_is_an_error() {
    if let Ok(number) = env::var(CONFIG) {
        let number: usize = number.parse().expect("a number");
        let (what, config) = scarce_configs().nth(number).expect("so many configs");
        return with_ever_more_memory(&what, &config);
    }
    let this = env::current_exe().expect("this program");
    for (number, (what, _)) in scarce_configs().enumerate() {
        let output = Process::new(&this)
            .args(["--exact", "a_change_that_the_system_has_no_memory_for_is_an_error"])
            .arg("--nocapture")
            .env(CONFIG, number.to_string())
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{what}: {}: {said}", output.status);
    }
}

/// Large and small ones of every scheduler, in both ways of sharing.
fn scarce_configs() -> impl Iterator<Item = (String, Config)> {
    let small_and_large = configs().filter(|(what, config)| {
        let servers = config.services.iter().map(|it| it.servers.len()).sum::<usize>();
        let large = servers >= 100 && what.contains("1000]") && what.ends_with("true");
        large || servers == 1 && what.contains("1]") && what.ends_with("false")
    });
    let mut servers = named(1);
    servers.services[0].servers = (0..1000)
        .map(|n| real(n, 1).with_name(format!("server-{n}").parse().expect("a name")))
        .collect();
    small_and_large
        .chain([("2000 names".to_owned(), named(2000)), ("1000 names".to_owned(), servers)])
}

/// Services that are alike but for their names.
fn named(services: u16) -> Config {
    let one = |n| {
        let name = format!("service-{n}").parse().expect("a name");
        service(n, SchedulerKind::Rr).with_name(name).with_server(real(1, 1))
    };
    Config::new().with_services((0..services).map(one).collect())
}

/// What is asked for beforehand is near what a change takes, so that one that fits is not refused.
#[test]
fn a_change_is_carried_out_where_there_is_room_for_it() {
    let of = |services, servers| {
        let servers: Vec<RealServer> = (0..servers).map(|n| real(n, 1)).collect();
        let one = |n| service(n, SchedulerKind::Rr).with_servers(servers.clone());
        Config::new().with_services((0..services).map(one).collect())
    };
    for (services, servers) in [(1, 1), (4000, 0), (1, 10_000), (300, 50)] {
        let config = of(services, servers);
        let director = Director::new(&Config::default()).expect("a valid config");
        for config in [config.clone(), config.with_seed(1), Config::default()] {
            let room = 4 * of(services, servers).memory() as i64;
            MOST.set(BYTES.get() + room);
            let applied = director.apply(&config);
            MOST.set(i64::MAX);
            assert!(applied.is_ok(), "{services} services of {servers} in {room}: {applied:?}");
        }
    }
}

/// A hold costs the same however many services have servers that are held: what is published of them
/// shares what stays. So does a release.
#[test]
fn a_hold_among_many_allocates_no_more() {
    let most = |services: u16| {
        let one = |n| service(n, SchedulerKind::Wlc).with_servers(vec![real(n.into(), 1)]);
        let config = Config::new().with_services((0..services).map(one).collect());
        let director = Director::new(&config).expect("a valid config");
        let servers: Vec<_> = director
            .services()
            .into_iter()
            .map(|(id, _)| director.servers(id).expect("it runs")[0].0)
            .collect();
        let (holder, mut most) = (Holder::HealthChecker, 0);
        for state in [ServerState::Down, ServerState::Down, ServerState::Up] {
            for server in &servers {
                let before = ALL.get();
                director.set_state_because(*server, holder, state, "why").expect("it runs");
                let taken = ALL.get() - before;
                most = most.max(taken);
            }
        }
        most
    };
    let (few, many) = (most(10), most(10_000));
    // Three levels of branches, twice: what is asked for, and what is taken.
    assert!(many < few + 8192, "{few} bytes among 10, {many} among 10,000");
}

/// What a removal publishes does not grow with the servers that were removed before.
#[test]
fn a_removal_among_many_removed_allocates_no_more() {
    let most = |removed: u32| {
        let key = service(0, SchedulerKind::Wlc).key;
        let director = Director::new(&Config::default()).expect("a valid config");
        let few = service(0, SchedulerKind::Wlc).with_servers(vec![real(1_000_000, 1)]);
        director.apply(&Config::new().with_service(few.clone())).expect("a valid config");
        let mut many = few.clone();
        many.servers.extend((0..removed).map(|n| real(n, 1)));
        director.apply(&Config::new().with_service(many)).expect("a valid config");
        let (id, worker) = (director.service_by_key(&key).expect("it runs"), director.worker());
        for (server, _) in director.servers(id).expect("it runs") {
            let _kept = worker.open(server, Activity::Active).expect("it runs");
        }
        director.apply(&Config::new().with_service(few)).expect("a valid config");
        assert_eq!(director.removed_servers(), removed as usize);
        let mut most = 0;
        for n in 0..100 {
            let server = real(2_000_000 + n, 1);
            let address = server.address;
            director.execute(&Command::AddServer { service: key, server }).expect("valid");
            let server = director.server_by_address(id, address).expect("it runs");
            let _kept = worker.open(server, Activity::Active).expect("it runs");
            let before = ALL.get();
            let delete = Command::DeleteServer { service: key, server: address };
            director.execute(&delete).expect("it runs");
            most = most.max(ALL.get() - before);
        }
        most
    };
    let (few, many) = (most(10), most(20_000));
    assert!(many < few + (32 << 10), "{few} bytes among 10, {many} among 20,000");
}

fn with_ever_more_memory(what: &str, config: &Config) {
    let few = Config::new().with_services(config.services[..1].to_vec());
    let mut services = config.services.clone();
    for service in &mut services {
        service.servers.truncate(2);
    }
    let smaller = Config::new().with_services(services);
    let mut services = config.services.clone();
    services.extend((0..50).map(|n| service(5000 + n, SchedulerKind::Wrr)));
    let larger = Config::new().with_services(services);
    let mut services = config.services.clone();
    services.iter_mut().for_each(|service| service.name = None);
    let unnamed = Config::new().with_services(services);
    for base in [Config::default(), few, smaller, larger, unnamed] {
        let director = Director::new(&base).expect("a valid config");
        let workers: Vec<_> = (0..3).map(|_| director.worker()).collect();
        // Those that leave stay known, and the others come back to it.
        let of_services = director.services().into_iter().take(30);
        let servers = of_services.flat_map(|(id, _)| director.servers(id).expect("it runs"));
        for (server, _) in servers.take(500) {
            let _kept = workers[0].open(server, Activity::Active).expect("it runs");
        }
        let (mut refused, mut more) = (0, WORDS);
        loop {
            MOST.set(BYTES.get() + more);
            let applied = director.apply(config);
            MOST.set(i64::MAX);
            match applied {
                Ok(_) => break,
                Err(ApplyError::OutOfMemory { bytes, .. }) => assert!(bytes > 0),
                Err(other) => panic!("{what}: {other}"),
            }
            assert_eq!(director.config(), base, "{what}: nothing has changed");
            refused += 1;
            more += more / 6;
        }
        assert!(refused > 0 || base == *config, "{what}");
        assert_eq!(director.config(), *config);
        drop(workers);
    }
    commands_with_ever_more_memory(what, config);
    holds_with_ever_more_memory(what, config);
}

/// The same of what is so at run time.
fn holds_with_ever_more_memory(what: &str, config: &Config) {
    let director = Director::new(config).expect("a valid config");
    let services = director.services().into_iter().take(30).map(|(id, _)| id);
    let servers: Vec<_> =
        services.flat_map(|id| director.servers(id).expect("it runs")).take(10).collect();
    let (holder, down, why) = (Holder::HealthChecker, ServerState::Down, "no answer");
    for state in [down, down, ServerState::Up] {
        for (server, _) in &servers {
            let before = director.holds(*server);
            let (mut refused, mut more) = (0, WORDS);
            loop {
                MOST.set(BYTES.get() + more);
                let held = director.set_state_because(*server, holder, state, why);
                MOST.set(i64::MAX);
                match held {
                    Ok(_) => break,
                    Err(StateError::OutOfMemory { bytes, .. }) => assert!(bytes > 0),
                    Err(other) => panic!("{what}: {other}"),
                }
                assert_eq!(director.holds(*server), before, "{what}: nothing has changed");
                refused += 1;
                more += more / 6;
            }
            assert!(refused > 0, "{what}");
            let holds = director.holds(*server).expect("it runs");
            let held = holds.iter().map(|hold| (hold.holder, hold.state, hold.reason.as_str()));
            let expected = (state == down).then_some((holder, state, why));
            assert!(held.eq(expected), "{what}: {holds:?}");
        }
    }
}

/// The same of every command.
fn commands_with_ever_more_memory(what: &str, config: &Config) {
    let director = Director::new(config).expect("a valid config");
    let _worker = director.worker();
    let first = &config.services[0];
    let (key, new) = (first.key, service(7000, SchedulerKind::Mh));
    let mut renamed = first.settings();
    renamed.name = Some("another".parse().expect("a name"));
    let more = first.servers[0].clone().with_weight(first.servers[0].weight + 1);
    for command in [
        Command::Set(Setting::Seed(config.seed + 1)),
        Command::EditService(first.settings()),
        Command::EditService(renamed),
        Command::AddServer { service: key, server: real(60_000, 1) },
        Command::EditServer { service: key, server: more },
        Command::DeleteServer { service: key, server: real(60_000, 1).address },
        Command::AddService(new.settings()),
        Command::DeleteService(new.key),
        Command::Clear,
    ] {
        let before = director.config();
        let (mut refused, mut more) = (0, WORDS);
        loop {
            MOST.set(BYTES.get() + more);
            let executed = director.execute(&command);
            MOST.set(i64::MAX);
            match executed {
                Ok(_) => break,
                Err(ApplyError::OutOfMemory { bytes, .. }) => assert!(bytes > 0),
                Err(other) => panic!("{what}: {command:?}: {other}"),
            }
            assert_eq!(director.config(), before, "{what}: {command:?}");
            refused += 1;
            more += more / 6;
        }
        assert!(refused > 0, "{what}: {command:?}");
    }
    assert!(director.config().services.is_empty());
}
