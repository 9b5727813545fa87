//! Endpoints that a `Discover` inserts and removes.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, TryLockError};
use std::task::{Context, Poll, Wake, Waker};

use tower::BoxError;
use tower::discover::{Change, Discover};
use vsched::config::{Command, RealServer, ServiceKey};
use vsched::{Director, Pick};

use crate::changes::Changes;
use crate::endpoints::{EndpointKey, Endpoints};
use crate::telemetry;

/// The inner services that a [`Discover`] provides.
///
/// At first the config is the truth: it says which servers take part and with what weight, and discovery
/// supplies the services. A server without a service is passed over, and a service without a server gets
/// no request. With [`editing`](Self::editing) discovery is the truth, and edits the config.
///
/// The stream is polled when it has woken its task, by the next request's `poll_ready`, or by a request
/// that waits for an endpoint. No task of its own runs.
///
/// ```
/// use std::net::SocketAddr;
/// use tower::discover::ServiceList;
/// use vsched_tower::{Discovered, EndpointKey};
/// # #[derive(Clone)] struct Client;
/// # impl tower::Service<()> for Client {
/// #     type Response = (); type Error = std::convert::Infallible;
/// #     type Future = std::future::Ready<Result<(), Self::Error>>;
/// #     fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> { std::task::Poll::Ready(Ok(())) }
/// #     fn call(&mut self, _: ()) -> Self::Future { std::future::ready(Ok(())) }
/// # }
/// # fn example(discover: impl tower::discover::Discover<Key = SocketAddr, Service = Client, Error = std::io::Error>) {
/// let endpoints = Discovered::new(discover);
/// # }
/// ```
pub struct Discovered<D: Discover> {
    services: RwLock<HashMap<D::Key, D::Service>>,
    stream: Mutex<Stream<D>>,
    alarm: Arc<Alarm>,
}

struct Stream<D: Discover> {
    /// `None` once it has ended.
    discover: Option<Pin<Box<D>>>,
    edit: Option<Edit<D::Key, D::Service>>,
}

/// Describes the server of an endpoint.
type Describe<K, S> = Box<dyn Fn(&K, &S) -> RealServer + Send>;

/// How discovery edits the config.
struct Edit<K, S> {
    director: Director,
    service: ServiceKey,
    describe: Describe<K, S>,
    added: HashMap<K, SocketAddr>,
}

/// The waker of the stream.
struct Alarm {
    /// The stream has something new, or was never polled.
    ringing: AtomicBool,
    changes: Changes,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Release: pairs with the swap in `update`, which then polls what was ready before this call.
        self.ringing.store(true, Ordering::Release);
        self.changes.wake();
    }
}

impl<D> Discovered<D>
where
    D: Discover,
    D::Key: EndpointKey,
{
    /// Returns the endpoints of this stream.
    pub fn new(discover: D) -> Self {
        let alarm = Alarm { ringing: AtomicBool::new(true), changes: Changes::new() };
        let stream = Stream { discover: Some(Box::pin(discover)), edit: None };
        Discovered {
            services: RwLock::default(),
            stream: Mutex::new(stream),
            alarm: Arc::new(alarm),
        }
    }

    /// Makes discovery edit this service's config: an inserted endpoint adds a server as `describe` says
    /// (address, weight, thresholds, user data), or replaces the description of the one with that
    /// address; a removed one deletes it, and the connections that it has continue to count. Servers that
    /// discovery did not insert stay as they are.
    ///
    /// An edit takes the director's lock and costs what
    /// [`Director::execute`](vsched::Director::execute) does, in the `poll_ready` that takes the change
    /// in. Start from a config in which the service has no servers; a later reload must keep the servers
    /// that discovery added, for instance by starting from
    /// [`Director::config`](vsched::Director::config).
    ///
    /// ```no_run
    /// # use std::net::SocketAddr;
    /// # use vsched::{Director, config::{Forwarding, RealServer}};
    /// # use vsched_tower::Discovered;
    /// # fn example<D>(discover: D, director: &Director) -> Result<(), Box<dyn std::error::Error>>
    /// # where D: tower::discover::Discover<Key = SocketAddr> {
    /// let endpoints = Discovered::new(discover).editing(
    ///     director,
    ///     "tcp 10.0.0.1:80".parse()?,
    ///     |address, _| RealServer::new(*address).with_weight(10),
    /// );
    /// # Ok(())
    /// # }
    /// ```
    pub fn editing(
        mut self,
        director: &Director,
        service: ServiceKey,
        describe: impl Fn(&D::Key, &D::Service) -> RealServer + Send + 'static,
    ) -> Self {
        let (director, describe) = (director.clone(), Box::new(describe));
        let edit = Edit { director, service, describe, added: HashMap::new() };
        self.stream.get_mut().unwrap_or_else(PoisonError::into_inner).edit = Some(edit);
        self
    }
}

impl<K: EndpointKey + Clone, S> Edit<K, S> {
    fn insert(&mut self, key: &K, service: &S) -> Result<(), BoxError> {
        let server = (self.describe)(key, service);
        let address = server.address;
        let before = self.added.insert(key.clone(), address);
        if let Some(before) = before.filter(|before| *before != address) {
            self.delete(before);
        }
        let service = self.service;
        let edit = Command::EditServer { service, server: server.clone() };
        if self.director.execute(&edit).is_err() {
            self.director.execute(&Command::AddServer { service, server })?;
        }
        Ok(())
    }

    fn remove(&mut self, key: &K) {
        if let Some(address) = self.added.remove(key) {
            self.delete(address);
        }
    }

    fn delete(&self, server: SocketAddr) {
        // An error means that the server is gone already.
        let _ = self.director.execute(&Command::DeleteServer { service: self.service, server });
    }
}

impl<D> Discovered<D>
where
    D: Discover,
    D::Key: EndpointKey + Clone,
    D::Service: Clone,
{
    /// A service is in the map before its server is in the config, and until after that: so every pick
    /// finds it.
    fn apply(
        &self,
        edit: &mut Option<Edit<D::Key, D::Service>>,
        change: Change<D::Key, D::Service>,
    ) -> Result<(), BoxError> {
        let write = || self.services.write().unwrap_or_else(PoisonError::into_inner);
        let edited = match change {
            Change::Insert(key, service) => {
                telemetry::endpoint_inserted();
                let replaced = write().insert(key.clone(), service.clone());
                // Its destructor runs without the lock.
                drop(replaced);
                edit.as_mut().map_or(Ok(()), |edit| edit.insert(&key, &service))
            }
            Change::Remove(key) => {
                telemetry::endpoint_removed();
                if let Some(edit) = edit {
                    edit.remove(&key);
                }
                let removed = write().remove(&key);
                drop(removed);
                Ok(())
            }
        };
        self.alarm.changes.announce();
        edited
    }

    /// There may be more in the stream after an error: the next call polls it.
    fn again(&self, error: BoxError) -> BoxError {
        // Release: as in `wake_by_ref`.
        self.alarm.ringing.store(true, Ordering::Release);
        error
    }
}

impl<D> Endpoints for Discovered<D>
where
    D: Discover,
    D::Key: EndpointKey + Clone,
    D::Service: Clone,
    D::Error: Into<BoxError>,
{
    type Service = D::Service;

    fn service(&self, pick: &Pick) -> Option<D::Service> {
        let services = self.services.read().unwrap_or_else(PoisonError::into_inner);
        services.get(&D::Key::from_pick(pick)).cloned()
    }

    fn update(&self) -> Result<(), BoxError> {
        // Relaxed: only a hint that saves the lock; the swap below decides.
        if !self.alarm.ringing.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut stream = match self.stream.try_lock() {
            Ok(stream) => stream,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Another thread takes the changes in, and tells those who wait.
            Err(TryLockError::WouldBlock) => return Ok(()),
        };
        let waker = Waker::from(Arc::clone(&self.alarm));
        let mut cx = Context::from_waker(&waker);
        // Acquire: pairs with the store in `wake_by_ref`.
        while self.alarm.ringing.swap(false, Ordering::Acquire) {
            while let Some(discover) = &mut stream.discover {
                match discover.as_mut().poll_discover(&mut cx) {
                    Poll::Pending => break,
                    Poll::Ready(Some(Ok(change))) => {
                        self.apply(&mut stream.edit, change).map_err(|error| self.again(error))?;
                    }
                    Poll::Ready(Some(Err(error))) => return Err(self.again(error.into())),
                    Poll::Ready(None) => {
                        stream.discover = None;
                        self.alarm.changes.close();
                    }
                }
            }
        }
        Ok(())
    }

    fn changes(&self) -> Option<&Changes> {
        Some(&self.alarm.changes)
    }
}

impl<D: Discover> fmt::Debug for Discovered<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let services = self.services.read().unwrap_or_else(PoisonError::into_inner).len();
        f.debug_struct("Discovered").field("services", &services).finish_non_exhaustive()
    }
}
