//! A real kernel and a director side by side: each step is applied to both, then both are compared.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use vsched::config::{Command, Protocol, ServiceKey, Timeouts};
use vsched::netlink::{Error, Ipvs, Request};

use crate::side::packet::Packet;
use crate::side::plane::{Answer, Plane};
use crate::side::script::Script;
use crate::side::step::{Signal, Step, Tuple};
use crate::side::wire::{self, Wire};

/// The kernel's timers are coarse: how late what they do may be.
const PATIENCE: Duration = Duration::from_secs(5);
/// Steps between two comparisons of everything.
const EVERYTHING: usize = 40;
/// Two of the kernel's ticks: what a timer does at once is done then.
const AT_ONCE: Duration = Duration::from_millis(25);

/// What stands before a difference in a report, and before a colon its kind.
pub(super) const DIFFERS: &str = "  differs: ";

/// What a script was about, as numbers with names.
pub(super) type Tally = BTreeMap<String, u64>;

/// The two sides differ.
pub(super) struct Mismatch {
    pub(super) step: usize,
    pub(super) report: String,
}

pub(super) struct Pair {
    kernel: Ipvs,
    wire: Wire,
    plane: Plane,
    tally: Tally,
    done: Vec<String>,
    /// The lists of connections have differed since then: a timer may be late.
    differs_since: Option<Instant>,
}

impl Pair {
    /// In a network namespace that is new.
    pub(super) fn new(script: &Script) -> Pair {
        let mut kernel = Ipvs::open().expect("IPVS");
        let generation = kernel.generation().expect("an answer").expect("a generation");
        let settings = script.settings;
        for (name, value) in [
            ("conn_reuse_mode", settings.conn_reuse_mode),
            ("expire_nodest_conn", settings.expire_nodest_conn.into()),
            ("expire_quiescent_template", settings.expire_quiescent_template.into()),
        ] {
            wire::set(&format!("net/ipv4/vs/{name}"), &value.to_string());
        }
        let done = vec![format!(
            "generation {generation:?}, conn_reuse_mode {}, expire_nodest_conn {}, \
             expire_quiescent_template {}",
            settings.conn_reuse_mode,
            settings.expire_nodest_conn,
            settings.expire_quiescent_template
        )];
        let plane = Plane::new(generation, settings);
        Pair { kernel, wire: Wire::new(), plane, tally: Tally::new(), done, differs_since: None }
    }

    /// Runs those steps of the script that are wanted, as far as time allows.
    pub(super) fn run(
        mut self,
        script: &Script,
        wanted: impl Fn(usize) -> bool,
    ) -> Result<Tally, Mismatch> {
        for (place, step) in script.steps.iter().enumerate().filter(|(place, _)| wanted(*place)) {
            let limit = self.plane.limit();
            self.done.push(step.to_string());
            let compared = self.step(step).and_then(|()| {
                if place % EVERYTHING == 0 { self.compare_everything() } else { Ok(()) }
            });
            // Later than that, a connection may have expired that is not meant to.
            if self.compared_at() >= limit.min(self.plane.limit()) {
                self.count("cut short");
                return Ok(self.tally);
            }
            compared.map_err(|difference| self.mismatch(place, &difference))?;
        }
        let compared = self.compare_everything();
        if self.compared_at() < self.plane.limit() {
            compared.map_err(|text| self.mismatch(script.steps.len(), &text))?;
        }
        self.count("scripts");
        Ok(self.tally)
    }

    /// Now, or when that which differs was first seen to.
    fn compared_at(&mut self) -> Instant {
        self.differs_since.take().unwrap_or_else(Instant::now)
    }

    fn count(&mut self, name: &str) {
        *self.tally.entry(name.into()).or_default() += 1;
    }

    fn mismatch(&mut self, step: usize, difference: &str) -> Mismatch {
        let mut report = String::new();
        for line in &self.done {
            let _ = writeln!(report, "    {line}");
        }
        let _ = writeln!(report, "{DIFFERS}{difference}");
        let _ = writeln!(report, "  the config then:");
        for line in self.plane.config.to_rules().to_string().lines() {
            let _ = writeln!(report, "    {line}");
        }
        Mismatch { step, report }
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Command(command) => self.command(command),
            Step::Packet(tuple, signal) => self.packet(tuple, *signal),
            Step::Reply(tuple, signal) => self.reply(tuple, *signal),
            Step::Expire(tuples) => self.expire(tuples),
        }
    }

    fn command(&mut self, command: &Command) -> Result<(), String> {
        let ours = self.plane.command(command);
        let theirs = self.kernel.kernel().execute_one(&request(command));
        match (&theirs, &ours) {
            (Ok(()), Ok(())) => self.count("commands"),
            (Err(Error::Refused(_)), Err(_)) => self.count("commands refused"),
            _ => return Err(format!("command: the kernel says {theirs:?}, the director {ours:?}")),
        }
        match command {
            // Where connections end with their server, a timer ends them.
            Command::DeleteServer { service, .. } => {
                self.compare(service)?;
                self.compare_connections()
            }
            Command::DeleteService(_) | Command::Clear => self.compare_connections(),
            Command::AddServer { service, .. } | Command::EditServer { service, .. } => {
                self.compare(service)
            }
            Command::AddService(service) | Command::EditService(service) => {
                self.compare(&service.key)
            }
            // Settings, which no script has.
            _ => Ok(()),
        }
    }

    /// Which connections there are, templates aside. What timers do comes a little later.
    fn compare_connections(&mut self) -> Result<(), String> {
        let limit = Instant::now() + PATIENCE;
        loop {
            let text = fs::read_to_string("/proc/net/ip_vs_conn").expect("a list");
            let mut ours = self.plane.client_ports();
            let mut known = |line: &&str| {
                let port = line.split_whitespace().nth(2).unwrap_or_default();
                let port = u16::from_str_radix(port, 16).expect("a port");
                // Templates have no client's port; all others have one of their own here.
                port == 0 || ours.remove(&port)
            };
            let more: Vec<&str> = text.lines().skip(1).filter(|line| !known(line)).collect();
            if more.is_empty() && ours.is_empty() {
                self.differs_since = None;
                return Ok(());
            }
            self.differs_since.get_or_insert_with(Instant::now);
            if Instant::now() > limit {
                return Err(format!(
                    "connections: the kernel's alone {more:?}; the director's alone, by their \
                     clients' ports, {ours:?}"
                ));
            }
            thread::sleep(Duration::from_millis(4));
        }
    }

    /// Whether the kernel has a connection of this client's port.
    fn is_listed(&self, tuple: &Tuple) -> bool {
        let text = fs::read_to_string("/proc/net/ip_vs_conn").expect("a list");
        let port = format!("{:04X}", tuple.client.port());
        text.lines().any(|line| line.split_whitespace().nth(2) == Some(port.as_str()))
    }

    fn packet(&mut self, tuple: &Tuple, signal: Signal) -> Result<(), String> {
        let seen = self.wire.send(&tuple.packet(signal), tuple.mark);
        let outcome = self.plane.packet(tuple, signal);
        if let Some(last) = self.done.last_mut() {
            let _ = write!(last, " -> {:?}", outcome.answer);
        }
        if !outcome.answer.agrees(&seen) {
            let ours = outcome.answer;
            return Err(format!("answer: the kernel's {seen:?}, the director's {ours:?}"));
        }
        if outcome.answer == Answer::NotOurs {
            self.count("not ours");
        }
        if let Some(scheduler) = outcome.decided {
            self.count(scheduler.name());
            self.count("decisions");
            if outcome.answer == Answer::Refused {
                self.count("refused");
            }
            let kinds = [
                (tuple.to.is_ipv6(), "IPv6"),
                (tuple.mark != 0, "by mark"),
                (tuple.mark != 0 && tuple.to.is_ipv6(), "IPv6 by mark"),
                (tuple.protocol == Protocol::Udp, "UDP"),
                (tuple.protocol == Protocol::Sctp, "SCTP"),
                (tuple.to.port() == 0, "to port 0"),
                (outcome.ftp_data, "FTP data"),
                (outcome.expiring, "again on a used tuple"),
                (outcome.one_packet, "one packet"),
                (outcome.persistent, "persistent"),
                (outcome.by_twin, "to a server of another service"),
                (outcome.heavy, "among weights above 2^30"),
            ];
            kinds.iter().filter(|(is, _)| *is).for_each(|(_, name)| self.count(name));
        }
        if outcome.ends_perhaps {
            thread::sleep(AT_ONCE);
            if !self.is_listed(tuple) {
                self.plane.expire(tuple);
            }
        }
        if outcome.expiring {
            self.compare_connections()?;
        }
        outcome.services.iter().try_for_each(|service| self.compare(service))
    }

    /// A packet of the real server, if one is possible.
    fn reply(&mut self, tuple: &Tuple, signal: Signal) -> Result<(), String> {
        let Some(from) = self.plane.answers_from(tuple) else { return Ok(()) };
        let packet = Packet { from, to: tuple.client, signal };
        let seen = self.wire.send(&packet, 0);
        self.plane.reply(tuple, signal);
        self.count("answers of servers");
        if seen.len() != 1 {
            return Err(format!("reply: a real server's comes out as {seen:?}"));
        }
        let service = self.plane.service_of(tuple);
        service.map_or(Ok(()), |service| self.compare(&service))
    }

    fn expire(&mut self, tuples: &[Tuple]) -> Result<(), String> {
        self.tcp_fin(1);
        let mut ending = Vec::new();
        for tuple in tuples {
            let Some(packets) = self.plane.ending(tuple) else { continue };
            for (by_server, flags) in packets {
                let step = if by_server { Step::Reply } else { Step::Packet };
                self.step(&step(*tuple, Signal::Tcp(flags)))?;
            }
            ending.push(*tuple);
        }
        self.tcp_fin(120);
        let services: Vec<ServiceKey> =
            ending.iter().filter_map(|tuple| self.plane.expire(tuple)).collect();
        self.compare_connections()?;
        for service in services {
            self.count("expired");
            self.compare(&service)?;
        }
        Ok(())
    }

    fn tcp_fin(&mut self, seconds: u32) {
        let timeouts = Timeouts::default().with_tcp_fin(seconds);
        let set = self.kernel.kernel().execute_one(&Request::set_timeouts(timeouts));
        set.expect("a timeout");
    }

    /// The servers of a service in their order, as configured, with their counts.
    fn compare(&mut self, service: &ServiceKey) -> Result<(), String> {
        let Some(id) = self.plane.director.service_by_key(service) else { return Ok(()) };
        let ours = self.plane.director.servers(id).expect("it runs");
        let theirs = self.kernel.kernel().read_servers(service).expect("a reading");
        let ours: Vec<_> = ours
            .into_iter()
            .map(|(_, seen)| {
                let outdated = self.plane.outdated(service, seen.server.address);
                let counts = seen.counts;
                (seen.server, counts.active, counts.inactive, counts.persistent + outdated)
            })
            .collect();
        let theirs: Vec<_> = theirs
            .into_iter()
            .map(|seen| {
                let counts = seen.counts;
                (seen.server, counts.active, counts.inactive, counts.persistent)
            })
            .collect();
        if ours == theirs {
            return Ok(());
        }
        let mut text = format!("counts: {service}: server, active, inactive, templates");
        for (name, side) in [("the kernel", theirs), ("the director", ours)] {
            let _ = write!(text, "\n    {name}:");
            for (server, active, inactive, templates) in side {
                let (address, weight) = (server.address, server.weight);
                let _ = write!(text, " {address} w{weight} {active} {inactive} {templates};");
            }
        }
        Err(text)
    }

    fn compare_everything(&mut self) -> Result<(), String> {
        let reading = self.kernel.read().expect("a reading");
        let mut theirs = reading.observed.services;
        let mut ours = self.plane.director.observe().services;
        ours.sort_by_key(|service| service.settings.key);
        for service in ours.iter_mut().chain(&mut theirs) {
            // What the kernel has not.
            service.settings.affinity = Default::default();
        }
        let settings = |services: &[vsched::config::ObservedService]| {
            services.iter().map(|service| service.settings.clone()).collect::<Vec<_>>()
        };
        let (theirs, ours) = (settings(&theirs), settings(&ours));
        if theirs != ours {
            return Err(format!("services: the kernel's {theirs:?}, the director's {ours:?}"));
        }
        ours.iter().try_for_each(|service| self.compare(&service.key))?;
        self.compare_connections()
    }
}

fn request(command: &Command) -> Request {
    Request::from_command(command).expect("a command that kernels know")
}
