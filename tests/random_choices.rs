//! How often twos and p2c pick each server, by chi-squared against their rules; also beside servers that
//! are quiesced, full or tried, whatever their weight.

mod common;

use common::{Random, config, flow, rip, vip};
use vsched::config::ServiceKey;
use vsched::{Director, SchedulerKind, Tried};

const KINDS: [SchedulerKind; 2] = [SchedulerKind::Twos, SchedulerKind::P2c];
const PICKS: u32 = 60_000;
/// Standard deviations of a normal distribution: one case in a million is further off by chance. The
/// seeds are fixed, so what passes once passes always.
const TOLERANCE: f64 = 4.75;

/// Whether a server may be picked.
#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Available,
    /// At its upper threshold.
    Full,
    Tried,
}
use State::{Available, Full, Tried as WasTried};

/// Weight, active connections, state.
type Server = (u32, u32, State);

/// One service with these servers, in list order.
struct Service {
    director: Director,
    servers: Vec<Server>,
}

impl Service {
    fn new(kind: SchedulerKind, seed: u64, servers: &[Server]) -> Self {
        // The newest is the first of the list.
        let weights: Vec<u32> = servers.iter().rev().map(|(weight, ..)| *weight).collect();
        let mut config = config(kind, servers.len() as u16, &weights).with_seed(seed);
        let newest_first = config.services[0].servers.iter_mut().rev();
        for (server, (_, active, state)) in newest_first.zip(servers) {
            server.thresholds.upper = if *state == Full { active + 1 } else { 0 };
        }
        let service = Service {
            director: Director::new(&config).expect("a valid config"),
            servers: servers.to_vec(),
        };
        for (place, (_, active, state)) in servers.iter().enumerate() {
            let active = active + u32::from(*state == Full);
            service.director.set_counts(service.id(place), active, 0).expect("few");
        }
        service
    }

    fn id(&self, place: usize) -> vsched::ServerId {
        let number = (self.servers.len() - place) as u16;
        common::server_id(&self.director, &ServiceKey::tcp(vip(0)), rip(number)).expect("it runs")
    }

    fn is_eligible(&self, place: usize) -> bool {
        let (weight, _, state) = self.servers[place];
        weight > 0 && state == Available
    }

    /// The place of each of so many picks, or none.
    fn picks(&self, count: u32) -> Vec<Option<usize>> {
        let places = 0..self.servers.len();
        let mut tried = Tried::<8>::new();
        for place in places.clone().filter(|place| self.servers[*place].2 == WasTried) {
            tried.try_push(self.id(place)).expect("room");
        }
        let ids: Vec<_> = places.map(|place| self.id(place)).collect();
        let id = self.director.service_by_key(&ServiceKey::tcp(vip(0))).expect("it runs");
        let worker = self.director.worker();
        let pick = |_| {
            let pick = worker.pick_server_excluding(id, &flow(1), tried.as_slice()).ok()?;
            ids.iter().position(|id| *id == pick.server())
        };
        (0..count).map(pick).collect()
    }

    fn tally(&self) -> Vec<u32> {
        let mut counts = vec![0; self.servers.len()];
        for place in self.picks(PICKS) {
            counts[place.expect("one is available")] += 1;
        }
        counts
    }

    /// The rule worked out: the chance of each server.
    fn chances(&self, kind: SchedulerKind) -> Vec<f64> {
        let places = || (0..self.servers.len()).filter(|place| self.is_eligible(*place));
        let first = places().next().expect("one is available");
        let bonus = u32::from(kind == SchedulerKind::Twos);
        let values = |place: usize| {
            f64::from(self.servers[place].0 + if place == first { bonus } else { 0 })
        };
        let sum: f64 = places().map(values).sum();
        let load = |place: usize| {
            let (_, active, _) = self.servers[place];
            // Of the kernel rules B; nothing here is inactive.
            u64::from(if kind == SchedulerKind::Twos { 257 * active } else { active + 1 })
        };
        let mut chances = vec![0.0; self.servers.len()];
        for one in places() {
            for two in places() {
                let differ = kind == SchedulerKind::P2c && places().count() > 1;
                let chance = match (differ, one == two) {
                    (true, true) => continue,
                    (true, false) => values(two) / (sum - values(one)),
                    (false, _) => values(two) / sum,
                };
                let (weight_one, weight_two) = (self.servers[one].0, self.servers[two].0);
                let second = load(two) * u64::from(weight_one) < load(one) * u64::from(weight_two);
                chances[if second { two } else { one }] += values(one) / sum * chance;
            }
        }
        chances
    }
}

/// How far off these counts are, in standard deviations of a normal distribution (Wilson and Hilferty).
fn deviation(counts: &[u32], chances: &[f64]) -> f64 {
    let total: f64 = counts.iter().copied().map(f64::from).sum();
    let (mut sum, mut possible) = (0.0, 0.0f64);
    for (count, chance) in counts.iter().zip(chances) {
        if *chance < 1e-12 {
            assert_eq!(*count, 0, "{counts:?} {chances:?}");
            continue;
        }
        sum += (f64::from(*count) - total * chance).powi(2) / (total * chance);
        possible += 1.0;
    }
    let freedom = (possible - 1.0).max(1.0);
    let scale = 2.0 / (9.0 * freedom);
    ((sum / freedom).cbrt() - (1.0 - scale)) / scale.sqrt()
}

const fn idle(weight: u32) -> Server {
    (weight, 0, Available)
}

fn cases() -> Vec<Vec<Server>> {
    let mut cases = vec![
        vec![idle(1)],
        vec![idle(1), idle(1)],
        vec![idle(3), idle(1), idle(6)],
        vec![idle(0), idle(2), idle(0), idle(5)],
        vec![idle(3), (1, 1, Available)],
        vec![(1, 4, Available), (2, 9, Available), (4, 8, Available), (3, 0, Available)],
        // One server has nearly all of the weight.
        vec![idle(1), idle(1_000_000), idle(2), (1, 3, Available)],
        // Few rejections decide; and in some picks the walk.
        vec![idle(2), (9, 1, Full), idle(1), (3, 2, Available), (7, 0, WasTried)],
        vec![(20, 0, WasTried), idle(1), idle(3), (1, 0, Full), (2, 5, Available), idle(0)],
        // Nearly always the walk; the first of the list is not available.
        vec![(1_000_000, 0, WasTried), idle(1), (1_000_000, 1, Full), idle(3), (2, 2, Available)],
        vec![(1_000_000, 0, WasTried), idle(7), (1_000_000, 1, Full)],
    ];
    // Long lists, with blocks of several owners and owners of several blocks.
    let mut random = Random(5);
    for (count, heaviest) in [(70, 1), (100, 9), (150, 5000)] {
        let server = |place: u64| {
            let weight = 1 + random.below(heaviest) as u32;
            let states = [Available, Available, Full];
            let state = if place < 8 { WasTried } else { states[place as usize % 3] };
            (weight + if place == 20 { 3 * heaviest as u32 } else { 0 }, place as u32 % 4, state)
        };
        cases.push((0..count).map(server).collect());
    }
    cases
}

#[test]
fn servers_are_picked_as_often_as_the_rules_say() {
    for kind in KINDS {
        for (seed, servers) in (1..).zip(cases()) {
            let service = Service::new(kind, seed, &servers);
            let (counts, chances) = (service.tally(), service.chances(kind));
            let off = deviation(&counts, &chances);
            assert!(off <= TOLERANCE, "{kind:?} case {seed}: {off}: {counts:?} {chances:?}");
        }
    }
}

/// The tolerance tells the rules from each other.
#[test]
fn the_rules_differ() {
    let mut told = 0;
    for (seed, servers) in (1..).zip(cases()) {
        let service = Service::new(SchedulerKind::P2c, seed, &servers);
        let twos = service.chances(SchedulerKind::Twos);
        told += u32::from(deviation(&service.tally(), &twos) > TOLERANCE);
    }
    assert!(told >= 9, "{told}");
}

/// Whatever is not available: a pick finds an eligible server if there is one, and never another.
#[test]
fn a_server_is_found_whenever_one_is_available() {
    let mut random = Random(11);
    let (mut found, mut none) = (0, 0);
    for seed in 0..400 {
        let states = [Available, Full, WasTried];
        let mut tried = 0;
        let mut server = |_| {
            let weight = [0, 1, 5, 1 << 20][random.below(4) as usize];
            let mut state = states[random.below(3) as usize];
            tried += u32::from(state == WasTried);
            if tried > 8 && state == WasTried {
                state = Full;
            }
            (weight, random.below(3) as u32, state)
        };
        let count = 1 + seed % 19 + if seed % 16 == 0 { 50 } else { 0 };
        let servers: Vec<Server> = (0..count).map(&mut server).collect();
        for kind in KINDS {
            let service = Service::new(kind, seed, &servers);
            let any = (0..servers.len()).any(|place| service.is_eligible(place));
            for pick in service.picks(30) {
                let good = pick.map_or(!any, |place| service.is_eligible(place));
                assert!(good, "{kind:?} seed {seed}: {pick:?} of {servers:?}");
                *(if any { &mut found } else { &mut none }) += 1;
            }
        }
    }
    assert!(found > 10_000 && none > 1_000, "{found} {none}");
}

/// With two servers p2c compares both in each pick.
#[test]
fn p2c_never_picks_the_busier_of_two() {
    for (servers, wins) in [
        ([(1, 5, Available), (1, 6, Available)], 0),
        ([(1, 6, Available), (1, 5, Available)], 1),
        ([(1000, 3000, Available), (1, 2, Available)], 1),
        ([(1, 3, Available), (1000, 2999, Available)], 1),
    ] {
        let picks = Service::new(SchedulerKind::P2c, 3, &servers).picks(200);
        assert!(picks.iter().all(|pick| *pick == Some(wins)), "{servers:?}");
    }
}
