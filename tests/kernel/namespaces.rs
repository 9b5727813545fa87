//! The IPVS of another network namespace can be read and changed.

use std::fs::read_link;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use vsched::config::{ServiceKey, VirtualService};
use vsched::netlink::{Error, Kernel, Namespace, Request};

use crate::guest::shell;

fn service() -> VirtualService {
    VirtualService::new("fwmark 7".parse::<ServiceKey>().expect("a key"))
}

/// A service that is made there is there and not here, and the thread is where it was.
fn is_another(namespace: Namespace) {
    let own = read_link("/proc/thread-self/ns/net").expect("a link");
    let mut there = Kernel::open_in(namespace.clone()).expect("IPVS there");
    there.execute_one(&Request::add_service(&service())).expect("added");
    let mut here = Kernel::open().expect("IPVS here");
    assert_eq!(here.read().expect("a reading").observed.services.len(), 0);
    let mut again = Kernel::open_in(namespace).expect("IPVS there");
    let found = again.read().expect("a reading").observed.config().services;
    assert_eq!(found, [service()]);
    assert_eq!(read_link("/proc/thread-self/ns/net").expect("a link"), own);
}

pub(crate) fn by_path() {
    assert!(shell("ip netns add blue"));
    is_another(Namespace::at("/run/netns/blue"));
    let missing = Kernel::open_in(Namespace::at("/run/netns/green")).map(|_| ());
    let Err(Error::Namespace { path, source, .. }) = missing else { panic!("{missing:?}") };
    assert_eq!(path, Path::new("/run/netns/green"));
    assert_eq!(source.kind(), std::io::ErrorKind::NotFound);
    // A file that is no namespace.
    let wrong = Kernel::open_in(Namespace::at("/proc/version")).map(|_| ());
    assert!(matches!(wrong, Err(Error::Namespace { .. })), "{wrong:?}");
}

pub(crate) fn by_process() {
    let own = read_link("/proc/self/ns/net").expect("a link");
    let mut process = Command::new("unshare").args(["-n", "sleep", "60"]).spawn().expect("started");
    let namespace = Namespace::of_process(process.id());
    let deadline = Instant::now() + Duration::from_secs(10);
    while read_link(namespace.path()).expect("a link") == own {
        assert!(Instant::now() < deadline, "it never leaves");
        thread::sleep(Duration::from_millis(5));
    }
    is_another(namespace);
    process.kill().expect("ended");
    process.wait().expect("ended");
}
