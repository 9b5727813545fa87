//! A reading is complete and has no duplicates, even while another program writes.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use vsched::config::{Config, Forwarding, ObservedServer, RealServer, ServiceKey, VirtualService};
use vsched::netlink::{Error, Kernel, Request};

use crate::guest::note;
use crate::objects::running;

/// Untouched servers, enough for two datagrams. With that many, and a writer in this rhythm,
/// one reading in seventy was wrong when both its dumps were cut at the same place.
const STEADY: u16 = 100;
const TIME: Duration = Duration::from_secs(2);

fn server(port: u16) -> RealServer {
    let address: SocketAddr = ([10, 9, 0, 1], port).into();
    RealServer::new(address).with_forwarding(Forwarding::Masq)
}

/// True if every untouched server is there exactly once.
fn is_whole(servers: &[ObservedServer]) -> bool {
    let steady = servers.iter().map(|server| server.server.address.port());
    let steady: Vec<u16> = steady.filter(|port| *port <= STEADY).collect();
    let distinct: HashSet<u16> = steady.iter().copied().collect();
    (steady.len(), distinct.len()) == (STEADY.into(), STEADY.into())
}

pub(crate) fn beside_a_writer() {
    let key: ServiceKey = "tcp 10.0.0.1:80".parse().expect("a key");
    let service = VirtualService::new(key).with_servers((1..=STEADY).map(server).collect());
    let mut kernel = running(&Config::new().with_service(service));
    let stop = AtomicBool::new(false);
    let written = AtomicU32::new(0);
    let (mut whole, mut torn, mut agreed, mut wrong, mut unsettled) = (0, 0, 0, 0, 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut kernel = Kernel::open().expect("IPVS");
            // Each new one goes to the head of the list, and what follows moves.
            let guest = server(STEADY + 1);
            let add = Request::add_server(&key, &guest);
            let delete = Request::delete_server(&key, guest.address);
            // One step at a time, so that readings begin with and without it.
            for step in [&add, &delete].into_iter().cycle() {
                kernel.execute_one(step).expect("carried out");
                written.fetch_add(1, Ordering::SeqCst);
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                thread::sleep(Duration::from_micros(100));
            }
        });
        let begun = Instant::now();
        while begun.elapsed() < TIME {
            let once = kernel.read_servers_once(&key).expect("servers");
            *(if is_whole(&once) { &mut whole } else { &mut torn }) += 1;
            match kernel.read_servers(&key) {
                Ok(servers) if is_whole(&servers) => agreed += 1,
                Ok(_) => wrong += 1,
                Err(Error::Unsettled { .. }) => unsettled += 1,
                Err(error) => panic!("{error}"),
            }
        }
        stop.store(true, Ordering::SeqCst);
    });
    let written = written.into_inner();
    note(format!(
        "beside {written} writes: {torn} of {} single dumps were torn; {agreed} readings agreed, \
         {wrong} wrongly, {unsettled} did not",
        whole + torn
    ));
    assert!(torn > 0 && agreed > 0, "nothing was shown");
    assert_eq!(wrong, 0, "readings that agreed on something wrong");
}
