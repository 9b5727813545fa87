//! The kernel's refusals are reported with their reasons.

use vsched::config::{
    Forwarding, Netmask, Persistence, RealServer, ServiceKey, SyncDaemon, SyncRole, Timeouts,
    Tunnel, TunnelChecksum, VirtualService,
};
use vsched::netlink::{Cause, Error, Kernel, Object, Refused, Request};

use crate::guest::part;
use crate::objects::{everything, running};

pub(crate) fn without_ipvs() {
    let Err(error) = Kernel::open().map(|_| ()) else { panic!("IPVS is there already") };
    assert!(matches!(error, Error::Absent), "{error:?}");
    assert_eq!(error.to_string(), "this kernel has no IPVS: load it with `modprobe ip_vs`");
}

fn key(text: &str) -> ServiceKey {
    text.parse().expect("a key")
}

fn server(address: &str) -> RealServer {
    let address = address.parse().expect("an address");
    RealServer::new(address).with_forwarding(Forwarding::Masq)
}

fn refused(kernel: &mut Kernel, request: &Request) -> Refused {
    match kernel.execute_one(request) {
        Err(Error::Refused(refused)) => refused,
        other => panic!("{request:?}: {other:?}"),
    }
}

pub(crate) fn matrix() {
    let config = everything();
    let mut kernel = running(&config);
    let (known, unknown) = (key("tcp 10.0.0.1:80"), key("tcp 10.0.0.99:80"));
    let service = VirtualService::new;
    let engine = service(unknown).with_persistence_engine("nosuch");
    let engine = engine.with_persistence(Persistence::default());
    let prefix = Persistence::default().with_netmask(Netmask::Inet6(129));
    let prefix = service(key("fwmark 9 inet6")).with_persistence(prefix);
    let gue = Tunnel::Gue { port: 0, checksum: TunnelChecksum::None };
    let gue = server("10.9.0.50:80").with_forwarding(Forwarding::Tunnel(gue));
    let daemon = SyncDaemon::new(SyncRole::Master, "nosuch0");
    let timeouts = Timeouts::default().with_tcp(u32::MAX);
    let heavy = server("10.9.0.50:80").with_weight(1 << 31);
    let limits = server("10.9.0.50:80").with_thresholds(1, 2);
    let other_family = server("[fd09::9]:80").with_forwarding(Forwarding::Route);
    let (here, there) = (server("10.9.0.1:80"), server("10.9.0.200:80"));
    for (request, cause, errno) in [
        (Request::add_service(&service(known)), Cause::Exists, libc::EEXIST),
        (Request::edit_service(&service(unknown)), Cause::NoService, libc::ESRCH),
        (Request::delete_service(&unknown), Cause::NoService, libc::ESRCH),
        (Request::zero_service(&unknown), Cause::NoService, libc::ESRCH),
        (Request::add_service(&engine), Cause::NoScheduler, libc::ENOENT),
        (Request::add_service(&prefix), Cause::Invalid, libc::EINVAL),
        (Request::add_server(&known, &here), Cause::Exists, libc::EEXIST),
        (Request::add_server(&unknown, &here), Cause::NoService, libc::ESRCH),
        (Request::edit_server(&known, &there), Cause::NoServer, libc::ENOENT),
        (Request::delete_server(&known, there.address), Cause::NoServer, libc::ENOENT),
        (Request::delete_server(&unknown, there.address), Cause::NoService, libc::ESRCH),
        (Request::add_server(&known, &server("224.0.0.1:80")), Cause::Invalid, libc::EINVAL),
        (Request::add_server(&known, &server("255.255.255.255:80")), Cause::Invalid, libc::EINVAL),
        (Request::add_server(&known, &gue), Cause::Invalid, libc::EINVAL),
        (Request::add_server(&known, &other_family), Cause::Invalid, libc::EINVAL),
        (Request::add_server(&known, &heavy), Cause::Range, libc::ERANGE),
        (Request::add_server(&known, &limits), Cause::Range, libc::ERANGE),
        (Request::set_timeouts(timeouts), Cause::Invalid, libc::EINVAL),
        (Request::stop_daemon(SyncRole::Backup), Cause::NoDaemon, libc::ESRCH),
    ] {
        let refused = refused(&mut kernel, &request);
        assert_eq!((refused.cause(), refused.errno()), (cause, errno), "{refused}");
        assert_eq!(refused.object(), request.object());
        assert_eq!(refused.command(), request.message().command);
    }
    // Servers of another family stand in the way of daemons, and tell before interfaces do.
    let refused_daemon = refused(&mut kernel, &Request::start_daemon(&daemon));
    assert_eq!(refused_daemon.cause(), Cause::Invalid, "{refused_daemon}");
    assert_eq!(kernel.read().expect("a reading").observed.config().services, config.services);
    kernel.execute_one(&Request::flush()).expect("flushed");
    let refused_daemon = refused(&mut kernel, &Request::start_daemon(&daemon));
    assert_eq!(refused_daemon.cause(), Cause::NoInterface, "{refused_daemon}");
    assert_eq!(refused_daemon.object(), Object::Daemon(SyncRole::Master));
    // A name that is too long does not reach the kernel.
    let mut long = daemon;
    long.interface = "sixteen-letters-".into();
    let Err(Error::Wire(error)) = kernel.execute_one(&Request::start_daemon(&long)) else {
        panic!("a long name was sent")
    };
    assert_eq!(
        error.to_string(),
        "NEW_DAEMON: DAEMON.MCAST_IFN: \"sixteen-letters-\" is not a name of at most 15 bytes"
    );
    let text = refused(&mut kernel, &Request::delete_service(&unknown)).to_string();
    assert_eq!(
        text,
        "service tcp 10.0.0.99:80: DEL_SERVICE: no such service (No such process (os error 3))"
    );
    assert!(part(&["unshare", "-n"], "without_address").status().expect("a part").success());
}

/// A namespace that never had an address has no idea of unicast.
pub(crate) fn without_address() {
    let key = key("tcp 10.0.0.1:80");
    let mut kernel = Kernel::open().expect("IPVS");
    kernel.execute_one(&Request::add_service(&VirtualService::new(key))).expect("added");
    let refused = refused(&mut kernel, &Request::add_server(&key, &server("10.9.0.1:80")));
    assert_eq!(refused.cause(), Cause::Invalid);
    assert!(refused.to_string().contains("a namespace without any address takes none"));
}

pub(crate) fn permission() {
    assert!(
        part(&["unshare", "-U", "-r", "-n"], "unprivileged").status().expect("a part").success()
    );
}

/// As root of a user namespace: the family is found, and nothing else allowed.
pub(crate) fn unprivileged() {
    let mut kernel = Kernel::open().expect("IPVS");
    let Err(Error::Refused(info)) = kernel.info() else { panic!("info is not refused") };
    let service = VirtualService::new(key("fwmark 1"));
    let add = refused(&mut kernel, &Request::add_service(&service));
    let Err(Error::Refused(read)) = kernel.read() else { panic!("reading is not refused") };
    for refused in [info, add, read] {
        assert_eq!((refused.cause(), refused.errno()), (Cause::Permission, libc::EPERM));
        assert!(refused.to_string().contains("CAP_NET_ADMIN"), "{refused}");
    }
}

/// What others may run and we have no words for is told apart, and all the rest is read.
pub(crate) fn unreadable() {
    // ICMP, which neither ipvsadm nor this crate can say: a service of another program.
    let known = key("tcp 10.0.0.1:80");
    let ours = VirtualService::new(known).with_server(server("10.9.0.1:80"));
    let config = vsched::Config::new().with_service(ours);
    let mut kernel = running(&config);
    let before = kernel.read().expect("a reading");
    assert_eq!(before.unreadable, []);
    // Forwarding methods 5 to 7 have no name; the kernel takes them.
    let request = Request::add_server(&known, &server("10.9.0.2:80"));
    let mut message = request.message();
    message.dest.as_mut().expect("a server").forwarding = Some(5);
    kernel.execute_one(&Request::raw(message, request.object())).expect("added");
    let request = Request::add_service(&VirtualService::new(key("tcp 10.0.0.2:80")));
    let mut message = request.message();
    message.service.as_mut().expect("a service").protocol = Some(1);
    kernel.execute_one(&Request::raw(message, request.object())).expect("added");
    let daemon = SyncDaemon::new(SyncRole::Master, "lo");
    let request = Request::start_daemon(&daemon);
    let mut message = request.message();
    message.daemon.as_mut().expect("a daemon").sync_id = Some(300);
    kernel.execute_one(&Request::raw(message, request.object())).expect("started");
    let after = kernel.read().expect("a reading");
    assert_eq!(after.observed, before.observed);
    let mut told: Vec<String> = after.unreadable.iter().map(|u| u.error.to_string()).collect();
    told.sort();
    assert_eq!(
        told,
        [
            "NEW_DAEMON: DAEMON.SYNC_ID: 300 is more than 255",
            "NEW_DEST: DEST.FWD_METHOD: 5 is not one of 0 to 4",
            "NEW_SERVICE: SERVICE.PROTOCOL: 1 is none of 6 (tcp), 17 (udp), 132 (sctp)",
        ]
    );
    let address = "10.9.0.2:80".parse().expect("an address");
    assert!(after.unreadable.iter().any(|u| u.object == Some(Object::Server(known, address))));
}
