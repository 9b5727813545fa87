use super::{ACTIVE, HEAVIEST, Least, Load, LoadIndex, Overhead, Rule, Strategy, scan};
use crate::arena::counts::Activity::{Active, Inactive};
use crate::arena::counts::{Counts, Limits, MAX_CONNECTIONS};
use crate::arena::id::ServerId;
use crate::arena::slots::ServerSlot;
use crate::concurrent::simd::UNAVAILABLE;
use crate::concurrent::test_random::Random;
use crate::config::{KernelRules, ServerState};
use crate::pool::servers::{Position, Servers};
use crate::sched::least::index::quotient;

const RULE: KernelRules = KernelRules::B;

fn index<L>(least: &Least<L>) -> Option<&LoadIndex> {
    match &least.strategy {
        Strategy::Index(index) => Some(index),
        _ => None,
    }
}

fn id(slot: u32) -> ServerId {
    ServerId { slot, generation: 0 }
}

fn slot(servers: &Servers, at: u32) -> &ServerSlot {
    servers.arena().servers.get(at).unwrap()
}

#[test]
fn keys_order_as_fractions_do() {
    let most = u64::from(ACTIVE + 1) * u64::from(MAX_CONNECTIONS);
    assert!(most < 1 << 35);
    let mut state = 7u64;
    let mut random = |limit: u64| {
        // Knuth's constants; the high bits are the good ones.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((u128::from(state) * u128::from(limit)) >> 64) as u64
    };
    let compare = |(a, v): (u64, u64), (b, w): (u64, u64)| {
        let exact = (u128::from(a) * u128::from(w)).cmp(&(u128::from(b) * u128::from(v)));
        let found = quotient(a, v as u32).cmp(&quotient(b, w as u32));
        assert_eq!(found, exact, "{a}/{v} and {b}/{w}");
        assert!(quotient(a, v as u32) < UNAVAILABLE);
    };
    let heaviest = u64::from(HEAVIEST);
    for round in 0..2_000_000 {
        let (a, v) = (random(most) >> random(35), 1 + random(heaviest));
        let (b, w) = match round % 4 {
            // Arbitrary fractions.
            0 => (random(most), 1 + random(heaviest)),
            // The closest fraction with another weight, and its neighbors.
            1 | 2 => {
                let w = if round % 8 < 4 { 1 + random(heaviest) } else { heaviest - random(9) };
                let near = (u128::from(a) * u128::from(w) / u128::from(v)) as u64;
                ((near + random(3)).saturating_sub(1).min(most), w)
            }
            // An equal fraction.
            _ => {
                let factor = 1 + random((heaviest / v).min(most / a.max(1)).max(1));
                (a * factor, v * factor)
            }
        };
        compare((a, v), (b, w));
    }
    // The largest loads with the largest weights: the closest two fractions there are.
    for d in 0..9 {
        compare((most - d, heaviest), (most - d - 1, heaviest - 1));
        compare((most - d, heaviest - 1), (most - d, heaviest));
    }
}

#[test]
fn rules_are_the_formulas() {
    let none = Limits::from_word(0);
    let mut counts = Counts::from_word(0);
    for step in 0..40u64 {
        let (active, total) = (u64::from(counts.active()), u64::from(counts.total()));
        let overhead = |rule| Rule::overhead(rule).load(counts);
        assert_eq!(overhead(KernelRules::A), 256 * active + (total - active));
        assert_eq!(overhead(KernelRules::B), 256 * active + total);
        for rule in [KernelRules::A, KernelRules::B] {
            assert_eq!(super::overhead(counts, rule), overhead(rule));
        }
        assert_eq!(Rule::DELAY.load(counts), active + 1);
        assert_eq!(Rule::DELAY.idle_first().at_once(counts), active == 0);
        assert!(!Rule::DELAY.at_once(counts));
        let rotation = Rule::overhead(RULE).unweighted();
        assert_eq!(rotation.key(7, counts), ((256 * active + total) as f64).to_bits());
        let activity = if step % 3 == 0 { Inactive } else { Active };
        counts = counts.opened(activity, none, RULE).unwrap();
    }
    let full = Counts::of(u32::MAX, u32::MAX, false);
    assert_eq!(full.active(), MAX_CONNECTIONS);
    assert_eq!(Rule::overhead(RULE).load(full), 257 * u64::from(MAX_CONNECTIONS));
    assert_eq!(Rule::DELAY.key(0, full), UNAVAILABLE, "quiesced");
    assert_eq!(Rule::DELAY.key(1, Counts::of(0, 0, true)), UNAVAILABLE, "overloaded");
}

impl<L: Load> Least<L> {
    fn find_among_all(&self, servers: &Servers, tried: &[ServerId]) -> Option<Position> {
        match &self.strategy {
            Strategy::Index(index) => self.find_indexed(index, servers, tried),
            Strategy::Few(scan) if tried.is_empty() => scan.find(),
            _ => self.scan(servers.iter_available(tried)),
        }
    }
}

/// Enough servers for an index of one, two and three rows.
const SIZES: [u32; 4] = [scan::MOST + 1, 65, 100, 1025];

#[test]
fn an_untold_connection_is_found_out() {
    for count in SIZES {
        let servers = Servers::in_slots(count, |_| 1);
        let least = Least::of(Overhead(RULE), &servers);
        assert!(index(&least).is_some());
        assert_eq!(least.find_among_all(&servers, &[]), Some(0));
        // Opened by a thread that was stopped before it updated the index.
        for untold in [0, 1, 2] {
            slot(&servers, untold).open(0, Active, RULE, false).unwrap();
        }
        assert_eq!(least.find_among_all(&servers, &[]), Some(3));
        assert_eq!(least.find_among_all(&servers, &[id(3)]), Some(4));
        // The pick has updated the index.
        let index = index(&least).unwrap();
        assert_eq!(index.keys().least().unwrap().unwrap().index, 3);
    }
}

#[test]
fn an_untold_mark_is_found_out() {
    use crate::config::Thresholds;
    for count in SIZES {
        let servers = Servers::in_slots(count, |_| 1);
        let least = Least::of(Overhead(RULE), &servers);
        for at in 0..count {
            let limits = Limits::new(Thresholds { upper: 1, lower: 0 });
            slot(&servers, at).limit(limits, RULE);
            slot(&servers, at).open(0, Active, RULE, true).unwrap();
        }
        assert_eq!(least.find_among_all(&servers, &[]), None, "all are overloaded");
    }
}

#[test]
fn an_untold_close_hides_that_connection_only() {
    for count in SIZES {
        let servers = Servers::in_slots(count, |_| 1);
        let least = Least::of(Overhead(RULE), &servers);
        let open = |at: u32| {
            slot(&servers, at).open(0, Active, RULE, false).unwrap();
            index(&least).unwrap().load_changed(id(at).slot, slot(&servers, at));
        };
        (0..count).for_each(open);
        // A connection of server 5 closes without an update: it looks as loaded as the others.
        slot(&servers, 5).close(0, Active, RULE).unwrap();
        for picked in 0..count {
            assert_eq!(least.find_among_all(&servers, &[]), Some(picked));
            if picked == 5 {
                // Its next change updates the index completely.
                open(5);
                assert_eq!(least.find_among_all(&servers, &[]), Some(5));
            }
            open(picked);
        }
    }
}

#[test]
fn heavy_weights_are_scanned() {
    for (heaviest, indexed) in [(HEAVIEST, true), (HEAVIEST + 1, false)] {
        let servers = Servers::in_slots(40, |slot| if slot == 7 { heaviest } else { 3 });
        let least = Least::of(Overhead(RULE), &servers);
        assert_eq!(index(&least).is_some(), indexed);
        for at in 0..40 {
            slot(&servers, at).open(0, Inactive, RULE, false).unwrap();
            if let Some(index) = index(&least) {
                index.load_changed(id(at).slot, slot(&servers, at));
            }
        }
        assert_eq!(least.find_among_all(&servers, &[]), Some(7));
    }
    assert!(index(&Least::of(Overhead(RULE), &Servers::in_slots(scan::MOST, |_| 1))).is_none());
}

/// Whatever strategy a number of servers gets, it finds what a comparison of all fractions does.
#[test]
fn every_strategy_finds_the_same() {
    let mut random = Random(5);
    for count in (0..scan::MOST + 4).chain([65, 300]) {
        for (heaviest, version) in [(1, RULE), (3, KernelRules::A), (HEAVIEST, RULE)] {
            let weights: Vec<u32> =
                (0..count).map(|_| random.below(u64::from(heaviest) + 1) as u32).collect();
            let servers = Servers::in_slots(count, |at| weights[at as usize]);
            let rules = [
                Rule::overhead(version),
                Rule::overhead(version).unweighted(),
                Rule::DELAY,
                Rule::DELAY.idle_first(),
            ];
            let least = rules.map(|rule| (Least::of(rule, &servers), Least::scanning(rule)));
            for _ in 0..200 {
                for _ in 0..random.below(4).min(count.into()) {
                    let slot = slot(&servers, random.below(count.into()) as u32);
                    let activity = [Active, Inactive][random.below(2) as usize];
                    let state = [ServerState::Up, ServerState::Draining, ServerState::Down]
                        [random.below(3) as usize];
                    let _ = match random.below(5) {
                        0..3 => slot.open(0, activity, version, false).map(drop),
                        3 => slot.close(0, activity, version).map(drop),
                        _ => slot.set_state(0, state).map(drop),
                    };
                }
                let tried: Vec<ServerId> = (0..random.below(3).min(count.into()))
                    .map(|_| id(random.below(count.into()) as u32))
                    .collect();
                for ((least, all), rule) in least.iter().zip(rules) {
                    if let Some(index) = index(least) {
                        index.published(&servers);
                    }
                    let found = least.find_among_all(&servers, &tried);
                    let expected = all.find_among_all(&servers, &tried);
                    assert_eq!(found, expected, "{count} {weights:?} {tried:?} {rule:?}");
                }
            }
        }
    }
}

/// A scan would find the same: here the index itself must know.
#[test]
fn the_index_answers_without_a_scan() {
    for count in SIZES {
        let servers = Servers::in_slots(count, |_| 1);
        let least = Least::of(Overhead(RULE), &servers);
        let index = index(&least).unwrap();
        assert_eq!(index.find(&servers), Some(0));
        assert_eq!(index.find_untried(&servers, &[id(0), id(1)]), Some(2));
        // Told, and of no server that is least then.
        slot(&servers, 0).open(0, Active, RULE, false).unwrap();
        assert_eq!(index.load_changed(id(0).slot, slot(&servers, 0)), None);
        assert_eq!(index.find(&servers), Some(1));
        // Untold, it is found out by the pick, of the servers that were not tried, too.
        slot(&servers, 1).open(0, Active, RULE, false).unwrap();
        assert_eq!(index.find(&servers), Some(2));
        slot(&servers, 3).open(0, Active, RULE, false).unwrap();
        assert_eq!(index.find_untried(&servers, &[id(2)]), Some(4));
        assert_eq!(index.keys().least_except(&[2]).unwrap().index, 4);
        // All that others changed untold is known after a publication.
        slot(&servers, 0).close(0, Active, RULE).unwrap();
        slot(&servers, 2).open(0, Active, RULE, false).unwrap();
        index.published(&servers);
        assert_eq!(index.keys().least().unwrap().unwrap().index, 0);
        assert_eq!(index.keys().least_except(&[0]).unwrap().index, 4);
    }
}

#[test]
fn who_becomes_least_is_told() {
    for count in SIZES {
        let servers = Servers::in_slots(count, |_| 1);
        let least = Least::of(Overhead(RULE), &servers);
        let index = index(&least).unwrap();
        let told = |at: u32| index.load_changed(id(at).slot, slot(&servers, at));
        for at in 0..count {
            slot(&servers, at).open(0, Active, RULE, false).unwrap();
            told(at);
        }
        slot(&servers, 5).close(0, Active, RULE).unwrap();
        // In a tree of one row there is no node above to tell of it.
        assert_eq!(told(5), (count > 64).then_some(5));
        assert_eq!(index.find(&servers), Some(5));
        assert_eq!(told(5), None, "nothing changed");
    }
}
