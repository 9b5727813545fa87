//! Our side: a director, and the connection table that a packet plane keeps next to it.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use vsched::config::{
    Command, Config, Family, Forwarding, KernelRules, Netmask, Protocol, RealServer, ServiceKey,
    Timeouts,
};
use vsched::protocol::{
    Context, Direction, SctpConnection, ServerNow, TcpConnection, TcpFlags, TcpState, UdpState,
    Verdict, schedules_sctp, schedules_tcp, schedules_udp,
};
use vsched::{Activity, Director, Lease, Pick, SchedulerKind, ServerId, Worker};

use crate::side::packet::Seen;
use crate::side::step::{Settings, Signal, Tuple};

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
    /// The old connection has ended or has its time again: the kernel knows.
    pub(super) ends_perhaps: bool,
    /// There is no connection behind it.
    pub(super) one_packet: bool,
    pub(super) ftp_data: bool,
    pub(super) persistent: bool,
    /// Its server is not in the list of the service that was asked.
    pub(super) by_twin: bool,
    /// A server had a weight of more than 2^30.
    pub(super) heavy: bool,
}

struct Held {
    lease: Lease,
    /// The server's.
    service: ServiceKey,
    pick: Pick,
    state: State,
    controlled: bool,
    /// From when on the kernel may let it expire.
    expires: Instant,
}

/// What a connection's packets move.
enum State {
    Tcp(TcpConnection),
    Udp,
    Sctp(SctpConnection),
}

/// What the kernel finds a template by.
#[derive(PartialEq, Eq, Hash)]
struct TemplateKey {
    /// 0 for a mark.
    protocol: u8,
    mark: u32,
    /// Unless there is a mark.
    to: Option<SocketAddr>,
    /// Masked, and of the family of the service.
    client: IpAddr,
}

impl TemplateKey {
    fn new(service: &ServiceKey, tuple: &Tuple, client: IpAddr) -> TemplateKey {
        // A mark has port 0.
        let port = service.port().unwrap_or(0);
        let own = tuple.to.port() == port;
        match service {
            ServiceKey::FirewallMark { mark, .. } if !own => {
                TemplateKey { protocol: 0, mark: *mark, to: None, client }
            }
            _ => {
                let port = if own && port != FTP { port } else { 0 };
                let to = Some(SocketAddr::new(tuple.to.ip(), port));
                TemplateKey { protocol: tuple.protocol.number(), mark: 0, to, client }
            }
        }
    }
}

pub(super) struct Plane {
    pub(super) director: Director,
    worker: Worker,
    pub(super) config: Config,
    context: Context,
    table: HashMap<Tuple, Held>,
    /// The kernel counts a template that leads nowhere beside the one that takes its place.
    templates: HashMap<TemplateKey, (ServiceKey, SocketAddr)>,
    outdated: HashMap<(ServiceKey, SocketAddr), u32>,
    end: Instant,
}

const FTP: u16 = 21;
const HEAVY: u32 = 1 << 30;

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
    pub(super) fn new(generation: KernelRules, settings: Settings) -> Plane {
        let mut config = Config::new().with_kernel_rules(generation);
        config.expire_quiescent_template = settings.expire_quiescent_template;
        let director = Director::new(&config).expect("an empty config");
        Plane {
            worker: director.worker(),
            director,
            config,
            context: Context::default()
                .with_conn_reuse_mode(settings.conn_reuse_mode)
                .with_expire_nodest_conn(settings.expire_nodest_conn),
            table: HashMap::new(),
            templates: HashMap::new(),
            outdated: HashMap::new(),
            end: Instant::now() + Duration::from_secs(50),
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

    /// From when on the kernel may let connections expire that are not meant to.
    pub(super) fn limit(&self) -> Instant {
        self.table.values().map(|held| held.expires).fold(self.end, Instant::min)
    }

    /// The clients' ports, by which connections here differ.
    pub(super) fn client_ports(&self) -> HashSet<u16> {
        self.table.keys().map(|tuple| tuple.client.port()).collect()
    }

    /// A packet of a client.
    pub(super) fn packet(&mut self, tuple: &Tuple, signal: Signal) -> Outcome {
        let mut outcome = Outcome::default();
        if !self.is_at_work(tuple) {
            return outcome;
        }
        let mut old = None;
        if let Some(held) = self.table.get(tuple) {
            outcome.services.push(held.service);
            let context =
                self.context.with_controlled(held.controlled).with_server(self.server_now(held));
            let verdict = match (&held.state, signal) {
                (State::Tcp(tcp), Signal::Tcp(flags)) => tcp.verdict(flags, &context),
                (State::Sctp(sctp), Signal::Sctp(chunks)) => sctp.verdict(chunks, &context),
                // As a TCP connection on which nothing begins.
                _ => TcpConnection::new(Forwarding::Masq).verdict(TcpFlags(0), &context),
            };
            match verdict {
                Verdict::Forward => outcome.answer = self.forward(tuple, Direction::Client, signal),
                Verdict::Drop => outcome.answer = Answer::Dropped,
                _ => old = self.table.remove(tuple),
            }
            if old.is_none() {
                return outcome;
            }
        }
        self.schedule(tuple, signal, &mut outcome);
        let Some(old) = old else { return outcome };
        let masqueraded = old.pick.forwarding() == Forwarding::Masq;
        if outcome.answer == Answer::NotOurs && !masqueraded && tuple.protocol == Protocol::Tcp {
            // Its service is gone. The director's own stack resets the client, which looks like the
            // old server's answer and gives the old connection its time again, unless a timer is
            // faster and ends it.
            self.table.insert(*tuple, old);
            self.forward(tuple, Direction::Server, Signal::Tcp(TcpFlags::RST));
            outcome.ends_perhaps = true;
            return outcome;
        }
        // The decision still counted it.
        self.worker.close(old.lease).expect("an open lease");
        outcome.expiring = true;
        outcome
    }

    fn schedule(&mut self, tuple: &Tuple, signal: Signal, outcome: &mut Outcome) {
        let from = tuple.client.port();
        let schedules = match signal {
            Signal::Tcp(flags) => schedules_tcp(from, flags, false),
            Signal::Udp => schedules_udp(from),
            Signal::Sctp(chunks) => schedules_sctp(from, chunks, false),
        };
        let flow = tuple.flow();
        let found = self.worker.service_for(&flow).filter(|_| schedules);
        let Some(id) = found else { return };
        let mut running = self.config.services.iter();
        let service = running
            .find(|service| self.director.service_by_key(&service.key) == Some(id))
            .expect("the service runs");
        let key = service.key;
        outcome.services.push(key);
        outcome.decided = service.scheduler;
        outcome.heavy = service.servers.iter().any(|server| server.weight > HEAVY);
        outcome.persistent = service.persistence.is_some();
        outcome.ftp_data = key.port() == Some(FTP) && tuple.to.port() != FTP;
        let pick = self.worker.pick_server(id, &flow).ok();
        let server = pick.and_then(|pick| self.service_with(&key, pick.server()));
        if let Some(persistence) = service.persistence {
            let client = masked(tuple.client.ip(), persistence.netmask);
            let template = TemplateKey::new(&key, tuple, client);
            let before = self.templates.remove(&template).filter(|before| server != Some(*before));
            if let Some(before) = before {
                *self.outdated.entry(before).or_default() += 1;
                outcome.services.push(before.0);
            }
            self.templates.extend(server.map(|server| (template, server)));
        }
        let (Some(pick), Some((owner, _))) = (pick, server) else {
            // The kernel lets FTP data pass where a service of port 21 has no server for them.
            outcome.answer = if outcome.ftp_data { Answer::NotOurs } else { Answer::Refused };
            return;
        };
        if owner != key {
            outcome.by_twin = true;
            outcome.services.push(owner);
        }
        outcome.answer = Answer::Server(pick.forwarding(), pick.address());
        let lease = self.worker.open_pick(&pick, Activity::Inactive).expect("room for it");
        if signal == Signal::Udp && service.one_packet {
            self.worker.close(lease).expect("an open lease");
            outcome.one_packet = true;
            return;
        }
        let state = match signal {
            Signal::Tcp(_) => State::Tcp(TcpConnection::new(pick.forwarding())),
            Signal::Udp => State::Udp,
            Signal::Sctp(_) => State::Sctp(SctpConnection::new(pick.forwarding())),
        };
        let (controlled, expires) = (service.persistence.is_some(), self.end);
        let held = Held { lease, service: owner, pick, state, controlled, expires };
        self.table.insert(*tuple, held);
        self.forward(tuple, Direction::Client, signal);
    }

    /// Moves the state of a connection that is there.
    fn forward(&mut self, tuple: &Tuple, direction: Direction, signal: Signal) -> Answer {
        let held = self.table.get_mut(tuple).expect("a connection");
        let (activity, seconds) = match (&mut held.state, signal) {
            (State::Tcp(tcp), Signal::Tcp(flags)) => {
                tcp.packet(direction, flags);
                (tcp.activity(), tcp.timeout_seconds(&Timeouts::default()))
            }
            (State::Sctp(sctp), Signal::Sctp(chunks)) => {
                sctp.packet(direction, chunks);
                (sctp.activity(), sctp.timeout_seconds())
            }
            _ => (
                UdpState::Normal.activity(),
                UdpState::Normal.timeout_seconds(&Timeouts::default()),
            ),
        };
        self.worker.update(&mut held.lease, activity).expect("an open lease");
        // The kernel's timer is coarse but never early; a second for us to be slow.
        held.expires = Instant::now() + Duration::from_secs(u64::from(seconds) - 1);
        Answer::Server(held.pick.forwarding(), held.pick.address())
    }

    /// A packet of the real server.
    pub(super) fn reply(&mut self, tuple: &Tuple, signal: Signal) {
        self.forward(tuple, Direction::Server, signal);
    }

    /// The kernel looks at the packets of a family as long as there is a service of it.
    fn is_at_work(&self, tuple: &Tuple) -> bool {
        let family = Family::of(tuple.to.ip());
        self.config.services.iter().any(|service| service.key.family() == family)
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
        let open = matches!(&held.state, State::Tcp(tcp) if open.contains(&tcp.state()));
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

    /// Where a server is configured, and its address: in this service, else in another.
    fn service_with(
        &self,
        service: &ServiceKey,
        server: ServerId,
    ) -> Option<(ServiceKey, SocketAddr)> {
        let all = self.config.services.iter().map(|service| service.key);
        [*service]
            .into_iter()
            .chain(all)
            .find_map(|service| self.server(&service, server).map(|found| (service, found.address)))
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
