//! wrr picks correctly where a cycle is too long to be precomputed, weight level by weight level.

mod common;

use common::{config, flow, rip, server};
use vsched::config::{Command, ServiceKey};
use vsched::{Config, Director, SchedulerKind, ServiceId, Worker};

/// The kernel's walk over servers of these weights, in the order of the list.
struct Walk {
    weights: Vec<u32>,
    step: u32,
    level: u32,
    last: Option<usize>,
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Walk {
    fn of(weights: &[u32]) -> Self {
        let step = weights.iter().fold(0, |a, b| gcd(a, *b));
        let highest = weights.iter().copied().max().expect("servers");
        Walk { weights: weights.to_vec(), step, level: highest - (step - 1), last: None }
    }

    /// The kernel's rule for a change of the list.
    fn edit(&mut self, weights: &[u32]) {
        let Walk { step, level: top, .. } = Walk::of(weights);
        self.level = match self.level {
            level if level > top || level == 0 => top,
            level if step > 1 => level / step * step + 1,
            level => level,
        };
        (self.weights, self.step, self.last) = (weights.to_vec(), step, None);
    }

    fn next(&mut self) -> usize {
        loop {
            let start = self.last.map_or(0, |last| last + 1);
            let reaches = |at: &usize| self.weights[*at] >= self.level;
            if let Some(found) = (start..self.weights.len()).find(reaches) {
                self.last = Some(found);
                return found;
            }
            self.last = None;
            self.level = match self.level.checked_sub(self.step) {
                Some(level) if level > 0 => level,
                _ => self.weights.iter().max().expect("servers") - (self.step - 1),
            };
        }
    }
}

/// The servers of so many picks, by place in the list.
fn picks(worker: &Worker, service: ServiceId, servers: usize, count: usize) -> Vec<usize> {
    let pick = |_| {
        let pick = worker.pick_server(service, &flow(1)).expect("a server");
        (1..=servers as u16).position(|n| rip(n) == pick.address()).expect("one of them")
    };
    // The list begins with the server that was added last.
    (0..count).map(pick).map(|number| servers - 1 - number).collect()
}

fn service_of(config: &Config) -> (Director, Worker, ServiceId) {
    let director = Director::new(config).expect("a valid config");
    let service = director.service_by_key(&ServiceKey::tcp(common::vip(0))).expect("it runs");
    let worker = director.worker();
    (director, worker, service)
}

const LISTS: [&[u32]; 5] = [
    &[3_000_001, 2_999_990],
    &[2_999_990, 3_000_001],
    &[6_000_000, 5_999_970, 1],
    &[3_000_003, 3_000_000, 2_999_985],
    &[i32::MAX as u32, i32::MAX as u32 - 7],
];

#[test]
fn levels_fall_as_in_the_kernel() {
    for weights in LISTS {
        let in_order_of_adding: Vec<u32> = weights.iter().rev().copied().collect();
        let count = weights.len();
        let config = config(SchedulerKind::Wrr, count as u16, &in_order_of_adding);
        let (_director, worker, service) = service_of(&config);
        let mut walk = Walk::of(weights);
        let expected: Vec<usize> = (0..200).map(|_| walk.next()).collect();
        assert_eq!(picks(&worker, service, count, 200), expected, "{weights:?}");
        assert!((0..count.min(2)).all(|at| expected.contains(&at)), "{weights:?}");
    }
}

/// The kernel's walk begins at the top of the first server's weight, which is all one step, so at level
/// 1, and stays there while others come: one by one or, as here each is a step too, all at once.
#[test]
fn an_empty_service_begins_at_the_first_servers_level() {
    let key = ServiceKey::tcp(common::vip(0));
    for weights in [&[1, 5][..], &[5, 1], &[2, 6], &[2_999_990, 3_000_001], &[3, 3, 7]] {
        let mut config = config(SchedulerKind::Wrr, 1, &[1]);
        let servers: Vec<_> = (1..).zip(weights).map(|(n, weight)| server(n, *weight)).collect();
        config.services[0].servers.clear();
        let in_order_of_list: Vec<u32> = weights.iter().rev().copied().collect();
        let mut walk = Walk::of(&in_order_of_list);
        walk.level = 1;
        let expected: Vec<usize> = (0..100).map(|_| walk.next()).collect();
        for at_once in [false, true] {
            let (director, worker, service) = service_of(&config);
            assert!(worker.pick_server(service, &flow(1)).is_err());
            if at_once {
                let full = config.services[0].clone().with_servers(servers.clone());
                let full = Config::new().with_service(full);
                director.apply(&full).expect("a valid config");
            } else {
                for server in &servers {
                    let command = Command::AddServer { service: key, server: server.clone() };
                    director.execute(&command).expect("a new server");
                }
            }
            let found = picks(&worker, service, weights.len(), 100);
            assert_eq!(found, expected, "{weights:?} {at_once}");
        }
    }
}

/// Edits that change what the level falls by, and how high it may be.
#[test]
fn an_edit_rounds_the_level_as_the_kernel_does() {
    let lists: [[u32; 2]; 8] = [
        [3_000_001, 2_999_990],
        [3_000_000, 2_999_997],
        [3_000_007, 2_999_990],
        [2_999_980, 2_999_985],
        [3_000_004, 2_999_988],
        [6_000_000, 2_999_997],
        [2_999_998, 2_999_998 - 7],
        [7, 5],
    ];
    let key = ServiceKey::tcp(common::vip(0));
    for (first, second) in lists.iter().flat_map(|a| lists.iter().map(move |b| (a, b))) {
        for between in [0, 1, 2, 9, 30, 31] {
            let config = config(SchedulerKind::Wrr, 2, &[first[1], first[0]]);
            let (director, worker, service) = service_of(&config);
            let mut walk = Walk::of(first);
            let check = |walk: &mut Walk, count| {
                let expected: Vec<usize> = (0..count).map(|_| walk.next()).collect();
                let found = picks(&worker, service, 2, count);
                assert_eq!(found, expected, "{first:?} {second:?} {between}");
            };
            check(&mut walk, between);
            let mut weights = *first;
            // One server at a time, as an administrator does.
            for at in [0, 1] {
                if weights[at] == second[at] {
                    continue;
                }
                weights[at] = second[at];
                let server = server(2 - at as u16, weights[at]);
                let command = Command::EditServer { service: key, server };
                director.execute(&command).expect("it runs");
                walk.edit(&weights);
                check(&mut walk, 3);
            }
            check(&mut walk, 40);
        }
    }
}
