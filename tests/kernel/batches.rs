//! In batches of any size, each refusal is reported for its own request, and a request that cannot
//! be written stops the batch before it.

use std::net::SocketAddr;
use std::time::Instant;

use vsched::config::{Config, Forwarding, RealServer, ServiceKey, VirtualService};
use vsched::netlink::{Cause, Error, Kernel, Options, Request};

use crate::guest::note;
use crate::objects::{building, running};

const SERVICES: u16 = 100;
const SERVERS: u8 = 100;

fn key(index: u16) -> ServiceKey {
    ServiceKey::tcp(([10, 0, 0, 1], index + 1).into())
}

fn server(service: u16, index: u8) -> RealServer {
    let address: SocketAddr = ([10, 9, service as u8, index + 1], 80).into();
    RealServer::new(address).with_forwarding(Forwarding::Masq)
}

fn large(base: u16, services: u16) -> Config {
    let service = |index: u16| {
        VirtualService::new(key(base + index))
            .with_scheduler("wrr".parse().expect("wrr"))
            .with_servers((0..SERVERS).map(|place| server(index, place)).collect())
    };
    Config::new().with_services((0..services).map(service).collect())
}

fn rate(count: usize, begun: Instant) -> f64 {
    count as f64 / begun.elapsed().as_secs_f64() / 1000.0
}

/// Refusals are found by number, wherever they stand, in batches of any size.
pub(crate) fn places() {
    for batch in [1, 7, 128] {
        let mut kernel = Kernel::with_options(&Options::default().with_batch(batch)).expect("IPVS");
        kernel.execute_one(&Request::flush()).expect("flushed");
        let mut requests = vec![Request::add_service(&VirtualService::new(key(0)))];
        for place in 0..SERVERS {
            requests.push(Request::add_server(&key(0), &server(0, place)));
            if place % 7 == 3 {
                // Twice: the second one is refused.
                requests.push(Request::add_server(&key(0), &server(0, place)));
            }
            if place % 10 == 9 {
                requests.push(Request::delete_service(&key(9)));
            }
        }
        let failures = kernel.execute(&requests).expect("answers");
        assert_eq!(failures.len(), 14 + 10);
        for failure in &failures {
            let request = &requests[failure.index];
            assert_eq!(failure.refused.object(), request.object());
            let again = failure.index > 0 && requests[failure.index - 1] == *request;
            let cause = if again { Cause::Exists } else { Cause::NoService };
            assert_eq!(failure.refused.cause(), cause);
        }
        assert!(failures.is_sorted_by_key(|failure| failure.index));
        assert_eq!(kernel.read_servers(&key(0)).expect("servers").len(), usize::from(SERVERS));
    }
}

/// A request that cannot be written stops the batch in front of the system call it would be in.
pub(crate) fn unwritable() {
    let mut kernel = Kernel::with_options(&Options::default().with_batch(10)).expect("IPVS");
    let mut requests = building(&large(0, 1));
    let engine = Some("longer-than-sixteen".into());
    let mut service = VirtualService::new(key(5));
    service.persistence_engine = engine;
    requests.insert(35, Request::add_service(&service));
    let stopped = kernel.execute(&requests).expect_err("a name that is too long");
    assert!(matches!(stopped.error, Error::Wire(_)), "{stopped}");
    assert_eq!((stopped.answered, stopped.sent, &stopped.failures[..]), (30, 30, &[][..]));
    assert_eq!(kernel.read_servers(&key(0)).expect("servers").len(), 29);
}

pub(crate) fn ten_thousand() {
    let config = large(0, SERVICES);
    let requests = building(&config);
    let mut kernel = Kernel::open().expect("IPVS");
    let begun = Instant::now();
    assert_eq!(kernel.execute(&requests).expect("answers"), []);
    let batched = rate(requests.len(), begun);
    let begun = Instant::now();
    let reading = kernel.read().expect("a reading");
    let servers = usize::from(SERVICES) * usize::from(SERVERS);
    // Read twice, for the two to agree.
    let twice = rate(2 * servers, begun);
    assert_eq!(reading.observed.config().services, config.services);
    // Once more, every single one is refused, and none is lost.
    let begun = Instant::now();
    let failures = kernel.execute(&requests).expect("answers");
    let refused = rate(requests.len(), begun);
    assert!(failures.iter().map(|failure| failure.index).eq(0..requests.len()));
    assert!(failures.iter().all(|failure| failure.refused.cause() == Cause::Exists));
    // One by one, some of it.
    let single = building(&large(SERVICES, 20));
    let mut alone = Kernel::with_options(&Options::default().with_batch(1)).expect("IPVS");
    let begun = Instant::now();
    assert_eq!(alone.execute(&single).expect("answers"), []);
    let one_by_one = rate(single.len(), begun);
    note(format!(
        "thousands a second: {batched:.0} adds in batches, {one_by_one:.0} one by one, \
         {refused:.0} refusals in batches, {twice:.0} servers read"
    ));
}

/// With hardly any receive buffer not all refusals fit: that is told, and the connection lives on.
pub(crate) fn lost() {
    let config = large(0, 1);
    let mut kernel = running(&config);
    let options = Options::default().with_receive_buffer(4096);
    let mut small = Kernel::with_options(&options).expect("IPVS");
    let once = building(&config);
    let requests = [&once[..], &once[..], &once[..]].concat();
    let stopped = small.execute(&requests).expect_err("answers are lost");
    assert!(matches!(stopped.error, Error::Lost), "{stopped}");
    assert_eq!((stopped.answered, stopped.sent), (0, 128));
    assert!((1..128).contains(&stopped.failures.len()), "{stopped}");
    // Those that came are true.
    let exists = |failure: &vsched::netlink::Failure| failure.refused.cause() == Cause::Exists;
    assert!(stopped.failures.iter().all(exists));
    for _ in 0..3 {
        assert!(small.info().expect("info").version.is_some());
        let reading = small.read().expect("a reading");
        assert_eq!(reading.observed.config().services, config.services);
    }
    // With the usual buffer the same goes through.
    assert_eq!(kernel.execute(&requests).expect("answers").len(), requests.len());
}
