//! Random scripts: what an administrator, the clients and the real servers do, step by step.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use vsched::SchedulerKind;
use vsched::config::{
    Command, Config, Family, Forwarding, Netmask, Persistence, Protocol, RealServer,
    SchedulerFlags, ServiceKey, Tunnel, VirtualService,
};
use vsched::protocol::TcpFlags;

use crate::common::Random;
use crate::side::step::{Settings, Step, Tuple};

/// Weights of one script. Beyond them the kernel's wrr walks for minutes.
const PALETTES: [[u32; 6]; 7] = [
    [1, 0, 2, 3, 4, 6],
    [7, 0, 7, 7, 7, 7],
    // Close to what an active connection weighs against an inactive one.
    [256, 0, 257, 1, 255, 258],
    [1, 0, 256, 257, 1, 512],
    [1, 0, 65535, 2, 65534, 32768],
    [1 << 28, 0, 1 << 30, 3 << 28, 5 << 28, 7 << 28],
    [1, 1, 1, 2, 1, 3],
];
const LIMITS: [(u32, u32); 8] = [(1, 0), (2, 0), (2, 1), (3, 0), (3, 3), (4, 1), (5, 2), (8, 0)];
const SYN: TcpFlags = TcpFlags::SYN;

pub(super) struct Script {
    pub(super) settings: Settings,
    pub(super) steps: Vec<Step>,
}

/// One of the services that a script is about.
#[derive(Clone, Copy)]
struct Slot {
    key: ServiceKey,
    protocol: Option<Protocol>,
    /// Connections keep the port they ask for.
    any_port: bool,
    persistent: bool,
}

struct Writer {
    random: Random,
    slots: Vec<Slot>,
    focus: SchedulerKind,
    weights: [u32; 6],
    limited: bool,
    /// What should run now.
    config: Config,
    tuples: Vec<Tuple>,
    /// Those of which a client or server has said good-bye.
    ended: Vec<Tuple>,
    steps: Vec<Step>,
}

/// All but twos, which is random in the kernel.
pub(super) fn schedulers() -> Vec<SchedulerKind> {
    SchedulerKind::ALL.iter().copied().filter(|kind| *kind != SchedulerKind::Twos).collect()
}

fn slots() -> Vec<Slot> {
    let slot = |key: ServiceKey| Slot {
        key,
        protocol: key.protocol(),
        any_port: key.port().is_none_or(|port| port == 0),
        persistent: key.port() == Some(0),
    };
    let v4 = |port| SocketAddr::from((Ipv4Addr::new(10, 1, 0, 1), port));
    let v6 = |port| SocketAddr::from((Ipv6Addr::new(0xfd01, 0, 0, 0, 0, 0, 0, 1), port));
    vec![
        slot(ServiceKey::tcp(v4(80))),
        slot(ServiceKey::fwmark(7, Family::Inet)),
        slot(ServiceKey::tcp(v6(80))),
        slot(ServiceKey::fwmark(7, Family::Inet6)),
        slot(ServiceKey::udp(v4(53))),
        slot(ServiceKey::udp(v6(53))),
        slot(ServiceKey::tcp(v4(0))),
    ]
}

impl Script {
    pub(super) fn new(seed: u64, focus: SchedulerKind) -> Script {
        let mut random = Random(seed);
        // The destination decides, which only a firewall mark leaves open; or the counts do.
        let local = matches!(focus, SchedulerKind::Dh | SchedulerKind::Lblc | SchedulerKind::Lblcr);
        // Active and inactive connections weigh differently, so both are to be had.
        let weighs = matches!(focus, SchedulerKind::Lc | SchedulerKind::Wlc) && random.below(3) > 0;
        let all = slots();
        let first = match random.below(10) {
            0..=6 => 2 * random.below(2) + u64::from(local || weighs),
            _ => random.below(all.len() as u64),
        };
        let mut chosen = vec![all[first as usize]];
        for slot in all {
            if slot.key != chosen[0].key && random.below(4) == 0 {
                chosen.push(slot);
            }
        }
        let settings = Settings {
            conn_reuse_mode: [1, 1, 0, 3][random.below(4) as usize],
            expire_nodest_conn: random.below(4) == 0,
            expire_quiescent_template: random.below(2) == 0,
        };
        // Whether a kernel that ends connections with their server ends templates, too, is a matter
        // of the order in its hash table.
        if settings.expire_nodest_conn {
            chosen.retain(|slot| !slot.persistent);
        } else {
            chosen.iter_mut().for_each(|slot| slot.persistent |= random.below(6) == 0);
        }
        if chosen.is_empty() {
            chosen.push(slots()[0]);
        }
        let mut writer = Writer {
            weights: PALETTES[random.below(PALETTES.len() as u64) as usize],
            limited: random.below(2) == 0,
            random,
            slots: chosen,
            focus,
            config: Config::default(),
            tuples: Vec::new(),
            ended: Vec::new(),
            steps: Vec::new(),
        };
        for number in 0..writer.slots.len() {
            writer.fill(number);
        }
        let expires = if writer.chance(20) { 100 + writer.random.below(200) } else { u64::MAX };
        let crowded =
            if weighs || local && writer.chance(30) { writer.random.below(100) } else { u64::MAX };
        for turn in 0..450 {
            writer.turn();
            if turn == crowded {
                writer.crowd();
            }
            if turn == expires {
                let tuples = (0..12).filter_map(|_| writer.old_tuple()).collect();
                writer.steps.push(Step::Expire(tuples));
            }
        }
        Script { settings, steps: writer.steps }
    }
}

impl Writer {
    fn chance(&mut self, percent: u64) -> bool {
        self.random.below(100) < percent
    }

    fn one_of<T: Copy>(&mut self, things: &[T]) -> T {
        things[self.random.below(things.len() as u64) as usize]
    }

    fn turn(&mut self) {
        // The first slot, the one with the scheduler in question, has most of it.
        let all = self.slots.len() as u64;
        let number = if self.chance(60) { 0 } else { self.random.below(all) as usize };
        match self.random.below(100) {
            0..62 => self.attempt(number),
            62..80 => self.old_packet(),
            80..95 => self.server(number),
            95..99 => self.service(number),
            _ => self.delete(number),
        }
    }

    /// Keeps `config` as what should run. Now and then a command is one to be refused.
    fn command(&mut self, command: Command) {
        let _ = self.config.execute(&command);
        self.steps.push(Step::Command(command));
    }

    fn fill(&mut self, number: usize) {
        let settings = self.settings(number, number == 0);
        self.command(Command::AddService(settings));
        for _ in 0..2 + self.random.below(4) {
            self.add_server(number);
        }
    }

    /// Unless it is persistent: the kernel remembers a deleted service's clients.
    fn delete(&mut self, number: usize) {
        if self.slots[number].persistent {
            return;
        }
        self.command(Command::DeleteService(self.slots[number].key));
        if self.chance(70) {
            self.fill(number);
        }
    }

    fn settings(&mut self, number: usize, focused: bool) -> VirtualService {
        let slot = self.slots[number];
        let scheduler = if focused { self.focus } else { self.one_of(&schedulers()) };
        let mut service = VirtualService::new(slot.key).with_scheduler(scheduler);
        if self.chance(2) {
            service.scheduler = None;
        }
        for flag in [SchedulerFlags::FLAG_1, SchedulerFlags::FLAG_2] {
            if self.chance(50) {
                service.flags = service.flags.union(flag);
            }
        }
        let networks = self.chance(50);
        let netmask = networks.then(|| match slot.key.family() {
            Family::Inet => Netmask::Inet(Ipv4Addr::new(255, 255, 255, 0)),
            Family::Inet6 => Netmask::Inet6(64),
        });
        service.persistence = slot.persistent.then_some(Persistence { timeout: 300, netmask });
        service.one_packet = slot.protocol != Some(Protocol::Tcp) && self.chance(50);
        service
    }

    fn service(&mut self, number: usize) {
        let key = self.slots[number].key;
        match self.config.service(&key).map(VirtualService::settings) {
            None => self.fill(number),
            Some(before) => {
                let focused = self.chance(50);
                let other = self.settings(number, focused);
                let edited = match self.random.below(4) {
                    0 => VirtualService { scheduler: other.scheduler, ..before.clone() },
                    1 => VirtualService { flags: other.flags, ..before.clone() },
                    2 => VirtualService { persistence: other.persistence, ..before.clone() },
                    _ => VirtualService { one_packet: other.one_packet, ..before.clone() },
                };
                self.command(Command::EditService(edited));
                if self.chance(60) {
                    self.command(Command::EditService(before));
                }
            }
        }
    }

    fn address(&mut self, number: usize) -> SocketAddr {
        let slot = self.slots[number];
        let place = self.random.below(7) as u16;
        let host = 1 + place % 5;
        let port = match (slot.any_port, place) {
            (true, _) => [0, 8000][usize::from(place % 2)],
            (false, 0..5) => slot.key.port().unwrap_or_default(),
            _ => 8080,
        };
        match slot.key.family() {
            Family::Inet => (Ipv4Addr::new(10, 9, 0, host as u8), port).into(),
            Family::Inet6 => (Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, host), port).into(),
        }
    }

    fn described(&mut self, address: SocketAddr) -> RealServer {
        let weight = self.one_of(&self.weights.clone());
        let forwarding = match self.random.below(3) {
            0 => Forwarding::Tunnel(Tunnel::default()),
            _ => Forwarding::Masq,
        };
        let server = RealServer::new(address).with_weight(weight).with_forwarding(forwarding);
        if self.limited && self.chance(40) {
            let (upper, lower) = self.one_of(&LIMITS);
            return server.with_thresholds(upper, lower);
        }
        server
    }

    fn add_server(&mut self, number: usize) {
        let address = self.address(number);
        let server = self.described(address);
        self.command(Command::AddServer { service: self.slots[number].key, server });
    }

    fn server(&mut self, number: usize) {
        let service = self.slots[number].key;
        let servers = self.config.service(&service).map(|service| service.servers.clone());
        let known = servers.filter(|servers| !servers.is_empty());
        let Some(known) = known else { return self.add_server(number) };
        let before = self.one_of(&known);
        let other = self.described(before.address);
        let server = match self.random.below(100) {
            0..25 => return self.add_server(number),
            25..40 => {
                return self.command(Command::DeleteServer { service, server: before.address });
            }
            40..75 => before.with_weight(other.weight),
            75..90 => RealServer { thresholds: other.thresholds, ..before },
            90..95 => other,
            _ => before,
        };
        self.command(Command::EditServer { service, server });
    }

    fn attempt(&mut self, number: usize) {
        let either = self.one_of(&[Protocol::Tcp, Protocol::Udp]);
        self.attempt_by(number, self.slots[number].protocol.unwrap_or(either));
    }

    fn attempt_by(&mut self, number: usize, protocol: Protocol) {
        let slot = self.slots[number];
        let place = self.random.below(12) as u16;
        let port = 1024 + self.tuples.len() as u16;
        let (low, high) = (1 + place % 4, place / 4);
        let asked = [22, 443, 80][self.random.below(3) as usize];
        let asked = if slot.any_port { asked } else { slot.key.port().unwrap_or_default() };
        // What dh, lblc and lblcr decide by, where the service leaves it open.
        let host = if slot.protocol.is_none() { 1 + self.random.below(9) as u16 } else { 1 };
        let (client, to) = match slot.key.family() {
            Family::Inet => (
                SocketAddr::from((Ipv4Addr::new(172, 16, high as u8, low as u8), port)),
                SocketAddr::from((Ipv4Addr::new(10, 1, 0, host as u8), asked)),
            ),
            Family::Inet6 => (
                (Ipv6Addr::new(0x2001, 0xdb8, high, 0, 0, 0, 7 * low, low), port).into(),
                (Ipv6Addr::new(0xfd01, 0, 0, 0, 0, 0, 0, host), asked).into(),
            ),
        };
        let mark = match slot.key {
            ServiceKey::FirewallMark { mark, .. } => mark,
            ServiceKey::Address { .. } => 0,
        };
        let tuple = Tuple { protocol, client, to, mark };
        self.tuples.push(tuple);
        self.steps.push(Step::Packet(tuple, SYN));
    }

    /// About as many inactive connections to one server as one active connection weighs, and then
    /// some of both kinds for all.
    fn crowd(&mut self) {
        let slot = self.slots[0];
        let found = self.config.service(&slot.key).cloned();
        let Some(service) = found.filter(|_| slot.protocol.is_none()) else { return };
        let scheduled = VirtualService { one_packet: false, ..service.settings() };
        self.command(Command::EditService(scheduled));
        self.weights_of(&service.servers, |place| u32::from(place == 0));
        let count = 252 + self.random.below(8);
        self.attempts(Protocol::Udp, count);
        self.weights_of(&service.servers, |_| 1);
        for _ in 0..3 {
            self.attempts(Protocol::Tcp, service.servers.len() as u64);
            self.attempts(Protocol::Udp, 10);
        }
        for server in service.servers {
            self.command(Command::EditServer { service: slot.key, server });
        }
    }

    /// Servers of the first slot, without thresholds.
    fn weights_of(&mut self, servers: &[RealServer], weight: impl Fn(usize) -> u32) {
        for (place, server) in servers.iter().enumerate() {
            let server = server.with_weight(weight(place)).with_thresholds(0, 0);
            self.command(Command::EditServer { service: self.slots[0].key, server });
        }
    }

    /// To the service of the first slot.
    fn attempts(&mut self, protocol: Protocol, count: u64) {
        (0..count).for_each(|_| self.attempt_by(0, protocol));
    }

    fn old_tuple(&mut self) -> Option<Tuple> {
        let count = self.tuples.len() as u64;
        let back = if self.chance(50) { 20.min(count) } else { count };
        (count > 0).then(|| self.tuples[(count - 1 - self.random.below(back)) as usize])
    }

    fn old_packet(&mut self) {
        let Some(mut tuple) = self.old_tuple() else { return };
        let flags = match self.random.below(100) {
            0..40 => TcpFlags::FIN | TcpFlags::ACK,
            40..50 => TcpFlags::RST,
            50..65 => TcpFlags::ACK,
            65..95 => SYN,
            _ => TcpFlags(0),
        };
        if flags.has(TcpFlags::FIN | TcpFlags::RST) {
            self.ended.push(tuple);
        } else if flags == SYN && !self.ended.is_empty() {
            // Its client wants another connection by the same port.
            let place = self.random.below(self.ended.len() as u64) as usize;
            tuple = self.ended.swap_remove(place);
        }
        let by_server = flags != SYN && self.chance(20);
        let step = if by_server { Step::Reply } else { Step::Packet };
        self.steps.push(step(tuple, flags));
    }
}
