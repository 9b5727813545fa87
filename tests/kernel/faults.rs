//! The next sync repairs what a killed sync left, and a sync succeeds while another program changes
//! services.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use vsched::config::{Config, RealServer, ServiceKey, VirtualService};
use vsched::netlink::{Error, Ipvs, Kernel, Options, Request, Status, SyncError};

use crate::guest::{StopAtEnd, note, part};
use crate::sync::{immediate, ipvs, key, large};

const KILLS: u32 = 30;
const SERVICES: u16 = 8;
const SERVERS: u16 = 60;

/// What the process that is killed goes to and fro between: other weights, servers, a scheduler.
fn sides() -> [Config; 2] {
    let one = large(SERVICES, SERVERS, 1);
    let mut other = large(SERVICES, SERVERS, 2);
    for (index, service) in other.services.iter_mut().enumerate() {
        service.servers.drain(..20 + index);
        service.scheduler = Some("wlc".parse().expect("a scheduler"));
    }
    other.services.truncate(usize::from(SERVICES) - 2);
    [one, other]
}

/// The part that is killed.
pub(crate) fn syncing() {
    // One change a system call, for more moments to be killed in.
    let options = Options::default().with_batch(1);
    let mut ipvs = Ipvs::with_options(&options).expect("IPVS");
    let policy = all();
    println!("ready");
    for wanted in sides().iter().cycle() {
        let _ = ipvs.sync(wanted.clone(), &policy).expect("in sync");
    }
}

fn all() -> vsched::netlink::plan::Policy {
    let ownership = vsched::netlink::plan::Ownership::All;
    immediate().with_ownership(ownership)
}

/// Killed at any moment, a sync is finished by the next one.
pub(crate) fn killed() {
    let sides = sides();
    let mut halfway = 0;
    for kill in 0..KILLS {
        let mut process = part(&["env"], "syncing")
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("started");
        let mut ready = [0; 6];
        let stdout = process.stdout.as_mut().expect("a pipe");
        std::io::Read::read_exact(stdout, &mut ready).expect("it starts");
        // From the first message on, in uneven steps over several syncs.
        thread::sleep(Duration::from_micros(u64::from(kill * 2711 % 40_000)));
        process.kill().expect("killed");
        process.wait().expect("its end");
        let mut ipvs = ipvs();
        let between =
            sides.iter().all(|side| !ipvs.plan(side.clone(), &all()).expect("a plan").is_empty());
        halfway += u32::from(between);
        let wanted = &sides[kill as usize % 2];
        let _ = ipvs.sync(wanted.clone(), &all()).expect("in sync");
        let report = ipvs.sync(wanted.clone(), &all()).expect("in sync");
        assert_eq!(report.requests(), 0, "{report}");
    }
    note(format!("{halfway} of {KILLS} processes were killed halfway"));
    assert!(halfway > 2, "hardly any was halfway");
}

/// Another program adds and deletes servers in our services, deletes ours, and has its own services.
pub(crate) fn beside_a_writer() {
    let wanted = large(4, 30, 3);
    let mut ipvs = ipvs();
    let _ = ipvs.sync(wanted.clone(), &immediate()).expect("in sync");
    let stop = AtomicBool::new(false);
    let theirs = key("udp 10.0.0.9:53");
    let mut adapted = 0;
    let (mut in_sync, mut differs, mut unsettled) = (0, 0, 0);
    let written = thread::scope(|scope| {
        let writer = scope.spawn(|| interfere(&wanted, theirs, &stop));
        let end = StopAtEnd(&stop);
        let deadline = Instant::now() + Duration::from_secs(2);
        while Instant::now() < deadline {
            match ipvs.sync(wanted.clone(), &immediate()) {
                Ok(report) => {
                    in_sync += 1;
                    let around = |outcome: &vsched::netlink::Outcome<'_>| {
                        matches!(outcome.status, Status::Adapted | Status::AlreadyDone)
                    };
                    adapted += report.outcomes().iter().filter(around).count();
                }
                Err(SyncError::Differs(_)) => differs += 1,
                Err(SyncError::Kernel(Error::Unsettled { .. })) => unsettled += 1,
                Err(error) => panic!("{error}"),
            }
        }
        drop(end);
        writer.join().expect("the writer")
    });
    note(format!(
        "beside {written} writes: {in_sync} syncs came to an end, {differs} found others too \
         persistent, {unsettled} could not read; {adapted} steps went around what others did"
    ));
    assert!(in_sync + differs + unsettled > 10, "nothing was shown");
    // When they have had enough, one more is enough, and what is theirs is there.
    let report = ipvs.sync(wanted.clone(), &immediate()).expect("in sync");
    let plan = ipvs.plan(wanted.clone(), &immediate()).expect("a plan");
    assert_eq!((plan.is_empty(), plan.foreign()), (true, &[theirs][..]), "{report}");
}

fn interfere(wanted: &Config, theirs: ServiceKey, stop: &AtomicBool) -> u32 {
    let mut kernel = Kernel::open().expect("IPVS");
    kernel.execute_one(&Request::add_service(&VirtualService::new(theirs))).expect("added");
    let mut written = 0;
    for round in 0u32.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let ours = &wanted.services[round as usize % wanted.services.len()];
        let guest = RealServer::new(([10, 99, 0, 1], 80).into());
        let victim = &ours.servers[round as usize % ours.servers.len()];
        // Refusals are part of the game: the other side is at work.
        for request in [
            Request::add_server(&ours.key, &guest),
            Request::delete_server(&ours.key, victim.address),
            Request::add_server(&theirs, &guest),
            Request::edit_server(&ours.key, &victim.clone().with_weight(9)),
            Request::delete_server(&ours.key, guest.address),
            Request::edit_service(&ours.settings()),
        ] {
            let answered = kernel.execute(&[request]).expect("answers");
            written += u32::from(answered.is_empty());
            thread::yield_now();
        }
        if round % 8 == 7 {
            thread::sleep(Duration::from_millis(1));
        }
    }
    written
}
