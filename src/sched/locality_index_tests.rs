use super::{FEW, LocalityIndex};
use crate::arena::counts::Activity::{Active, Inactive};
use crate::arena::slots::ServerSlot;
use crate::config::{KernelRules, ServerState};
use crate::pool::servers::Servers;
use crate::sched::least::keys::HEAVIEST;
use crate::sync::Arc;

const RULE: KernelRules = KernelRules::B;
/// One row of keys, two, and three.
const SIZES: [u32; 5] = [FEW + 1, 64, 65, 100, 2100];

struct Case {
    servers: Servers,
    index: Arc<LocalityIndex>,
}

impl Case {
    fn new(count: u32, weight: impl Fn(u32) -> u32) -> Self {
        let servers = Servers::in_slots(count, weight);
        Case { index: LocalityIndex::new(&servers, RULE), servers }
    }

    fn slot(&self, at: u32) -> &ServerSlot {
        self.servers.arena().servers.get(at).unwrap()
    }

    fn tell(&self, at: u32) {
        self.index.load_changed(at, self.slot(at));
    }

    fn open(&self, at: u32) {
        self.slot(at).open(0, Active, RULE, false).unwrap();
        self.index.load_risen(at, self.slot(at));
    }

    fn close(&self, at: u32) {
        self.slot(at).close(0, Active, RULE).unwrap();
        self.tell(at);
    }

    fn has_spare(&self) -> bool {
        !self.index.many.as_ref().unwrap().spare.is_empty()
    }

    fn key(&self, at: u32) -> f64 {
        f64::from_bits(self.index.many.as_ref().unwrap().keys.as_ref().unwrap().key(at).unwrap())
    }

    /// One search by the keys, without a scan.
    fn search(&self) -> Option<u32> {
        let keys = self.index.many.as_ref().unwrap().keys.as_ref().unwrap();
        self.index.search(keys, &self.servers, &[])
    }

    /// What searches find once they have corrected enough keys.
    fn least(&self) -> Option<u32> {
        (0..100).find_map(|_| self.search())
    }
}

#[test]
fn a_connection_that_opens_or_closes_changes_no_key_that_is_low_enough() {
    for count in SIZES {
        let case = Case::new(count, |_| 10);
        case.open(3);
        case.open(3);
        assert_eq!(case.key(3), 0.0, "a lower bound");
        assert_eq!(case.least(), Some(0));
        // A search that meets the key sets it.
        (0..3).for_each(|at| case.open(at));
        assert_eq!(case.least(), Some(4));
        assert_eq!(case.key(3), 51.4);
        assert_eq!(case.key(0), 25.7);
        // A load that falls below its key lowers it.
        case.close(3);
        assert_eq!(case.key(3), 25.7);
        case.open(3);
        assert_eq!(case.key(3), 25.7);
        (4..count).for_each(|at| case.open(at));
        assert_eq!(case.least(), Some(0));
        assert_eq!(case.key(count - 1), 25.7);
        case.open(0);
        assert_eq!(case.least(), Some(1));
    }
}

#[test]
fn spare_weight_is_known_at_once() {
    for count in SIZES {
        // Weight 3: with one connection there is weight to spare, with two there is not.
        let case = Case::new(count, |at| if at % 7 == 5 { 3 } else { 0 });
        assert!(case.has_spare());
        let heavy: Vec<u32> = (0..count).filter(|at| at % 7 == 5).collect();
        for at in &heavy {
            case.open(*at);
            assert!(case.has_spare());
        }
        for at in &heavy {
            assert!(case.has_spare());
            case.open(*at);
        }
        assert!(!case.has_spare());
        for at in &heavy {
            case.close(*at);
            assert!(case.has_spare());
            for (state, has_spare) in [
                (ServerState::Draining, false),
                (ServerState::Down, false),
                (ServerState::Up, true),
            ] {
                case.slot(*at).set_state(0, state).unwrap();
                case.tell(*at);
                assert_eq!(case.has_spare(), has_spare);
            }
            case.open(*at);
        }
        // Inactive connections take no weight.
        case.slot(heavy[0]).update(0, Inactive).unwrap();
        case.tell(heavy[0]);
        assert!(case.has_spare());
    }
}

#[test]
fn a_publication_makes_up_for_what_was_not_told() {
    for count in SIZES {
        let case = Case::new(count, |_| 1);
        (0..count).for_each(|at| case.open(at));
        let next = Case { index: LocalityIndex::new(&case.servers, RULE), servers: case.servers };
        assert!(!next.has_spare());
        assert_eq!(next.least(), Some(0));
        // Told through the previous pool only.
        next.slot(count - 1).close(0, Active, RULE).unwrap();
        next.slot(2).open(0, Active, RULE, false).unwrap();
        assert!(!next.has_spare());
        next.index.published(&next.servers);
        assert!(next.has_spare());
        assert_eq!(next.least(), Some(count - 1));
    }
}

/// All keys are too low: some are corrected, then a scan decides, and in the end the keys are right.
#[test]
fn many_corrections_are_spread_over_picks() {
    let case = Case::new(2000, |_| 1);
    (0..1999).for_each(|at| case.open(at));
    let picks = (0..).find(|_| case.search() == Some(1999)).unwrap();
    assert!(picks > 5 && picks < 40, "{picks}");
}

#[test]
fn few_servers_have_no_index_and_heavy_ones_no_keys() {
    assert!(LocalityIndex::new(&Servers::in_slots(FEW, |_| 1), RULE).many.is_none());
    for (heaviest, keys) in [(HEAVIEST, true), (HEAVIEST + 1, false)] {
        let servers = Servers::in_slots(40, |slot| if slot == 7 { heaviest } else { 3 });
        let index = LocalityIndex::new(&servers, RULE);
        assert_eq!(index.many.as_ref().unwrap().keys.is_some(), keys);
    }
}
