//! Our side: a director, and the connection table that a packet plane keeps beside it.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use vsched::config::{
    Command, Config, Family, Forwarding, Generation, Netmask, Protocol, RealServer, ServiceKey,
    Timeouts,
};
use vsched::protocol::{
    Context, Direction, ServerNow, TcpConnection, TcpFlags, TcpState, Verdict, schedules_tcp,
    schedules_udp,
};
use vsched::{Activity, Director, Lease, Pick, SchedulerKind, ServerId, Worker};

use crate::side::packet::Seen;
use crate::side::step::{Settings, Tuple};

/// What becomes of a client's packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Answer {
    Server(Forwarding, SocketAddr),
    Refused,
    Dropped,
    /// Nothing to do with IPVS: what it is does not matter, if it is not a real server's.
    #[default]
    NotOurs,
}

/// What a packet has done here.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) answer: Answer,
    /// Who was asked for a decision.
    pub(super) decided: Option<SchedulerKind>,
    /// Whose counts may have changed.
    pub(super) services: Vec<ServiceKey>,
    /// A connection has ended that the kernel's timer ends.
    pub(super) expiring: bool,
    /// There is no connection behind it.
    pub(super) one_packet: bool,
}

struct Held {
    lease: Lease,
    service: ServiceKey,
    pick: Pick,
    /// `None`: UDP.
    tcp: Option<TcpConnection>,
    controlled: bool,
}

pub(super) struct Plane {
    pub(super) director: Director,
    worker: Worker,
    pub(super) config: Config,
    context: Context,
    table: HashMap<Tuple, Held>,
    /// The kernel counts a template that leads nowhere beside the one that takes its place.
    templates: HashMap<(ServiceKey, IpAddr), SocketAddr>,
    outdated: HashMap<(ServiceKey, SocketAddr), u32>,
    /// From when on the kernel may let connections expire that are not meant to.
    pub(super) limit: Instant,
}

impl Answer {
    /// Late messages of the director's own stack are no contradiction.
    pub(super) fn agrees(self, seen: &[Seen]) -> bool {
        let passed = seen.iter().filter(|seen| matches!(seen, Seen::To(_) | Seen::Tunnelled(_)));
        let passed: Vec<Seen> = passed.copied().collect();
        match self {
            Answer::Server(Forwarding::Tunnel(_), address) => {
                passed == [Seen::Tunnelled(address.ip())]
            }
            Answer::Server(_, address) => passed == [Seen::To(address)],
            Answer::Refused => {
                passed.is_empty() && seen.iter().any(|seen| matches!(seen, Seen::Unreachable(_)))
            }
            Answer::Dropped => seen.is_empty(),
            Answer::NotOurs => passed.is_empty(),
        }
    }
}

fn masked(ip: IpAddr, netmask: Option<Netmask>) -> IpAddr {
    match (ip, netmask) {
        (IpAddr::V4(ip), Some(Netmask::Inet(mask))) => (ip & mask).into(),
        (IpAddr::V6(ip), Some(Netmask::Inet6(prefix))) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            std::net::Ipv6Addr::from_bits(ip.to_bits() & mask).into()
        }
        (ip, _) => ip,
    }
}

impl Plane {
    pub(super) fn new(generation: Generation, settings: Settings) -> Plane {
        let config = Config {
            generation,
            expire_quiescent_template: settings.expire_quiescent_template,
            ..Config::default()
        };
        let director = Director::new(&config).expect("an empty config");
        Plane {
            worker: director.worker(),
            director,
            config,
            context: Context {
                conn_reuse_mode: settings.conn_reuse_mode,
                expire_nodest_conn: settings.expire_nodest_conn,
                ..Context::default()
            },
            table: HashMap::new(),
            templates: HashMap::new(),
            outdated: HashMap::new(),
            limit: Instant::now() + Duration::from_secs(50),
        }
    }

    pub(super) fn command(&mut self, command: &Command) -> Result<(), String> {
        self.director.execute(command).map_err(|error| error.to_string())?;
        self.config = self.director.config();
        if self.context.expire_nodest_conn {
            self.purge();
        }
        Ok(())
    }

    /// Connections end with their server.
    fn purge(&mut self) {
        let removed = |held: &&Held| self.server_now(held) == ServerNow::Removed;
        let gone = self.table.iter().filter(|(_, held)| removed(held)).map(|(tuple, _)| *tuple);
        for tuple in gone.collect::<Vec<_>>() {
            self.expire(&tuple);
        }
    }

    /// The clients' ports, by which connections here differ.
    pub(super) fn client_ports(&self) -> HashSet<u16> {
        self.table.keys().map(|tuple| tuple.client.port()).collect()
    }

    /// A packet of a client.
    pub(super) fn packet(&mut self, tuple: &Tuple, flags: TcpFlags) -> Outcome {
        let mut outcome = Outcome::default();
        if !self.is_at_work(tuple) {
            return outcome;
        }
        let mut old = None;
        if let Some(held) = self.table.get(tuple) {
            outcome.services.push(held.service);
            let context = Context {
                controlled: held.controlled,
                server: self.server_now(held),
                ..self.context
            };
            let verdict = match &held.tcp {
                Some(tcp) => tcp.verdict(flags, &context),
                // As a TCP connection on which nothing begins.
                None => TcpConnection::new(Forwarding::Masq).verdict(TcpFlags(0), &context),
            };
            match verdict {
                Verdict::Forward => outcome.answer = self.forward(tuple, Direction::Client, flags),
                Verdict::Drop => outcome.answer = Answer::Dropped,
                Verdict::Reschedule => old = self.table.remove(tuple),
            }
            if old.is_none() {
                return outcome;
            }
        }
        self.schedule(tuple, flags, &mut outcome);
        let Some(old) = old else { return outcome };
        if outcome.answer == Answer::NotOurs && old.pick.forwarding() != Forwarding::Masq {
            // Its service is gone. The director's own stack resets the client, which looks like the
            // old server's answer and gives the old connection its time again.
            self.table.insert(*tuple, old);
            self.forward(tuple, Direction::Server, TcpFlags::RST);
            return outcome;
        }
        // The decision still counted it.
        self.worker.close(old.lease).expect("an open lease");
        outcome.expiring = true;
        outcome
    }

    fn schedule(&mut self, tuple: &Tuple, flags: TcpFlags, outcome: &mut Outcome) {
        let schedules = match tuple.protocol {
            Protocol::Tcp => schedules_tcp(tuple.client.port(), flags, false),
            _ => schedules_udp(tuple.client.port()),
        };
        let flow = tuple.flow();
        let found = self.worker.service_for(&flow).filter(|_| schedules);
        let Some(id) = found else { return };
        let mut running = self.config.services.iter();
        let service = running
            .find(|service| self.director.service_by_key(&service.service) == Some(id))
            .expect("the service runs");
        let key = service.service;
        outcome.services.push(key);
        outcome.decided = service.scheduler;
        let pick = self.worker.pick_server(id, &flow);
        if let Some(persistence) = service.persistence {
            let client = (key, masked(tuple.client.ip(), persistence.netmask));
            let server = pick.and_then(|pick| self.server(&key, pick.server()));
            let before = self.templates.remove(&client);
            if let Some(before) =
                before.filter(|before| server.map(|it| it.address) != Some(*before))
            {
                *self.outdated.entry((key, before)).or_default() += 1;
            }
            self.templates.extend(server.map(|server| (client, server.address)));
        }
        let Some(pick) = pick else {
            outcome.answer = Answer::Refused;
            return;
        };
        outcome.answer = Answer::Server(pick.forwarding(), pick.address());
        let lease = self.worker.open_pick(&pick, Activity::Inactive).expect("room for it");
        let udp = tuple.protocol == Protocol::Udp;
        if udp && service.one_packet {
            self.worker.close(lease).expect("an open lease");
            outcome.one_packet = true;
            return;
        }
        let tcp = (!udp).then(|| TcpConnection::new(pick.forwarding()));
        let controlled = service.persistence.is_some();
        self.table.insert(*tuple, Held { lease, service: key, pick, tcp, controlled });
        self.forward(tuple, Direction::Client, flags);
    }

    /// Moves the state of a connection that is there.
    fn forward(&mut self, tuple: &Tuple, direction: Direction, flags: TcpFlags) -> Answer {
        let held = self.table.get_mut(tuple).expect("a connection");
        if let Some(tcp) = &mut held.tcp {
            tcp.packet(direction, flags);
            self.worker.update(&mut held.lease, tcp.activity()).expect("an open lease");
            let seconds = tcp.timeout_seconds(&Timeouts::default());
            // The kernel's timer is coarse but never early; a second for us to be slow.
            let limit = Instant::now() + Duration::from_secs(u64::from(seconds) - 1);
            self.limit = self.limit.min(limit);
        }
        Answer::Server(held.pick.forwarding(), held.pick.address())
    }

    /// A packet of the real server.
    pub(super) fn reply(&mut self, tuple: &Tuple, flags: TcpFlags) {
        self.forward(tuple, Direction::Server, flags);
    }

    /// The kernel looks at the packets of a family as long as there is a service of it.
    fn is_at_work(&self, tuple: &Tuple) -> bool {
        let family = Family::of(tuple.to.ip());
        self.config.services.iter().any(|service| service.service.family() == family)
    }

    /// Where a real server answers through the director.
    pub(super) fn answers_from(&self, tuple: &Tuple) -> Option<SocketAddr> {
        let held = self.table.get(tuple).filter(|_| self.is_at_work(tuple))?;
        (held.pick.forwarding() == Forwarding::Masq).then_some(held.pick.address())
    }

    /// The packets that bring an open connection into FIN_WAIT: whether the real server sends it,
    /// and its flags.
    pub(super) fn ending(&self, tuple: &Tuple) -> Option<[(bool, TcpFlags); 2]> {
        let held = self.table.get(tuple)?;
        let open = [TcpState::SynReceived, TcpState::Established];
        let open = held.tcp.is_some_and(|tcp| open.contains(&tcp.state()));
        let removed = self.server_now(held) == ServerNow::Removed;
        let fin = (self.answers_from(tuple).is_some(), TcpFlags::FIN | TcpFlags::ACK);
        (open && !removed).then_some([(false, TcpFlags::ACK), fin])
    }

    /// Whose connection it is.
    pub(super) fn service_of(&self, tuple: &Tuple) -> Option<ServiceKey> {
        self.table.get(tuple).map(|held| held.service)
    }

    /// The connection has expired.
    pub(super) fn expire(&mut self, tuple: &Tuple) -> Option<ServiceKey> {
        let held = self.table.remove(tuple)?;
        self.worker.close(held.lease).expect("an open lease");
        Some(held.service)
    }

    /// Templates that the kernel still counts for this server and we do not.
    pub(super) fn outdated(&self, service: &ServiceKey, server: SocketAddr) -> u32 {
        self.outdated.get(&(*service, server)).copied().unwrap_or(0)
    }

    fn server(&self, service: &ServiceKey, server: ServerId) -> Option<RealServer> {
        let servers = self.director.servers(self.director.service_by_key(service)?)?;
        servers.into_iter().find(|(id, _)| *id == server).map(|(_, seen)| seen.server)
    }

    fn server_now(&self, held: &Held) -> ServerNow {
        match self.server(&held.service, held.pick.server()) {
            None => ServerNow::Removed,
            Some(server) if server.weight == 0 => ServerNow::Quiesced,
            Some(_) => ServerNow::InService,
        }
    }
}
