//! Under a continuous stream of signals that interrupt every system call, waits resume and still
//! end on time.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use std::{fs, io, mem};

use vsched::netlink::plan::{Drain, Ended};
use vsched::netlink::{Error, Kernel, Options, Status};

use crate::guest::note;
use crate::sync::{config, immediate, ipvs, key, large};

const PAUSE: Duration = Duration::from_micros(500);
/// Of a wait that ends by itself.
const WAIT: Duration = Duration::from_millis(300);
/// A wait that takes longer has started again with every signal.
const LIMIT: Duration = Duration::from_secs(3);

static COME: AtomicU32 = AtomicU32::new(0);

extern "C" fn come(_: c_int) {
    COME.fetch_add(1, Ordering::SeqCst);
}

/// The first thread gets them, as often as this says; zero ends them.
fn signals(pause: Duration) {
    // SAFETY: plain numbers and a pointer; zeros are a handler with no flags, SA_RESTART among them.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = come as extern "C" fn(c_int) as usize;
    // SAFETY: the handler only counts; the pointers are null or live during the call.
    let set = unsafe { libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut()) };
    let time = libc::timeval { tv_sec: 0, tv_usec: pause.subsec_micros() as libc::suseconds_t };
    let timer = libc::itimerval { it_interval: time, it_value: time };
    // SAFETY: `timer` lives during the call.
    let begun =
        unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()) };
    assert_eq!((set, begun), (0, 0));
}

/// Some work under signals. They end with it, and at the limit, for the work to end and be judged.
fn under_signals(name: &str, work: impl FnOnce()) -> Duration {
    let (before, begun) = (COME.load(Ordering::SeqCst), Instant::now());
    thread::scope(|scope| {
        let (_working, ended) = mpsc::channel::<()>();
        scope.spawn(move || {
            let _ = ended.recv_timeout(LIMIT);
            signals(Duration::ZERO);
        });
        signals(PAUSE);
        work();
    });
    let (come, took) = (COME.load(Ordering::SeqCst) - before, begun.elapsed());
    note(format!("{name}: {come} signals in {took:.1?}"));
    assert!(come > 20, "{name}: {come} signals in {took:?}");
    assert!(took < LIMIT, "{name}: {took:?}");
    took
}

pub(crate) fn all_the_time() {
    under_signals("two thousand servers", || {
        let mut ipvs = ipvs();
        for weight in 1..=5 {
            let wanted = large(20, 100, weight);
            let report = ipvs.sync(wanted.clone(), &immediate()).expect("in sync");
            assert!(report.requests() >= 2000 && report.is_complete());
            assert_eq!(ipvs.sync(wanted.clone(), &immediate()).expect("in sync").requests(), 0);
            assert_eq!(ipvs.read().expect("a reading").observed.config().services, wanted.services);
        }
    });
    assert!(under_signals("a drain to its deadline", deadline()) >= WAIT);
    let options = Options::default().with_timeout(WAIT);
    let mut kernel = Kernel::with_options(&options).expect("IPVS");
    silence();
    let silent = || {
        let error = kernel.info().expect_err("no answer");
        assert!(matches!(error, Error::Timeout(WAIT)), "{error}");
    };
    assert!(under_signals("a kernel that never answers", silent) >= WAIT);
}

/// No netlink socket of this process hears an answer from here on.
fn silence() {
    let mut nothing =
        libc::sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: 0 };
    let filter = libc::sock_fprog { len: 1, filter: &raw mut nothing };
    let names = fs::read_dir("/proc/self/fd").expect("a list").filter_map(|entry| {
        let name = entry.expect("an entry").file_name();
        name.to_str()?.parse::<c_int>().ok()
    });
    let mut silent = 0;
    for fd in names.collect::<Vec<_>>() {
        let (mut domain, mut length): (c_int, libc::socklen_t) = (0, 4);
        let (place, size) = ((&raw mut domain).cast(), &raw mut length);
        // SAFETY: the option is a number of four bytes, for which there is room.
        let read = unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_DOMAIN, place, size) };
        if read == 0 && domain == libc::AF_NETLINK {
            let (place, size) = ((&raw const filter).cast(), mem::size_of_val(&filter) as u32);
            // SAFETY: the option is a program, which lives during the call, as does what it points to.
            let set = unsafe {
                libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, place, size)
            };
            assert_eq!(set, 0, "{}", io::Error::last_os_error());
            silent += 1;
        }
    }
    assert!(silent > 0, "no netlink socket");
}

/// The drain of a server that keeps its connection.
fn deadline() -> impl FnOnce() {
    let listeners = ["127.0.9.1:80", "127.0.9.2:80"]
        .map(|address| TcpListener::bind(address).expect("a listener"));
    let rules = "-A -t 127.0.0.10:80 -s rr
        -a -t 127.0.0.10:80 -r 127.0.9.1 -m
        -a -t 127.0.0.10:80 -r 127.0.9.2 -m";
    let mut ipvs = ipvs();
    let _ = ipvs.sync(config(rules), &immediate()).expect("in sync");
    let held = [(); 2].map(|()| TcpStream::connect("127.0.0.10:80").expect("connected"));
    move || {
        let drain = Drain::default().with_deadline(WAIT).with_until(Ended::Active);
        let server = listeners[0].local_addr().expect("an address");
        let report = ipvs.drain(&key("tcp 127.0.0.10:80"), server, drain).expect("drained");
        let cut = report.outcomes().iter().any(|outcome| outcome.status == Status::CutOff(1));
        assert!(cut, "{report}");
        drop(held);
    }
}
