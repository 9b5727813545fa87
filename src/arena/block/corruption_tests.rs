//! A block whose words another process changes while it is in use.
//!
//! VSCHED_CORRUPTIONS is the number of changes, VSCHED_SEED the seed of the random numbers.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Memory, number};
use crate::arena::block::limits::BlockLimits;
use crate::arena::counts::Activity::Inactive;
use crate::concurrent::test_random::Random;
use crate::config::{Config, Ejection, ServerState, SlowStart};
use crate::{Director, Flow, Holder, Lease, Outcome, ServerId, Worker};

const RULES: &str = "-A -t 10.0.0.1:80 -s wrr
    -a -t 10.0.0.1:80 -r 10.0.1.1 -w 3 -x 9 -y 4
    -a -t 10.0.0.1:80 -r 10.0.1.2 -w 2
    -A -t 10.0.0.1:81 -s rr
    -a -t 10.0.0.1:81 -r 10.0.1.1
    -a -t 10.0.0.1:81 -r 10.0.1.3
    -A -t 10.0.0.1:82 -s wlc
    -a -t 10.0.0.1:82 -r 10.0.1.1
    -a -t 10.0.0.1:82 -r 10.0.1.2 -w 2 -x 5
    -A -t 10.0.0.1:83 -s mh
    -a -t 10.0.0.1:83 -r 10.0.1.4
    -A -t 10.0.0.1:84 -s twos
    -a -t 10.0.0.1:84 -r 10.0.1.4
    -a -t 10.0.0.1:84 -r 10.0.1.5
    -A -t 10.0.0.1:85 -s wrr
    -a -t 10.0.0.1:85 -r 10.0.1.1 -w 3
    -a -t 10.0.0.1:85 -r 10.0.1.2 -w 2
    -a -t 10.0.0.1:85 -r 10.0.1.3 -w 2
    -A -t 10.0.0.1:86 -s wrr -p 60 --vsched-affinity-capacity 100
    -a -t 10.0.0.1:86 -r 10.0.1.1 -w 3
    -a -t 10.0.0.1:86 -r 10.0.1.2";
const PORTS: std::ops::Range<u16> = 80..87;
/// Changes of one block.
const EACH: u64 = 150;

/// One config, and another that differs in a weight.
fn configs() -> [Config; 2] {
    [RULES, &RULES.replace("-w 3", "-w 4")].map(|rules| {
        let mut config: Config = rules.parse().unwrap();
        config.services[1].ejection = Some(Ejection::default().with_failures(2));
        let last = &mut config.services[5];
        last.slow_start = Some(SlowStart::default());
        last.ejection = Some(Ejection::default().with_failures(1).with_base_time(60));
        last.panic_threshold = 40;
        last.servers[2].priority = 1;
        config
    })
}

struct World {
    worker: Worker,
    director: Director,
    configs: [Config; 2],
    leases: Vec<Lease>,
    picked: u64,
    /// After those who use it.
    memory: Memory,
}

impl World {
    /// Changes a word of the block. Most of the parts that are in use are at the beginning of theirs.
    fn corrupt(&self, random: &mut Random) {
        let block = self.memory.attach();
        // Unless it is not one any more.
        let Ok(block) = block else { return self.change(random.below(u64::MAX) as usize, random) };
        let starts = block.parts().layout.starts();
        let start = starts[random.below(starts.len() as u64) as usize];
        self.change(start + random.below(512) as usize, random);
    }

    fn change(&self, at: usize, random: &mut Random) {
        let length = self.memory.length / 8;
        // SAFETY: within the memory, which all access as atomic integers.
        let words = unsafe {
            std::slice::from_raw_parts(self.memory.first().as_ptr().cast::<AtomicU64>(), length)
        };
        let with = match random.below(4) {
            0 => 0,
            1 => u64::MAX,
            2 => 1 << random.below(64),
            _ => random.below(u64::MAX),
        };
        words[at / 8 % length].fetch_xor(with, Ordering::SeqCst);
    }

    fn connect(&mut self, client: u64, random: &mut Random) {
        for port in PORTS {
            let client = format!("172.16.0.{}:9", client % 200).parse().unwrap();
            let flow = Flow::tcp(client, SocketAddr::from(([10, 0, 0, 1], port)));
            let Some(service) = self.worker.service_for(&flow) else { continue };
            if let Ok(connection) = self.worker.connect(service, &flow) {
                self.picked += 1;
                let address = connection.address().to_string();
                assert!(address.starts_with("10.0.1."), "{address}");
                self.leases.push(connection.into_lease());
            }
            let _ = self.director.explain(service, &flow);
        }
        while self.leases.len() > 20 {
            let mut lease = self.leases.swap_remove(random.below(20) as usize);
            let _ = self.worker.update(&mut lease, Inactive);
            let outcomes = [Outcome::Done, Outcome::Failed, Outcome::Abandoned];
            let outcome = outcomes[random.below(3) as usize];
            let _ = self.worker.close_with(lease, outcome, Some(Duration::from_millis(3)));
        }
    }

    fn servers(&self) -> Vec<ServerId> {
        let ids = self.configs[0].services.iter().flat_map(|service| {
            let id = self.director.service_by_key(&service.key);
            id.and_then(|id| self.director.servers(id)).unwrap_or_default()
        });
        ids.map(|(id, _)| id).collect()
    }

    fn control(&mut self, n: u64, random: &mut Random) {
        match n % 30 {
            3 => {
                for id in self.servers() {
                    let _ = self.worker.report(id, Outcome::Failed, None);
                    let _ = self.director.health(id);
                }
            }
            5 | 20 => _ = self.director.apply(&self.configs[(n / 20 % 2) as usize]),
            10 | 22 => self.director.tick(self.director.now() + Duration::from_secs(7)),
            12 => _ = self.director.observe(),
            15 => {
                let states = [ServerState::Up, ServerState::Down, ServerState::Draining];
                for id in self.servers() {
                    let state = states[random.below(3) as usize];
                    let _ = self.director.set_state(id, Holder::Host, state);
                    let _ = self.director.holds(id);
                    match random.below(4) {
                        0 => _ = self.director.set_counts(id, 1, 1),
                        1 => _ = self.director.set_weight(id, random.below(4) as u32),
                        _ => {}
                    }
                }
            }
            25 => {
                if let Ok(block) = self.memory.attach() {
                    if let Ok(other) = block.join() {
                        let _ = block.reclaim(other);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Whatever another process writes into a block that is in use: every call ends, and picks lead to servers of
/// the config.
#[test]
fn corruption_spoils_decisions_and_no_more() {
    let rounds = number("VSCHED_CORRUPTIONS", 45_000).div_ceil(EACH);
    let mut random = Random(number("VSCHED_SEED", 1));
    let mut picked = 0;
    for _ in 0..rounds {
        let limits = BlockLimits::new(64, 64).with_owners(4).with_addresses(1024);
        let memory = Memory::of(&limits);
        let block = memory.format_or_attach(&limits).unwrap();
        let configs = configs();
        let director = Director::in_block(&configs[0], &block).unwrap();
        let (worker, leases) = (director.worker(), Vec::new());
        let mut world = World { memory, director, worker, configs, leases, picked: 0 };
        for n in 0..EACH {
            world.corrupt(&mut random);
            world.connect(n, &mut random);
            world.control(n, &mut random);
        }
        picked += world.picked;
    }
    assert!(picked > rounds * 60, "{picked}");
}
