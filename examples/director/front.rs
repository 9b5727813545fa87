//! The director with its listeners and worker threads: start, reload and stop.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};
use std::{io, mem};

use vsched::config::{Guardrails, Protocol, ServiceKey, VirtualService};
use vsched::error::ApplyError;
use vsched::{Applied, ApplyPolicy, Config, Director};

use crate::arguments::{Arguments, Source};
use crate::capacity::Capacity;
use crate::failures::Failures;
use crate::relay::sockets::{self, Socket};
use crate::relay::{Door, Setting, SharedDuration, WorkerThread};
use crate::signals::Removal;
use crate::source::Wanted;
use crate::{Event, display, health, limits, servable, status};

pub(crate) struct Front {
    setting: Setting,
    workers: Vec<WorkerThread>,
    /// The services listened for, with their addresses.
    services: BTreeMap<ServiceKey, SocketAddr>,
    /// Sockets bound for a service that follows.
    adopted: BTreeMap<SocketAddr, TcpListener>,
    /// Messages already printed, which reloads do not repeat.
    said: BTreeSet<String>,
    served: bool,
    /// Of the command line, which a file does not change.
    udp_timeout: Option<Duration>,
    descriptors: Descriptors,
}

/// File descriptors of this process.
struct Descriptors {
    limit: usize,
    /// Open ones, except those of services and connections.
    base: usize,
    /// For health checks and readers of the status.
    reserved: usize,
    /// Descriptors per connection.
    each: usize,
}

impl Front {
    /// Starts the workers of a director without services.
    pub(crate) fn start(arguments: &Arguments, events: SyncSender<Event>) -> io::Result<Self> {
        let checks = arguments.checks.as_ref().map_or(0, |_| health::MOST);
        let status = arguments.status.map_or(0, |_| status::MOST);
        let descriptors = Descriptors {
            limit: limits::raise_descriptors(),
            base: 0,
            reserved: checks + status,
            // A client's and a server's socket; in the laboratory also their peers.
            each: match arguments.source {
                Source::Laboratory { .. } => 4,
                _ => 2,
            },
        };
        let director = Director::new(&Config::default()).map_err(io::Error::other)?;
        let setting = Setting {
            director,
            failures: Arc::new(Failures::new(events.clone())),
            events,
            cut: Arc::new(AtomicUsize::new(0)),
            connect_timeout: arguments.connect_timeout,
            idle_timeout: arguments.idle_timeout,
            udp_timeout: Arc::new(SharedDuration::new(UDP_TIMEOUT)),
            capacity: Arc::new(Capacity::new(arguments.workers)),
        };
        let workers: io::Result<Vec<WorkerThread>> =
            (0..arguments.workers).map(|number| WorkerThread::start(number, &setting)).collect();
        Ok(Front {
            setting,
            workers: workers?,
            services: BTreeMap::new(),
            adopted: BTreeMap::new(),
            said: BTreeSet::new(),
            served: false,
            udp_timeout: arguments.udp_timeout,
            descriptors,
        })
    }

    /// A listening socket for a service of this address.
    pub(crate) fn adopt(&mut self, address: SocketAddr, listener: TcpListener) {
        self.adopted.insert(address, listener);
    }

    /// Serves this config from now on. Connections, their counts and rotations stay. Returns messages for
    /// the log; after an error nothing has changed.
    pub(crate) fn serve(
        &mut self,
        mut wanted: Wanted,
        removal: Removal,
    ) -> Result<Vec<String>, String> {
        let mut notes = servable::select(&mut wanted);
        // Listeners first: a service without a listener is left out.
        let opened = self.listen(&mut wanted, &mut notes);
        let applied = self.run(&wanted, removal)?;
        notes.retain(|note| self.said.insert(note.clone()));
        self.set_udp(&wanted.config);
        let first = !mem::replace(&mut self.served, true);
        if !first {
            notes.push(summary(&applied));
        }

        let gone = |key: &ServiceKey| wanted.config.service_by_key(key).is_none();
        let closed: Vec<ServiceKey> = self.services.keys().copied().filter(gone).collect();
        for key in closed {
            self.services.remove(&key);
            self.workers.iter().for_each(|worker| worker.close(key));
        }
        // Before the workers accept anything: no descriptor open now belongs to a connection.
        if first {
            self.descriptors.base =
                limits::open_descriptors().saturating_sub(opened.len() * self.workers.len());
        }
        for (key, address, _) in &opened {
            self.services.insert(*key, *address);
        }
        self.make_room();
        for (key, address, sockets) in opened {
            let one_packet =
                wanted.config.service_by_key(&key).is_some_and(|service| service.one_packet);
            self.open(key, address, one_packet, sockets);
        }
        Ok(notes)
    }

    /// What a config says about UDP, for the services that are open already.
    fn set_udp(&self, config: &Config) {
        let configured = config.timeouts.udp.map(|seconds| Duration::from_secs(seconds.into()));
        self.setting.udp_timeout.set(self.udp_timeout.or(configured).unwrap_or(UDP_TIMEOUT));
        let udp = |service: &&VirtualService| service.key.protocol() == Some(Protocol::Udp);
        for service in config.services.iter().filter(udp) {
            for worker in &self.workers {
                worker.set_one_packet(service.key, service.one_packet);
            }
        }
    }

    /// The capacity for connections, and when idle ones are closed.
    pub(crate) fn room(&self) -> String {
        let Setting { capacity, idle_timeout, .. } = &self.setting;
        format!(
            "room for {} connections at once, with {} file descriptors; silent ones end after {} s",
            capacity.connections(),
            self.descriptors.limit,
            idle_timeout.as_secs_f64()
        )
    }

    pub(crate) fn capacity(&self) -> &Capacity {
        &self.setting.capacity
    }

    /// The descriptors that the listeners leave are for connections.
    fn make_room(&self) {
        let Descriptors { limit, base, reserved, each } = self.descriptors;
        let workers = self.workers.len();
        let taken = base + reserved + self.services.len() * workers;
        let pipes = limits::pipes(limit, taken, workers);
        let connections = limits::connections(limit, taken + 2 * pipes * workers, each);
        self.setting.capacity.set(connections, pipes);
    }

    /// The services, and where they listen.
    pub(crate) fn services(&self) -> Vec<(ServiceKey, SocketAddr)> {
        self.services.iter().map(|(key, address)| (*key, *address)).collect()
    }

    pub(crate) fn failures(&self) -> &Failures {
        &self.setting.failures
    }

    pub(crate) fn director(&self) -> &Director {
        &self.setting.director
    }

    /// The table, and the failures.
    pub(crate) fn report(&self) -> String {
        display::table(self.director()) + &self.setting.failures.report()
    }

    /// The table, and which server would get the next connection of each service, and why.
    pub(crate) fn explained_report(&self) -> String {
        self.report() + &display::explanations(self.director())
    }

    /// Stops accepting; open connections may continue until the deadline.
    pub(crate) fn stop(&self, deadline: Instant) {
        self.workers.iter().for_each(|worker| worker.stop(deadline));
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.workers.iter().all(WorkerThread::is_finished)
    }

    /// Connections that had to be cut when the workers stopped.
    pub(crate) fn cut(&self) -> usize {
        self.setting.cut.load(Ordering::Relaxed)
    }

    /// Binds the sockets of new services, one duplicate per worker; leaves out the services for which that
    /// fails.
    fn listen(
        &mut self,
        wanted: &mut Wanted,
        notes: &mut Vec<String>,
    ) -> Vec<(ServiceKey, SocketAddr, Vec<Socket>)> {
        let mut opened = Vec::new();
        let mut out = BTreeSet::new();
        for service in &wanted.config.services {
            let key = service.key;
            let (Some(address), Some(protocol)) =
                (servable::listening_address(&key), key.protocol())
            else {
                continue;
            };
            if self.services.contains_key(&key) {
                continue;
            }
            let adopted = self.adopted.remove(&address);
            match sockets::bind_all(protocol, address, adopted, self.workers.len()) {
                Ok(sockets) => opened.push((key, address, sockets)),
                Err(error) => {
                    notes.push(format!("service {key}: left out: cannot listen there: {error}"));
                    out.insert((key, None));
                }
            }
        }
        servable::leave_out(wanted, &out);
        opened
    }

    /// Executes commands on a new director; applies a whole config to a running one.
    fn run(&self, wanted: &Wanted, removal: Removal) -> Result<Applied, String> {
        let director = self.director();
        let policy = match removal {
            Removal::Guarded => ApplyPolicy::default(),
            Removal::Forced => ApplyPolicy::new(Guardrails::OFF),
        };
        match &wanted.commands {
            Some(commands) if !self.served => {
                for command in commands {
                    director.execute(command).map_err(|error| error.to_string())?;
                }
                Ok(Applied::default())
            }
            _ if removal == Removal::Guarded && self.served && empties(director, wanted) => {
                Err(format!("there would be no service to serve; {FORCE}"))
            }
            _ => director.apply_with(&wanted.config, &policy).map_err(|error| match error {
                ApplyError::Guardrails(error) => format!("{error}\n{FORCE}"),
                error => error.to_string(),
            }),
        }
    }

    fn open(&self, key: ServiceKey, address: SocketAddr, one_packet: bool, sockets: Vec<Socket>) {
        let Some(service) = self.director().service_by_key(&key) else {
            return;
        };
        for (worker, socket) in self.workers.iter().zip(sockets) {
            worker.open(Door { key, service, address, one_packet, socket });
        }
    }
}

/// The kernel's default.
const UDP_TIMEOUT: Duration = Duration::from_secs(300);
const FORCE: &str = "signal USR2 applies it all the same";

/// True if all services would be removed, and none has servers that a policy could count.
fn empties(director: &Director, wanted: &Wanted) -> bool {
    let running = director.config().services;
    wanted.config.services.is_empty()
        && !running.is_empty()
        && running.iter().all(|service| service.servers.is_empty())
}

fn summary(applied: &Applied) -> String {
    if applied.is_empty() {
        return "reloaded: nothing has changed".into();
    }
    let Applied { added, changed, drained, removed, settings, .. } = applied;
    format!(
        "reloaded: {} added, {} changed, {} drained, {} removed{}",
        added.len(),
        changed.len(),
        drained.len(),
        removed.len(),
        if *settings { ", new settings" } else { "" }
    )
}
