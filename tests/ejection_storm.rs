//! Workers report failures while a director ticks and reloads: at no moment are more servers ejected than
//! may be, and in the end every place in the budget is free.

mod common;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use common::{config, flow, rip, vip};
use vsched::config::{Ejection, ServiceKey, Sharing};
use vsched::{Config, Director, Outcome, SchedulerKind};

const SERVERS: u16 = 10;
const WORKERS: u32 = 4;
const ROUNDS: u32 = 400;

fn key() -> ServiceKey {
    ServiceKey::tcp(vip(0))
}

fn ejected(director: &Director) -> usize {
    let observed = director.observe();
    let service = observed.services.iter().find(|service| service.settings.key == key());
    service
        .map_or(0, |service| service.servers.iter().filter(|server| server.health.ejected).count())
}

fn storm(base: &Config) {
    let director = Director::new(base).expect("a valid config");
    director.tick(Duration::ZERO);
    let (running, failures) = (AtomicBool::new(true), AtomicU32::new(0));
    thread::scope(|scope| {
        for number in 0..WORKERS {
            let (director, running, failures) = (&director, &running, &failures);
            scope.spawn(move || {
                let worker = director.worker();
                let mut random = number + 1;
                while running.load(Ordering::Relaxed) {
                    random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    // Deleted now and then.
                    let Some(service) = director.service_by_key(&key()) else { continue };
                    let Ok(connection) = worker.connect(service, &flow(random)) else { continue };
                    let bad = connection.server().to_raw()[0] % 3 == (random >> 20) % 3;
                    failures.fetch_add(u32::from(bad), Ordering::Relaxed);
                    let outcome = if bad { Outcome::Failed } else { Outcome::Done };
                    connection.finish(outcome, None).expect("it is open");
                }
            });
        }
        // However slow the workers are beside it.
        let enough = |round| round >= ROUNDS && failures.load(Ordering::Relaxed) > 1000;
        for round in (0..1000 * ROUNDS).take_while(|round| !enough(*round)) {
            let mut config = base.clone();
            let service = &mut config.services[0];
            match round % 8 {
                1 => _ = service.servers.remove((round / 8 % 10) as usize),
                3 => service.ejection = None,
                4 => service.servers.truncate(4),
                6 if round % 3 == 0 => config.services.clear(),
                _ => {}
            }
            director.apply(&config).expect("valid");
            director.tick(Duration::from_secs(round.into()));
            let count = config.services.first().map_or(0, |service| service.servers.len());
            let now = ejected(&director);
            assert!(2 * now <= count, "{now} of {count}");
        }
        running.store(false, Ordering::Relaxed);
    });
    assert!(failures.into_inner() > 1000, "workers failed too seldom to say anything");
    // All places are free: half of the servers can be ejected, and no more.
    director.apply(base).expect("valid");
    let worker = director.worker();
    let server = |n| common::server_id(&director, &key(), rip(n)).expect("it runs");
    let report = |n, outcome| worker.report(server(n), outcome, None).expect("it runs");
    (1..=SERVERS).for_each(|n| report(n, Outcome::Done));
    // The first tick notes the latest ejections, the second ends them.
    director.tick(Duration::from_secs(1_000_000));
    director.tick(Duration::from_secs(2_000_000));
    (1..=SERVERS).for_each(|n| report(n, Outcome::Done));
    director.tick(Duration::from_secs(2_000_001));
    assert_eq!(ejected(&director), 0);
    for n in 1..=SERVERS {
        for _ in 0..2 {
            report(n, Outcome::Failed);
        }
        assert_eq!(ejected(&director), usize::from(n.min(SERVERS / 2)), "{n}");
    }
}

#[test]
fn ejections_stay_within_the_share_under_load() {
    for kind in [SchedulerKind::Rr, SchedulerKind::Wlc] {
        for sharing in [Sharing::Exact, Sharing::PerWorker] {
            let mut config = config(kind, SERVERS, &[1]);
            let service = &mut config.services[0];
            service.sharing = sharing;
            service.ejection = Some(Ejection::default().with_failures(2).with_base_time(1));
            storm(&config);
        }
    }
}
