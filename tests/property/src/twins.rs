//! The schedulers as literal walks of the list of servers.

use std::collections::HashMap;

use vsched::SchedulerKind;
use vsched::config::KernelRules;

use crate::{chance, maglev};

/// Names a server object; one that comes back from the trash has its old name.
pub type Name = usize;

/// What a scheduler sees of a server. Lists of these are in list order, the newest server first.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// The server.
    pub name: Name,
    /// Its weight.
    pub weight: u32,
    /// Active connections.
    pub active: u32,
    /// Inactive connections.
    pub inactive: u32,
    /// Its overload mark; also set on servers that a retry must not choose.
    pub overloaded: bool,
    /// Its last weight that was not 0, or that it was added with.
    pub last_weight: u32,
    /// Its IPv4 address as a number, plus its port.
    pub place: u32,
}

/// What a twin says to a pick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// This server, or none.
    Exactly(Option<Name>),
    /// The walk was given up: it would take too long.
    TooLong,
}

/// A scheduler bound to a service, with its state.
#[derive(Debug, Clone)]
pub enum Twin {
    /// Round robin.
    Rr {
        /// The server chosen last; `None` before the first of the list.
        cursor: Option<Name>,
    },
    /// Weighted round robin.
    Wrr(Walk),
    /// Least connections.
    Lc,
    /// Weighted least connections.
    Wlc,
    /// Shortest expected delay.
    Sed,
    /// Never queue.
    Nq,
    /// Failover.
    Fo,
    /// Overflow.
    Ovf,
    /// Power of two choices.
    Twos,
    /// Weighted power of two choices.
    P2c,
    /// Source hashing, without flags.
    Sh,
    /// Destination hashing.
    Dh,
    /// Locality-based least connections: the server of each destination.
    Lblc(HashMap<u32, Name>),
    /// The same with replication: the servers of each destination, the newest member first.
    Lblcr(HashMap<u32, Vec<Name>>),
    /// Maglev hashing, without flags: the server of each slot.
    Mh(Vec<Name>),
}

/// Who connects where, IPv4 addresses as numbers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Way {
    /// The client.
    pub client: u32,
    /// The virtual address.
    pub destination: u32,
    /// Probe on if the hashed server is not available, as retries do.
    pub falls_back: bool,
    /// Seed of the service's random numbers, and how many picks have asked for some.
    pub chance: (u64, u64),
}

/// True if the scheduler asks for random numbers.
pub fn is_random(kind: SchedulerKind) -> bool {
    matches!(Twin::bind(kind, &[]), Some(Twin::Twos | Twin::P2c))
}

impl Twin {
    /// The scheduler, bound to a service with these servers; `None` if it has no twin yet.
    pub fn bind(kind: SchedulerKind, list: &[Seen]) -> Option<Twin> {
        Some(match kind {
            SchedulerKind::Rr => Twin::Rr { cursor: None },
            SchedulerKind::Wrr => Twin::Wrr(Walk::bind(list)),
            SchedulerKind::Lc => Twin::Lc,
            SchedulerKind::Wlc => Twin::Wlc,
            SchedulerKind::Sed => Twin::Sed,
            SchedulerKind::Nq => Twin::Nq,
            SchedulerKind::Fo => Twin::Fo,
            SchedulerKind::Ovf => Twin::Ovf,
            SchedulerKind::Twos => Twin::Twos,
            SchedulerKind::P2c => Twin::P2c,
            SchedulerKind::Sh => Twin::Sh,
            SchedulerKind::Dh => Twin::Dh,
            SchedulerKind::Lblc => Twin::Lblc(HashMap::new()),
            SchedulerKind::Lblcr => Twin::Lblcr(HashMap::new()),
            SchedulerKind::Mh => Twin::Mh(maglev::table(list)),
            _ => return None,
        })
    }

    /// A server was added or edited; the list as it is after.
    pub fn changed(&mut self, list: &[Seen]) {
        match self {
            Twin::Wrr(walk) => walk.changed(list),
            Twin::Mh(table) => *table = maglev::table(list),
            _ => {}
        }
    }

    /// The server that stood at this place was deleted; the list as it is after.
    pub fn deleted(&mut self, gone: Name, place: usize, list: &[Seen]) {
        match self {
            Twin::Rr { cursor } if *cursor == Some(gone) => {
                *cursor = place.checked_sub(1).map(|before| list[before].name);
            }
            _ => self.changed(list),
        }
    }

    /// Chooses a server.
    pub fn pick(&mut self, list: &[Seen], generation: KernelRules, way: Way) -> Answer {
        let overhead = |server: &Seen| overhead(server, generation);
        let delay = |server: &Seen| u64::from(server.active) + 1;
        let chosen = match self {
            Twin::Rr { cursor } => {
                let found = round_robin(*cursor, list);
                *cursor = found.or(*cursor);
                return Answer::Exactly(found);
            }
            Twin::Wrr(walk) => return walk.pick(list),
            Twin::Lc => best(list, eligible, |held, next| overhead(next) < overhead(held)),
            Twin::Wlc => best(list, eligible, lighter(generation)),
            Twin::Sed => shortest_delay(list, delay),
            Twin::Nq => {
                let idle = list.iter().find(|server| eligible(server) && server.active == 0);
                idle.or_else(|| shortest_delay(list, delay))
            }
            Twin::Fo => best(list, eligible, |held, next| next.weight > held.weight),
            Twin::Ovf => best(
                list,
                |server| eligible(server) && server.active <= server.weight,
                |held, next| next.weight > held.weight,
            ),
            Twin::Twos => chance::twos(list, way.chance, overhead),
            Twin::P2c => chance::p2c(list, way.chance, delay),
            Twin::Sh => hashed(list, way.client, way.falls_back, |server| server.weight),
            Twin::Dh => hashed(list, way.destination, way.falls_back, |_| 1),
            Twin::Mh(table) => {
                let found = maglev::pick(table, way.client, |name| {
                    let server = list.iter().find(|server| server.name == name);
                    let eligible = server.filter(|server| eligible(server));
                    (eligible, way.falls_back)
                });
                // Only retries fall back here; they end at servers that no probe hits.
                found.or_else(|| list.iter().find(|server| way.falls_back && eligible(server)))
            }
            Twin::Lblc(servers) => {
                let remembered = servers.get(&way.destination);
                let known = list.iter().find(|server| Some(&server.name) == remembered);
                let usable =
                    |server: &&Seen| server.weight > 0 && !(way.falls_back && server.overloaded);
                match known.filter(usable).filter(|server| !is_busy(server, list)) {
                    Some(server) => Some(server),
                    None => {
                        let found = best(list, eligible, lighter(generation));
                        if let Some(server) = found {
                            servers.insert(way.destination, server.name);
                        }
                        found
                    }
                }
            }
            Twin::Lblcr(sets) => {
                let set = sets.get(&way.destination).cloned().unwrap_or_default();
                let members: Vec<Seen> = set
                    .iter()
                    .filter_map(|name| list.iter().find(|server| server.name == *name).copied())
                    .collect();
                let least = best(&members, eligible, lighter(generation));
                let least = least.filter(|server| !is_busy(server, list));
                if let Some(server) = least {
                    return Answer::Exactly(Some(server.name));
                }
                let found = best(list, eligible, lighter(generation));
                if let Some(server) = found.filter(|server| !set.contains(&server.name)) {
                    sets.entry(way.destination).or_default().insert(0, server.name);
                }
                found
            }
        };
        Answer::Exactly(chosen.map(|server| server.name))
    }
}

fn overhead(server: &Seen, generation: KernelRules) -> u64 {
    match generation {
        KernelRules::A => 256 * u64::from(server.active) + u64::from(server.inactive),
        _ => 257 * u64::from(server.active) + u64::from(server.inactive),
    }
}

/// The next one has less overhead for its weight.
fn lighter(generation: KernelRules) -> impl Fn(&Seen, &Seen) -> bool {
    move |held, next| {
        overhead(held, generation) * u64::from(next.weight)
            > overhead(next, generation) * u64::from(held.weight)
    }
}

/// More active connections than its weight, while another server has fewer than half its weight.
fn is_busy(server: &Seen, list: &[Seen]) -> bool {
    server.active > server.weight
        && list.iter().any(|other| u64::from(other.active) * 2 < u64::from(other.weight))
}

pub(crate) fn eligible(server: &Seen) -> bool {
    !server.overloaded && server.weight > 0
}

/// The first of the list that no later one beats.
fn best(
    list: &[Seen],
    may: impl Fn(&Seen) -> bool,
    beats: impl Fn(&Seen, &Seen) -> bool,
) -> Option<&Seen> {
    let mut held: Option<&Seen> = None;
    for next in list.iter().filter(|server| may(server)) {
        match held {
            Some(server) if !beats(server, next) => {}
            _ => held = Some(next),
        }
    }
    held
}

fn shortest_delay(list: &[Seen], delay: impl Fn(&Seen) -> u64) -> Option<&Seen> {
    best(list, eligible, |held, next| {
        delay(held) * u64::from(next.weight) > delay(next) * u64::from(held.weight)
    })
}

/// 256 buckets dealt in rounds, the hashed one, then from twice the hash on.
fn hashed(
    list: &[Seen],
    address: u32,
    falls_back: bool,
    share: impl Fn(&Seen) -> u32,
) -> Option<&Seen> {
    let mut buckets: Vec<&Seen> = Vec::new();
    while buckets.len() < 256 && !list.is_empty() {
        for server in list {
            for _ in 0..share(server).clamp(1, 256) {
                buckets.push(server);
            }
        }
    }
    let hash = (u64::from(address) * 0x61c8_8647 % (1 << 32) / (1 << 24)) as usize;
    let hit = *buckets.get(hash)?;
    if eligible(hit) || !falls_back {
        return Some(hit).filter(|server| eligible(server));
    }
    let probes = (0..256).map(|offset| buckets[((offset + hash) % 256 + hash) % 256]);
    // Only retries fall back here; they end at servers without a bucket.
    probes.into_iter().chain(list).find(|server| eligible(server))
}

fn place_of(name: Name, list: &[Seen]) -> usize {
    list.iter()
        .position(|server| server.name == name)
        .expect("a cursor stands on a server of the list")
}

/// From the server after the cursor once around, the cursor itself last.
fn round_robin(cursor: Option<Name>, list: &[Seen]) -> Option<Name> {
    let start = cursor.map_or(0, |name| place_of(name, list) + 1);
    let (before, after) = list.split_at(start);
    let mut round = after.iter().chain(before);
    round.find(|server| eligible(server)).map(|server| server.name)
}

/// Weighted round robin: a walk of the list at a falling level.
#[derive(Debug, Clone)]
pub struct Walk {
    /// Where the walk stands; `None` before the first of the list.
    at: Option<Name>,
    level: i64,
    top: i64,
    step: i64,
}

/// Servers looked at before a walk is given up.
const PATIENCE: u32 = 4_000_000;

impl Walk {
    fn bind(list: &[Seen]) -> Walk {
        let (step, top) = scale(list);
        Walk { at: None, level: top, top, step }
    }

    fn changed(&mut self, list: &[Seen]) {
        self.at = None;
        (self.step, self.top) = scale(list);
        if self.level > self.top || self.level == 0 {
            self.level = self.top;
        } else if self.step > 1 {
            self.level = self.level / self.step * self.step + 1;
        }
    }

    fn pick(&mut self, list: &[Seen]) -> Answer {
        if self.top == 0 {
            return Answer::Exactly(None);
        }
        let entry = self.at;
        let mut next = entry.map_or(0, |name| place_of(name, list) + 1);
        let (mut restarted, mut lowest, mut stop) = (false, false, None);
        let mut patience = PATIENCE;
        loop {
            for server in &list[next..] {
                let Some(left) = patience.checked_sub(1) else {
                    return Answer::TooLong;
                };
                patience = left;
                if !server.overloaded && i64::from(server.weight) >= self.level {
                    self.at = Some(server.name);
                    return Answer::Exactly(self.at);
                }
                if stop == Some(server.name) {
                    self.at = stop;
                    return Answer::Exactly(None);
                }
            }
            next = 0;
            self.level -= self.step;
            if self.level <= 0 {
                self.level = self.top;
                if lowest || entry.is_none() {
                    self.at = None;
                    return Answer::Exactly(None);
                }
                restarted = true;
            }
            lowest = self.level <= self.step;
            if lowest && restarted {
                stop = entry;
            }
        }
    }
}

/// Greatest common divisor of the weights, and the highest of them less what one step covers.
fn scale(list: &[Seen]) -> (i64, i64) {
    let mut step = 0;
    let mut highest = 0;
    for weight in list.iter().map(|server| i64::from(server.weight)) {
        highest = highest.max(weight);
        let (mut a, mut b) = (step, weight);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        step = a;
    }
    let step = step.max(1);
    (step, highest - (step - 1))
}
