//! Worker threads: each one relays connections in its own event loop.

mod dial;
mod direction;
mod event_loop;
mod session;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use mio::{Poll, Waker};
use vsched::config::ServiceKey;
use vsched::{Director, ServiceId};

use crate::Event;
use crate::capacity::Capacity;
use crate::failures::Failures;

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
    pub(crate) capacity: Arc<Capacity>,
}

/// A virtual service to listen for.
pub(crate) struct Door {
    pub(crate) key: ServiceKey,
    pub(crate) service: ServiceId,
    pub(crate) address: SocketAddr,
    /// One socket, shared by all workers: each one has a duplicate in its own poll.
    ///
    /// So a new connection wakes every idle worker, and the fastest accepts it while the others find
    /// nothing. That wastes some wake-ups, but the queue is shared: a slow worker delays no client, and a
    /// worker that ends loses no connection. A socket per worker (`SO_REUSEPORT`) has the opposite
    /// trade-off, and std cannot request it.
    pub(crate) listener: TcpListener,
}

/// A message from the main thread to a worker.
enum Order {
    Open(Door),
    Close(ServiceKey),
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
