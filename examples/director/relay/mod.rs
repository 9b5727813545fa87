//! Worker threads: each one relays connections in its own event loop.

mod dial;
mod direction;
mod event_loop;
mod recent;
mod session;
pub(crate) mod sockets;
mod splice;
mod udp;
mod udp_socket;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use mio::{Poll, Waker};
use vsched::config::ServiceKey;
use vsched::{Director, ServiceId};

use crate::Event;
use crate::capacity::Capacity;
use crate::failures::Failures;
use sockets::Socket;

/// The state that all worker threads share.
#[derive(Clone)]
pub(crate) struct Setting {
    pub(crate) director: Director,
    pub(crate) failures: Arc<Failures>,
    pub(crate) events: SyncSender<Event>,
    /// Connections that were still open when a worker stopped.
    pub(crate) cut: Arc<AtomicUsize>,
    pub(crate) connect_timeout: Duration,
    /// Idle time that ends a connection.
    pub(crate) idle_timeout: Duration,
    /// Idle time that ends a UDP session.
    pub(crate) udp_timeout: Arc<SharedDuration>,
    pub(crate) capacity: Arc<Capacity>,
}

/// A virtual service to listen for.
pub(crate) struct Door {
    pub(crate) key: ServiceKey,
    pub(crate) service: ServiceId,
    pub(crate) address: SocketAddr,
    /// UDP only: each datagram is scheduled by itself.
    pub(crate) one_packet: bool,
    pub(crate) socket: Socket,
}

/// A duration that a reload may change.
pub(crate) struct SharedDuration(AtomicU64);

impl SharedDuration {
    pub(crate) fn new(duration: Duration) -> Self {
        let shared = SharedDuration(AtomicU64::new(0));
        shared.set(duration);
        shared
    }

    // Relaxed: the value guards no other data.
    pub(crate) fn set(&self, duration: Duration) {
        self.0.store(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

/// A message from the main thread to a worker.
enum Order {
    Open(Door),
    Close(ServiceKey),
    OnePacket(ServiceKey, bool),
    /// Stop accepting; open connections may continue until then.
    Stop(Instant),
}

/// The main thread's handle of a worker thread.
pub(crate) struct WorkerThread {
    orders: Sender<Order>,
    waker: Waker,
    thread: JoinHandle<()>,
}

impl WorkerThread {
    pub(crate) fn start(number: usize, setting: &Setting) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), event_loop::WAKER)?;
        let (orders, receiver) = channel();
        let setting = setting.clone();
        let thread = Builder::new()
            .name(format!("worker-{number}"))
            .spawn(move || serve(&setting, poll, receiver))?;
        Ok(WorkerThread { orders, waker, thread })
    }

    pub(crate) fn open(&self, door: Door) {
        self.order(Order::Open(door));
    }

    pub(crate) fn close(&self, key: ServiceKey) {
        self.order(Order::Close(key));
    }

    /// Sets whether each datagram of this UDP service is scheduled by itself.
    pub(crate) fn set_one_packet(&self, key: ServiceKey, one_packet: bool) {
        self.order(Order::OnePacket(key, one_packet));
    }

    pub(crate) fn stop(&self, deadline: Instant) {
        self.order(Order::Stop(deadline));
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    fn order(&self, order: Order) {
        // Fails only if the thread has ended, which the main thread notices elsewhere.
        let _ = self.orders.send(order);
        let _ = self.waker.wake();
    }
}

fn serve(setting: &Setting, poll: Poll, orders: Receiver<Order>) {
    // Connections borrow the worker, so it lives here, outside the loop that holds them.
    let worker = setting.director.worker();
    let cut = match event_loop::EventLoop::new(&worker, setting, poll, orders).run() {
        Ok(cut) => cut,
        Err(error) => {
            let _ = setting.events.send(Event::Note(format!("a worker stopped: {error}")));
            0
        }
    };
    setting.cut.fetch_add(cut, Ordering::Relaxed);
    drop(worker);
    let _ = setting.events.send(Event::WorkerStopped);
}
