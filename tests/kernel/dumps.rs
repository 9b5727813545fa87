//! If a kernel refuses the socket options that list IPv4 servers, `sync` and its verification work
//! without them.

use std::ffi::c_int;
use std::thread;

use vsched::netlink::plan::Guardrails;
use vsched::netlink::{Ipvs, Request};

use crate::seccomp::{self, Call, IPV4_SOCKET, LIST_SERVERS, LIST_SERVICES};
use crate::sync::{config, immediate};
use crate::verify::{DIFFERENCES, WANTED, change, runs};

/// What is refused, how, and whether from the beginning or when it has been used already.
const REFUSALS: &[(&[Call], c_int, bool)] = &[
    (&[LIST_SERVERS, LIST_SERVICES], libc::EPERM, true),
    (&[LIST_SERVERS, LIST_SERVICES], libc::ENOPROTOOPT, false),
    (&[LIST_SERVERS], libc::EPERM, false),
    (&[LIST_SERVICES], libc::EPERM, false),
    // Where services may have sockets of some families only.
    (&[IPV4_SOCKET], libc::EAFNOSUPPORT, true),
];

pub(crate) fn without_lists() {
    let mut theirs = crate::sync::ipvs();
    for refusal in REFUSALS {
        // Refusals are a thread's own.
        thread::scope(|scope| {
            let syncing = scope.spawn(|| refused(*refusal, &mut theirs));
            assert!(syncing.join().is_ok(), "{refusal:?}");
        });
        theirs.kernel().execute_one(&Request::flush()).expect("flushed");
    }
}

fn refused((calls, errno, early): (&[Call], c_int, bool), theirs: &mut Ipvs) {
    let refuse = |now| {
        if now {
            assert!(calls.iter().all(|call| call.fails() != Some(errno)));
            seccomp::answer(calls, errno);
            assert!(calls.iter().all(|call| call.fails() == Some(errno)));
        }
    };
    let wanted = config(WANTED);
    // A server of another owner may be a service's only one.
    let guardrails = Guardrails::default().with_may_close_services(true);
    let policy = immediate().with_guardrails(guardrails);
    refuse(early);
    let mut ipvs = crate::sync::ipvs();
    let report = ipvs.sync(wanted.clone(), &policy).expect("in sync");
    assert!(report.requests() > 0 && report.is_complete(), "{report}");
    refuse(!early);
    assert!(runs(&mut ipvs, &wanted));
    assert_eq!(ipvs.sync(wanted.clone(), &policy).expect("in sync").requests(), 0);
    for (difference, _) in DIFFERENCES {
        change(theirs, difference);
        assert!(!runs(&mut ipvs, &wanted), "{difference}");
        let report = ipvs.sync(wanted.clone(), &policy).expect("in sync");
        assert!(report.requests() > 0, "{difference}");
        assert!(runs(&mut ipvs, &wanted), "{difference}");
    }
}
