//! Errors of the exchange with a kernel say what happened, and to what.

use std::io;

use vsched::config::{ServiceKey, SyncRole};
use vsched::netlink::wire::Command;
use vsched::netlink::{Cause, Error, Failure, Object, Refused, Stopped};

use Command::{
    DelDaemon, DelDest, DelService, GetInfo, NewDaemon, NewDest, NewService, SetConfig, SetDest,
    SetService, Zero,
};

fn key() -> ServiceKey {
    "tcp 10.0.0.1:80".parse().expect("a key")
}

/// Errno, commands, cause, how the text begins.
#[test]
fn an_error_number_means_what_the_command_says() {
    let cases: &[(i32, &[Command], Cause, &str)] = &[
        (17, &[NewService, NewDest], Cause::Exists, "it exists already ("),
        (17, &[NewDaemon], Cause::Exists, "it runs already ("),
        (3, &[DelDaemon], Cause::NoDaemon, "no such daemon runs ("),
        (3, &[SetService, NewDest, Zero], Cause::NoService, "no such service ("),
        (2, &[NewService, SetService], Cause::NoScheduler, "no such scheduler or persistence"),
        (2, &[NewDest, SetDest, DelDest, Zero], Cause::NoServer, "no such server ("),
        (2, &[DelService], Cause::Other, "the kernel refuses it ("),
        (19, &[NewDaemon], Cause::NoInterface, "no such network interface ("),
        (19, &[NewDest], Cause::Other, "the kernel refuses it ("),
        (22, &[NewDest, SetDest], Cause::Invalid, "not acceptable: an address that is not unicast"),
        (22, &[NewService, SetService], Cause::Invalid, "not acceptable: a scheduler name"),
        (22, &[NewDaemon], Cause::Invalid, "not acceptable: a group that is not multicast"),
        (22, &[SetConfig], Cause::Invalid, "not acceptable: a timeout that is too long ("),
        (22, &[DelDest], Cause::Invalid, "not acceptable ("),
        (34, &[NewDest], Cause::Range, "out of range: a weight above 2147483647"),
        (97, &[NewService], Cause::Family, "the kernel does not support this address family ("),
        (1, &[NewDest], Cause::Permission, "CAP_NET_ADMIN in the initial user namespace"),
        (13, &[GetInfo], Cause::Permission, "CAP_NET_ADMIN in the initial user namespace"),
        (12, &[NewDest], Cause::Memory, "the kernel is short of memory ("),
        (95, &[Zero], Cause::Unsupported, "the kernel does not know this command ("),
        (92, &[Zero], Cause::Unsupported, "the kernel does not know this command ("),
        (5, &[NewDest], Cause::Other, "the kernel refuses it ("),
    ];
    for (errno, commands, cause, words) in cases {
        for command in *commands {
            let refused = Refused::new(*command, Object::Timeouts, *errno);
            assert_eq!((refused.errno(), refused.cause()), (*errno, *cause), "{command}");
            let text = refused.to_string();
            assert!(text.starts_with(&format!("timeouts: {command}: {words}")), "{text}");
            let system = io::Error::from_raw_os_error(*errno);
            assert!(text.ends_with(&format!(" ({system})")), "{text}");
        }
    }
}

#[test]
fn objects_are_named() {
    let server = "10.0.1.1:80".parse().expect("an address");
    for (object, name) in [
        (Object::Everything, "everything"),
        (Object::Service(key()), "service tcp 10.0.0.1:80"),
        (Object::Server(key(), server), "service tcp 10.0.0.1:80: server 10.0.1.1:80"),
        (Object::Daemon(SyncRole::Master), "daemon master"),
        (Object::Daemon(SyncRole::Backup), "daemon backup"),
        (Object::Timeouts, "timeouts"),
    ] {
        assert_eq!(object.to_string(), name);
    }
}

#[test]
fn a_batch_that_stops_says_how_far_it_came() {
    let refused = Refused::new(Command::Zero, Object::Everything, 1);
    let failures = vec![Failure::new(1, refused)];
    let mut stopped = Stopped::new(Error::Lost, 2, 5);
    stopped.failures = failures;
    let text = stopped.to_string();
    assert_eq!(text, format!("{}; 2 of 5 requests sent are answered, 1 refused", Error::Lost));
}
