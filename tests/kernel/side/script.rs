//! Random scripts: the actions of an administrator, of clients and of real servers, step by step.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use vsched::SchedulerKind;
use vsched::config::{
    Command, Config, Family, Forwarding, Netmask, Persistence, Protocol, RealServer,
    SchedulerFlags, ServiceSettings, Tunnel, VirtualService,
};

use crate::common::Random;
use crate::side::slots::{LIMITS, PALETTES, Slot, UNEVEN, slots};
use crate::side::step::{Settings, Step, Tuple};

pub(super) struct Script {
    pub(super) settings: Settings,
    pub(super) steps: Vec<Step>,
}

pub(super) struct Writer {
    pub(super) random: Random,
    pub(super) slots: Vec<Slot>,
    focus: SchedulerKind,
    weights: [u32; 6],
    /// Those of the servers leave out wrr.
    uneven: bool,
    limited: bool,
    /// What should run now.
    config: Config,
    pub(super) tuples: Vec<Tuple>,
    /// Those of which a client or server has said good-bye.
    pub(super) ended: Vec<Tuple>,
    pub(super) steps: Vec<Step>,
}

/// All that the kernel has but twos, which is random there.
pub(super) fn schedulers() -> Vec<SchedulerKind> {
    let same = |kind: &SchedulerKind| kind.in_linux() && *kind != SchedulerKind::Twos;
    SchedulerKind::ALL.iter().copied().filter(same).collect()
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
            0..=4 => 2 * random.below(2) + u64::from(local || weighs),
            5..=6 if !local && !weighs => {
                // Services of more than one port.
                let several = |place: &u64| all[*place as usize].has_twin();
                let several: Vec<u64> = (0..all.len() as u64).filter(several).collect();
                several[random.below(several.len() as u64) as usize]
            }
            _ => random.below(all.len() as u64),
        };
        let mut chosen = vec![all[first as usize]];
        for slot in all {
            let twin = chosen.iter().any(|other| slot.is_twin_of(other));
            let percent = if twin { 75 } else { 16 };
            if slot.key != chosen[0].key && random.below(100) < percent {
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
            for slot in &mut chosen {
                slot.persistent |= random.below(100) < if slot.is_ftp() { 60 } else { 16 };
            }
        }
        if chosen.is_empty() {
            chosen.push(slots()[0]);
        }
        let uneven = focus != SchedulerKind::Wrr && random.below(5) == 0;
        let palettes: &[[u32; 6]] = if uneven { &UNEVEN } else { &PALETTES };
        let mut writer = Writer {
            weights: palettes[random.below(palettes.len() as u64) as usize],
            uneven,
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
    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.random.below(100) < percent
    }

    pub(super) fn one_of<T: Clone>(&mut self, things: &[T]) -> T {
        things[self.random.below(things.len() as u64) as usize].clone()
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

    fn settings(&mut self, number: usize, focused: bool) -> ServiceSettings {
        let slot = self.slots[number];
        let mut scheduler = if focused { self.focus } else { self.one_of(&schedulers()) };
        if self.uneven && scheduler == SchedulerKind::Wrr {
            scheduler = SchedulerKind::Wlc;
        }
        let mut service = VirtualService::new(slot.key).with_scheduler(scheduler).settings();
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
        let mut persistence = Persistence::new(300);
        persistence.netmask = netmask;
        service.persistence = slot.persistent.then_some(persistence);
        service.one_packet = slot.protocol.is_none_or(|it| it == Protocol::Udp) && self.chance(50);
        service
    }

    fn service(&mut self, number: usize) {
        let key = self.slots[number].key;
        match self.config.service_by_key(&key).map(VirtualService::settings) {
            None => self.fill(number),
            Some(before) => {
                let focused = self.chance(50);
                let other = self.settings(number, focused);
                let mut edited = before.clone();
                match self.random.below(4) {
                    0 => edited.scheduler = other.scheduler,
                    1 => edited.flags = other.flags,
                    2 => edited.persistence = other.persistence,
                    _ => edited.one_packet = other.one_packet,
                }
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
        let servers = self.config.service_by_key(&service).map(|service| service.servers.clone());
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
            75..90 => {
                let mut made = before;
                made.thresholds = other.thresholds;
                made
            }
            90..95 => other,
            _ => before,
        };
        self.command(Command::EditServer { service, server });
    }

    /// About as many inactive connections to one server as one active connection weighs, and then
    /// some of both kinds for all.
    fn crowd(&mut self) {
        let slot = self.slots[0];
        let found = self.config.service_by_key(&slot.key).cloned();
        let Some(service) = found.filter(|_| slot.protocol.is_none()) else { return };
        let mut scheduled = service.settings();
        scheduled.one_packet = false;
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
            let server = server.clone().with_weight(weight(place)).with_thresholds(0, 0);
            self.command(Command::EditServer { service: self.slots[0].key, server });
        }
    }

    /// To the service of the first slot.
    fn attempts(&mut self, protocol: Protocol, count: u64) {
        (0..count).for_each(|_| self.attempt_by(0, protocol));
    }
}
