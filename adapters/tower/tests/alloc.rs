//! A request that succeeds at its first attempt allocates nothing.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::net::SocketAddr;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use tower::Service;
use vsched::{Config, Director};
use vsched_tower::{BalanceLayer, Fixed};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: as our caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as our caller promises.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[derive(Clone)]
struct Echo {
    fails: bool,
}

impl Service<u64> for Echo {
    type Response = u64;
    type Error = Infallible;
    type Future = Ready<Result<u64, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u64) -> Self::Future {
        ready(Ok(if self.fails { 0 } else { request }))
    }
}

#[test]
fn a_request_allocates_nothing() {
    let config: Config = "-A -t 10.0.0.1:80 -s wlc\n-a -t 10.0.0.1:80 -r 10.0.1.1:80 -m\n\
                          -a -t 10.0.0.1:80 -r 10.0.1.2:80 -m --vsched-priority 1"
        .parse()
        .expect("valid rules");
    let director = Director::new(&config).expect("a valid config");
    let counted = |fails| {
        let address = |n: u8| SocketAddr::from(([10, 0, 1, n], 80));
        let services = [(address(1), Echo { fails }), (address(2), Echo { fails: false })];
        let verdict = |result: Result<&u64, &Infallible>| match result {
            Ok(0) => vsched_tower::Verdict::RETRY,
            _ => vsched_tower::Verdict::DONE,
        };
        let mut balance = BalanceLayer::new(director.handle(), "tcp 10.0.0.1:80")
            .expect("it runs")
            .classify(verdict)
            .retry(2, |request: &u64| Some(*request))
            .balance(services.into_iter().collect::<Fixed<_, _>>());
        let mut cx = Context::from_waker(Waker::noop());
        let mut send = |request| {
            assert!(balance.poll_ready(&mut cx).is_ready());
            let future = pin!(balance.call(request));
            assert!(matches!(future.poll(&mut cx), Poll::Ready(Ok(answer)) if answer == request));
        };
        // The thread's first call makes its worker.
        send(1);
        let before = ALLOCATIONS.get();
        (2..1_002).for_each(send);
        ALLOCATIONS.get() - before
    };
    assert_eq!(counted(false), 0);
    // One list of tried servers per request: the counting works.
    assert_eq!(counted(true), 1_000);
}
