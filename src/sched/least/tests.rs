use super::index::Index;
use super::keys::{HEAVIEST, KeyRule};
use super::{Least, Load, LoadIndex, Overhead, Rule, Strategy, View, scan};
use crate::arena::counts::Activity::{Active, Inactive};
use crate::arena::counts::{Counts, Limits, MAX_CONNECTIONS};
use crate::arena::id::ServerId;
use crate::arena::slots::ServerSlot;
use crate::concurrent::simd::key::Key;
use crate::concurrent::test_random::Random;
use crate::config::{KernelRules, ServerState};
use crate::pool::servers::Servers;
use crate::sync::Arc;

const RULE: KernelRules = KernelRules::B;

fn index<L>(least: &Least<L>) -> Option<&LoadIndex> {
    match &least.strategy {
        Strategy::Index(index) => Some(index),
        _ => None,
    }
}

/// An index with keys of 32 bits, and the same with 64.
fn both_widths(servers: &Servers) -> [Least<Overhead>; 2] {
    let load = Overhead(RULE);
    let narrow = Least::of(load, servers);
    assert!(matches!(index(&narrow), Some(LoadIndex::Narrow(_))));
    let wide = LoadIndex::Wide(Index::of(KeyRule::new(load.rule(), 0), servers));
    [narrow, Least { load, strategy: Strategy::Index(Arc::new(wide)) }]
}

fn id(slot: u32) -> ServerId {
    ServerId { slot, generation: 0 }
}

fn slot(servers: &Servers, at: u32) -> &ServerSlot {
    servers.arena().servers.get(at).unwrap()
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
    assert_eq!(Rule::DELAY.key(0, full), u64::UNAVAILABLE, "quiesced");
    assert_eq!(Rule::DELAY.key(1, Counts::of(0, 0, true)), u64::UNAVAILABLE, "overloaded");
}

/// Enough servers for an index of one, two and three rows.
const SIZES: [u32; 4] = [scan::MOST + 1, 65, 100, 2049];

/// With servers of weight 1, and an index of each width.
fn indexed(check: impl Fn(&Servers, &Least<Overhead>)) {
    for count in SIZES {
        for width in 0..2 {
            let servers = Servers::in_slots(count, |_| 1);
            check(&servers, &both_widths(&servers)[width]);
        }
    }
}

#[test]
fn an_untold_connection_is_found_out() {
    indexed(|servers, least| {
        assert!(index(least).is_some());
        assert_eq!(least.find_in(servers, &[], None), Some(0));
        // Opened by a thread that was stopped before it updated the index.
        for untold in [0, 1, 2] {
            slot(servers, untold).open(0, Active, RULE, false).unwrap();
        }
        assert_eq!(least.find_in(servers, &[], None), Some(3));
        assert_eq!(least.find_in(servers, &[id(3)], None), Some(4));
        // The pick has updated the index.
        let index = index(least).unwrap();
        assert_eq!(index.known(&[]), Some(3));
    });
}

#[test]
fn an_untold_mark_is_found_out() {
    use crate::config::Thresholds;
    indexed(|servers, least| {
        let count = servers.len();
        for at in 0..count {
            let limits = Limits::new(Thresholds { upper: 1, lower: 0 });
            slot(servers, at).limit(limits, RULE);
            slot(servers, at).open(0, Active, RULE, true).unwrap();
        }
        assert_eq!(least.find_in(servers, &[], None), None, "all are overloaded");
    });
}

#[test]
fn an_untold_close_hides_that_connection_only() {
    indexed(|servers, least| {
        let count = servers.len();
        let open = |at: u32| {
            slot(servers, at).open(0, Active, RULE, false).unwrap();
            index(least).unwrap().load_changed(id(at).slot, slot(servers, at));
        };
        (0..count).for_each(open);
        // A connection of server 5 closes without an update: it looks as loaded as the others.
        slot(servers, 5).close(0, Active, RULE).unwrap();
        for picked in 0..count {
            assert_eq!(least.find_in(servers, &[], None), Some(picked));
            if picked == 5 {
                // Its next change updates the index completely.
                open(5);
                assert_eq!(least.find_in(servers, &[], None), Some(5));
            }
            open(picked);
        }
    });
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
        assert_eq!(least.find_in(&servers, &[], None), Some(7));
    }
    assert!(index(&Least::of(Overhead(RULE), &Servers::in_slots(scan::MOST, |_| 1))).is_none());
}

/// Whatever strategy a number of servers gets, it finds what a comparison of all fractions does.
#[test]
fn every_strategy_finds_the_same() {
    let mut random = Random(5);
    for count in (0..scan::MOST + 4).chain([65, 300]) {
        for (heaviest, version) in [(1, RULE), (3, KernelRules::A), (6, RULE), (HEAVIEST, RULE)] {
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
                    let found = least.find_in(&servers, &tried, None);
                    let expected = all.find_in(&servers, &tried, None);
                    assert_eq!(found, expected, "{count} {weights:?} {tried:?} {rule:?}");
                }
            }
        }
    }
}

/// A scan would find the same: here the index itself must know.
#[test]
fn the_index_answers_without_a_scan() {
    indexed(|servers, least| {
        let index = index(least).unwrap();
        assert_eq!(index.find(servers), Some(0));
        assert_eq!(index.find_untried(servers, &[id(0), id(1)]), Some(2));
        // Told, and of no server that is least then.
        slot(servers, 0).open(0, Active, RULE, false).unwrap();
        assert_eq!(index.load_changed(id(0).slot, slot(servers, 0)), None);
        assert_eq!(index.find(servers), Some(1));
        // Untold, it is found out by the pick, of the servers that were not tried, too.
        slot(servers, 1).open(0, Active, RULE, false).unwrap();
        assert_eq!(least.find_in(servers, &[], None), Some(2));
        slot(servers, 3).open(0, Active, RULE, false).unwrap();
        assert_eq!(index.find_untried(servers, &[id(2)]), Some(4));
        assert_eq!(index.known(&[2]), Some(4));
        // All that others changed untold is known after a publication.
        slot(servers, 0).close(0, Active, RULE).unwrap();
        slot(servers, 2).open(0, Active, RULE, false).unwrap();
        index.published(servers);
        assert_eq!(index.known(&[]), Some(0));
        assert_eq!(index.known(&[0]), Some(4));
    });
}

#[test]
fn who_becomes_least_is_told() {
    indexed(|servers, least| {
        let count = servers.len();
        let index = index(least).unwrap();
        let told = |at: u32| index.load_changed(id(at).slot, slot(servers, at));
        for at in 0..count {
            slot(servers, at).open(0, Active, RULE, false).unwrap();
            told(at);
        }
        slot(servers, 5).close(0, Active, RULE).unwrap();
        // In a tree of one row there is no node above to tell of it.
        assert_eq!(told(5), (count > 64).then_some(5));
        assert_eq!(index.find(servers), Some(5));
        assert_eq!(told(5), None, "nothing changed");
    });
}

#[test]
fn rules_and_weights_decide_how_wide_keys_are() {
    let servers = Servers::in_slots(40, |slot| [16, 17][slot as usize % 2]);
    for (rule, is_narrow) in [(Rule::DELAY, false), (Rule::DELAY.unweighted(), true)] {
        let least = Least::of(rule, &servers);
        let narrow = matches!(index(&least), Some(LoadIndex::Narrow(_)));
        assert_eq!((index(&least).is_some(), narrow), (true, is_narrow));
    }
}

/// Loads of which 32-bit keys keep only that they are beyond all others, of some servers or of all.
#[test]
fn loads_beyond_narrow_keys_are_compared_exactly() {
    let mut random = Random(13);
    let (mut answered, mut scanned) = (0, 0);
    // Weights, and the active connections per unit of weight at which their keys end: see `keys`.
    let cases = [
        ([3, 5, 17], 65_536),
        ([1, 255, 255], 65_536),
        ([1, 1, 1], 16_711_935),
        ([4, 2, 0], 4_177_983),
    ];
    for (weights, most) in cases {
        for count in [scan::MOST + 1, 100, 1100] {
            let servers = Servers::in_slots(count, |at| weights[at as usize % 3]);
            let least = Least::of(Overhead(RULE), &servers);
            let (all, index) = (Least::scanning(Overhead(RULE)), index(&least).unwrap());
            assert!(matches!(index, LoadIndex::Narrow(_)));
            for round in 0..60 {
                let low = most / 10 * [0, 9, 11][round % 3];
                for at in 0..count {
                    let weight = u64::from(weights[at as usize % 3]);
                    let active = weight * (low + random.below(most / 4)) + random.below(3);
                    let active = active.min(MAX_CONNECTIONS.into()) as u32;
                    slot(&servers, at).correct(0, active, 0, RULE).unwrap();
                    index.load_changed(at, slot(&servers, at));
                }
                let first = random.below(count.into()) as u32;
                for tried in [&[][..], &[id(first)]] {
                    let expected = all.find_in(&servers, tried, None);
                    assert_eq!(least.find_in(&servers, tried, None), expected, "{weights:?}");
                    let found = index.find_untried(&servers, tried);
                    *if found.is_some() { &mut answered } else { &mut scanned } += 1;
                    assert!(found.is_none() || found == expected, "{weights:?}");
                }
                let expected =
                    all.scan_view(View::starting_at(first, &servers), &servers, &[], None);
                let found = index.find_from(&servers, &[], first);
                assert!(found.is_none() || found == expected, "{weights:?} from {first}");
            }
        }
    }
    assert!(answered > 100 && scanned > 100, "{answered} by the index, {scanned} by a scan");
}
