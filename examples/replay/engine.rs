//! Replays a recorded trace through a live director, one command or one connection at a time.
//!
//! Each pick is compared with the recorded one. The connection is then opened on the server that
//! the *kernel* picked, so that the counts stay the kernel's and one mismatch does not cause others.

#[path = "trace.rs"]
pub(crate) mod trace;

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;

use trace::{Event, Malformed, Place, Trace};
use vsched::config::{Command, SchedulerFlags, ServiceKey, ServiceSettings, VirtualService};
use vsched::error::UnknownScheduler;
use vsched::{Activity, Config, Director, Flow, Lease, SchedulerKind, ServiceId, Worker};

/// How many mismatches of a trace are reported in full.
pub(crate) const REPORTED: usize = 3;
/// How many events before a mismatch are reported too.
const CONTEXT: usize = 5;

pub(crate) enum Outcome {
    Replayed(Report),
    /// This build lacks this scheduler of the trace.
    Unsupported(String),
}

#[derive(Default)]
pub(crate) struct Report {
    /// Picks compared.
    pub(crate) decisions: usize,
    /// Lists of counts compared.
    pub(crate) counts: usize,
    pub(crate) mismatches: usize,
    /// The first of them.
    pub(crate) first: Vec<Mismatch>,
}

pub(crate) struct Mismatch {
    pub(crate) place: Place,
    /// Index among the trace's events, from 0.
    pub(crate) event: usize,
    /// The event and those before it, as recorded.
    context: Vec<String>,
    pub(crate) expected: String,
    pub(crate) got: String,
    /// In list order, before the event.
    servers: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { file, line } = &self.place;
        let Mismatch { event, expected, got, .. } = self;
        write!(f, "{file}:{line}: event {event}: expected {expected}, got {got}")?;
        let start = event + 1 - self.context.len();
        for (number, text) in (start..).zip(&self.context) {
            write!(f, "\n    event {number}: {text}")?;
        }
        write!(f, "\n    servers: {}", self.servers)
    }
}

/// Replays one trace.
///
/// # Errors
/// An event that is impossible at its place, such as deleting a server that does not exist.
pub(crate) fn replay(trace: &Trace) -> Result<Outcome, Malformed> {
    let switches = trace.steps.iter().filter_map(|step| match &step.event {
        Event::Scheduler(name) => Some(name),
        _ => None,
    });
    for name in std::iter::once(&trace.scheduler).chain(switches) {
        if scheduler(name).is_err() {
            return Ok(Outcome::Unsupported(name.clone()));
        }
    }
    let mut run = Run::start(trace).map_err(|why| Malformed::new(&trace.place, None, why))?;
    for (index, step) in trace.steps.iter().enumerate() {
        run.event(index, &step.event)
            .map_err(|why| Malformed::new(&trace.place, Some(index), why))?;
    }
    Ok(Outcome::Replayed(run.report))
}

/// `none` is a service without a scheduler.
fn scheduler(name: &str) -> Result<Option<SchedulerKind>, UnknownScheduler> {
    match name {
        "none" => Ok(None),
        name => name.parse().map(Some),
    }
}

struct Run<'a> {
    trace: &'a Trace,
    director: Director,
    worker: Worker,
    service: ServiceId,
    settings: ServiceSettings,
    /// Open connections, by their number in the trace.
    connections: HashMap<u64, Lease>,
    report: Report,
}

impl<'a> Run<'a> {
    fn start(trace: &'a Trace) -> Result<Self, String> {
        let mut settings = VirtualService::new(trace.service).settings();
        settings.scheduler = scheduler(&trace.scheduler).map_err(text)?;
        for name in &trace.flags {
            let flag = SchedulerFlags::named(name, settings.scheduler)
                .ok_or_else(|| format!("`flags`: {} has no flag `{name}`", trace.scheduler))?;
            settings.flags = settings.flags.union(flag);
        }
        let director =
            Director::new(&Config::new().with_kernel_rules(trace.generation)).map_err(text)?;
        let add = Command::AddService(settings.clone());
        director.execute(&add).map_err(text)?;
        let service = director
            .service_by_key(&trace.service)
            .ok_or("the service was added and is not there")?;
        Ok(Run {
            trace,
            worker: director.worker(),
            director,
            service,
            settings,
            connections: HashMap::new(),
            report: Report::default(),
        })
    }

    fn event(&mut self, index: usize, event: &Event) -> Result<(), String> {
        let service = self.trace.service;
        match event {
            Event::Add(server) => {
                self.execute(&Command::AddServer { service, server: server.clone() })
            }
            Event::Edit(server) => {
                self.execute(&Command::EditServer { service, server: server.clone() })
            }
            Event::Delete(server) => {
                self.execute(&Command::DeleteServer { service, server: *server })
            }
            Event::Scheduler(name) => {
                self.settings.scheduler = scheduler(name).map_err(text)?;
                self.execute(&Command::EditService(self.settings.clone()))
            }
            Event::Pick { connection, client, destination, server } => {
                let flow = Flow::tcp(*client, *destination).with_fwmark(mark(&service));
                self.pick(index, *connection, &flow, *server)
            }
            Event::Inactive(connection) => self.inactive(*connection),
            Event::Expire(connection) => {
                let lease = self.connections.remove(connection);
                let lease = lease.ok_or_else(|| not_open(*connection))?;
                self.worker.close(lease).map_err(text)
            }
            Event::Counts(expected) => {
                self.counts(index, expected);
                Ok(())
            }
        }
    }

    fn execute(&self, command: &Command) -> Result<(), String> {
        self.director.execute(command).map(|_| ()).map_err(text)
    }

    fn pick(
        &mut self,
        index: usize,
        connection: u64,
        flow: &Flow,
        recorded: Option<SocketAddr>,
    ) -> Result<(), String> {
        if self.worker.service_for(flow) != Some(self.service) {
            return Err(format!(
                "expected a packet to {}: no other is recorded",
                self.trace.service
            ));
        }
        let pick = self.worker.pick_server(self.service, flow);
        let got = pick.ok().map(|pick| pick.address());
        self.report.decisions += 1;
        if got != recorded {
            self.mismatch(index, name(recorded), name(got));
        }
        let Some(server) = recorded else {
            return Ok(());
        };
        let id = self
            .director
            .service_by_key(&self.trace.service)
            .and_then(|service| self.director.server_by_address(service, server))
            .ok_or_else(|| format!("expected a server of the service, found {server}"))?;
        // A TCP connection is active from its first SYN.
        let lease = self.worker.open(id, Activity::Active).map_err(text)?;
        match self.connections.insert(connection, lease) {
            None => Ok(()),
            Some(_) => Err(format!("expected the number of a new connection, found {connection}")),
        }
    }

    fn inactive(&mut self, connection: u64) -> Result<(), String> {
        let lease = self.connections.get_mut(&connection).ok_or_else(|| not_open(connection))?;
        if lease.activity() == Some(Activity::Inactive) {
            return Err(format!("expected an active connection; {connection} is inactive already"));
        }
        self.worker.update(lease, Activity::Inactive).map_err(text)
    }

    fn counts(&mut self, index: usize, expected: &[(SocketAddr, u32, u32)]) {
        let got: Vec<_> = self
            .servers()
            .map(|server| {
                let counts = server.counts;
                (server.server.address, counts.active, counts.inactive)
            })
            .collect();
        self.report.counts += 1;
        if got != expected {
            self.mismatch(index, list(expected), list(&got));
        }
    }

    /// In list order.
    fn servers(&self) -> impl Iterator<Item = vsched::config::ObservedServer> {
        let services = self.director.observe().services;
        services.into_iter().flat_map(|service| service.servers)
    }

    fn mismatch(&mut self, event: usize, expected: String, got: String) {
        self.report.mismatches += 1;
        if self.report.first.len() == REPORTED {
            return;
        }
        let state = |server: vsched::config::ObservedServer| {
            let (limits, counts) = (server.server.thresholds, server.counts);
            format!(
                "{} weight {} upper {} lower {} active {} inactive {}{}",
                server.server.address,
                server.server.weight,
                limits.upper,
                limits.lower,
                counts.active,
                counts.inactive,
                if counts.overloaded { " overloaded" } else { "" }
            )
        };
        let servers: Vec<String> = self.servers().map(state).collect();
        let shown = event.saturating_sub(CONTEXT)..=event;
        let context = self.trace.steps[shown].iter();
        self.report.first.push(Mismatch {
            place: self.trace.place.clone(),
            event,
            context: context.map(|step| step.text.clone()).collect(),
            expected,
            got,
            servers: servers.join("; "),
        });
    }
}

fn mark(service: &ServiceKey) -> u32 {
    match service {
        ServiceKey::FirewallMark { mark, .. } => *mark,
        _ => 0,
    }
}

fn name(server: Option<SocketAddr>) -> String {
    server.map_or("no server".to_owned(), |server| server.to_string())
}

fn list(counts: &[(SocketAddr, u32, u32)]) -> String {
    let row = |(server, active, inactive): &(SocketAddr, u32, u32)| {
        format!("{server} active {active} inactive {inactive}")
    };
    let rows: Vec<String> = counts.iter().map(row).collect();
    rows.join(", ")
}

fn not_open(connection: u64) -> String {
    format!("expected the number of an open connection, found {connection}")
}

fn text(error: impl fmt::Display) -> String {
    error.to_string()
}
