//! What a worker's scan finds, where it also goes by connections of workers that have gone.

use super::WorkerScan;
use crate::arena::counts::Activity::{Active, Inactive};
use crate::arena::tally::Connections;
use crate::arena::worker_state::WorkerState;
use crate::concurrent::test_random::Random;
use crate::config::{KernelRules, ServerState};
use crate::pool::servers::Servers;
use crate::sched::least::{Least, Rule, Strategy, View};
use crate::sync::Arc;

const RULES: KernelRules = KernelRules::B;

/// A service of one search, and the workers that pick by it.
struct Service {
    servers: Servers,
    scan: Arc<WorkerScan>,
    least: Least<Rule>,
    shares: u32,
}

impl Service {
    fn new(rule: Rule, count: u32, shares: u32, random: &mut Random) -> Self {
        let weights: Vec<u32> = (0..count).map(|_| random.below(4) as u32).collect();
        let servers = Servers::in_slots(count, |at| weights[at as usize]);
        let arena = servers.arena();
        arena.set_shares(shares);
        arena.common.grow_to(count);
        arena.workers.grow_to(shares);
        let scan = Arc::new(WorkerScan::of(rule, &servers).unwrap());
        for number in 0..shares {
            let worker = arena.workers.get(number).unwrap();
            worker.assign(number, number, count, 1);
            for slot in 0..count {
                worker.own(slot).unwrap().make_sole(0);
            }
            scan.init_worker(&servers, worker);
        }
        let least = Least { load: rule, strategy: Strategy::WorkerFew(Arc::clone(&scan)) };
        Service { servers, scan, least, shares }
    }

    fn worker(&self, number: u32) -> &WorkerState {
        self.servers.arena().workers.get(number).unwrap()
    }

    /// Opens or closes a connection, of a worker or of none, or changes a server for all workers.
    fn step(&self, random: &mut Random) {
        let arena = self.servers.arena();
        let at = random.below(self.servers.len().into()) as u32;
        let (slot, common) = (arena.servers.get(at).unwrap(), arena.common.get(at).unwrap());
        let own = self.worker(random.below(self.shares.into()) as u32).own(at).unwrap();
        let activity = [Active, Inactive][random.below(2) as usize];
        match random.below(40) {
            0..20 => {
                own.open(0, activity, || true).unwrap();
                if !own.get(0).is_sole() {
                    slot.open(0, activity, RULES, false).unwrap();
                }
            }
            20..34 => {
                if own.close(0, activity).is_some() && !own.get(0).is_sole() {
                    // Not there if one of no worker was closed that had another activity.
                    let _ = slot.close(0, activity, RULES);
                }
            }
            34..36 => {
                let by = Connections::one(activity);
                if random.below(2) == 0 {
                    slot.open(0, activity, RULES, false).unwrap();
                    common.add(by);
                } else if common.get().total() > 0 && slot.close(0, activity, RULES).is_ok() {
                    // One of its numbers may be below 0 now.
                    common.add(by.negative());
                }
            }
            36 => {
                let states = [ServerState::Up, ServerState::Up, ServerState::Down];
                slot.set_state(0, states[random.below(3) as usize]).unwrap();
            }
            37 if random.below(8) == 0 => _ = own.fold(slot),
            _ => return,
        }
        self.scan.changed_for_all();
    }
}

#[test]
fn a_scan_finds_what_a_comparison_one_by_one_does() {
    let mut random = Random(3);
    let rules = [
        Rule::overhead(RULES),
        Rule::overhead(RULES).unweighted(),
        Rule::DELAY,
        Rule::DELAY.idle_first(),
    ];
    let (mut scanned, mut all) = (0, 0);
    for rule in rules {
        for (count, shares) in [(1, 1), (2, 3), (5, 1), (9, 2), (16, 3), (32, 2)] {
            let service = Service::new(rule, count, shares, &mut random);
            for step in 0..2000 {
                service.step(&mut random);
                let worker = service.worker(random.below(shares.into()) as u32);
                let (servers, least) = (&service.servers, &service.least);
                let view = View::of(worker, servers);
                let found = least.find_in(servers, &[], Some(worker));
                let expected = least.scan_view(view, servers, &[], Some(worker));
                assert_eq!(found, expected, "{rule:?} {count} {shares} {step}");
                scanned += u32::from(service.scan.find(servers, worker).is_ok());
                all += 1;
            }
        }
    }
    assert!(scanned > all / 3, "{scanned} of {all}");
}

/// One connection that outlives its worker costs no later pick a comparison one by one.
#[test]
fn a_connection_of_a_worker_that_has_gone_is_added() {
    for shares in [1, 2] {
        let service = Service::new(Rule::DELAY, 7, shares, &mut Random(1));
        let (servers, worker) = (&service.servers, service.worker(0));
        let heaviest = (0..7).max_by_key(|at| servers.weight(*at)).unwrap();
        let slot = servers.arena().servers.get(heaviest).unwrap();
        assert!(service.scan.find(servers, worker).is_ok());
        for _ in 0..100 {
            slot.open(0, Active, RULES, false).unwrap();
            servers.arena().common.get(heaviest).unwrap().add(Connections::one(Active));
        }
        service.scan.changed_for_all();
        for _ in 0..50 {
            let Ok(found) = service.scan.find(servers, worker) else { panic!("{shares}") };
            assert_ne!(found, heaviest, "{shares}");
        }
    }
}
