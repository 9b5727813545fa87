//! How evenly the hashing schedulers spread clients, and how many of them move when servers change.
//!
//! `cargo run --release --example disruption` picks servers for 200,000 clients before and after each
//! change. The ideal value follows each figure in parentheses. For the spread, the ideal is perfect hashing
//! of as many clients: chance alone makes some shares larger. For the moves, it is the minimum that the new
//! weights require.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use vsched::config::{RealServer, SchedulerFlags, ServiceKey, VirtualService};
use vsched::{Config, Director, Flow, SchedulerKind};

const CLIENTS: u32 = 200_000;
const VIP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 80);

/// A scheduler, with the index of its table if it has one.
const SCHEDULERS: [(&str, SchedulerKind, Option<u8>); 3] = [
    ("mh, 4093 slots", SchedulerKind::Mh, None),
    ("mh, 65521 slots", SchedulerKind::Mh, Some(16)),
    ("sh", SchedulerKind::Sh, None),
];

/// How many servers, their weights in turn, and the index of the server that changes. It is one of the
/// newest, because sh has 256 buckets and gives them to the newest servers.
const SETS: [(&str, usize, &[u32], usize); 4] = [
    ("10 servers of weight 1", 10, &[1], 5),
    ("100 servers of weight 1", 100, &[1], 50),
    ("1000 servers of weight 1", 1000, &[1], 900),
    ("100 servers of weights 1, 2, 5, 10, 50", 100, &[1, 2, 5, 10, 50], 93),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("{CLIENTS} clients; measured (ideal), in percent");
    for (title, count, weights, place) in SETS {
        let weights: Vec<u32> = weights.iter().copied().cycle().take(count).collect();
        let total: u32 = weights.iter().sum();
        let sample = Spread::of(&perfect(&weights), &weights);
        let weight = weights[place];
        let ideal = |numerator: u32, total: u32| f64::from(numerator) / f64::from(total);
        let leaves = ideal(weight, total);
        let doubled = ideal(2 * weight, total + weight) - leaves;

        println!("\n{title}; the one that changes weighs {weight}");
        println!(
            "{:<16}{:>18}{:>18}{:>16}{:>16}{:>16}{:>16}{:>16}",
            "",
            "largest excess",
            "deviation",
            "added",
            "removed",
            "quiesced",
            "fallback",
            "doubled"
        );
        for (name, scheduler, index) in SCHEDULERS {
            let config = config(scheduler, index, &weights);
            let before = picks(&Director::new(&config)?)?;
            let spread = Spread::of(&before, &weights);
            let moved = |change: &dyn Fn(&mut VirtualService)| moved(&config, change);
            let added = moved(&|service| service.servers.push(server(count, weight)))?;
            let removed = moved(&|service| {
                service.servers.remove(place);
            })?;
            let quiesced = moved(&|service| service.servers[place].weight = 0)?;
            let fallback = moved(&|service| {
                service.servers[place].weight = 0;
                service.flags = SchedulerFlags::FLAG_1;
            })?;
            let double = moved(&|service| service.servers[place].weight = 2 * weight)?;
            println!(
                "{name:<16}{:>18}{:>18}{:>16}{:>16}{:>16}{:>16}{:>16}",
                cell(spread.excess, sample.excess),
                cell(spread.deviation, sample.deviation),
                cell(added, ideal(weight, total + weight)),
                cell(removed, leaves),
                cell(quiesced, leaves),
                cell(fallback, leaves),
                cell(double, doubled),
            );
        }
    }
    println!(
        "\nlargest excess: of a server's share over the one its weight asks for; deviation: standard,\n\
         of those shares. Moved are clients whose answer is another one than before: a server was\n\
         added (of the same weight), removed, quiesced (its clients are refused), quiesced with\n\
         fallback (they go to others), or had its weight doubled."
    );
    Ok(())
}

fn cell(measured: f64, ideal: f64) -> String {
    format!("{:.2} ({:.2})", measured * 100.0, ideal * 100.0)
}

fn server(place: usize, weight: u32) -> RealServer {
    let address = Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 1).to_bits() + place as u32);
    RealServer::new(SocketAddr::from((address, 80))).with_weight(weight)
}

fn config(scheduler: SchedulerKind, index: Option<u8>, weights: &[u32]) -> Config {
    let mut service = VirtualService::new(ServiceKey::tcp(VIP)).with_scheduler(scheduler);
    if let Some(index) = index {
        service.mh_table_index = index;
    }
    service.servers =
        weights.iter().enumerate().map(|(place, weight)| server(place, *weight)).collect();
    Config::new().with_service(service)
}

/// The number of each client's server; `None` where it is refused.
fn picks(director: &Director) -> Result<Vec<Option<usize>>, Box<dyn std::error::Error>> {
    let service = director.service_by_key(&ServiceKey::tcp(VIP)).ok_or("the service runs")?;
    let worker = director.worker();
    let first = Ipv4Addr::new(10, 0, 0, 1).to_bits();
    let pick = |n: u32| {
        let client = Ipv4Addr::from_bits(random(1, n) as u32);
        let flow = Flow::tcp(SocketAddr::from((client, 40_000)), VIP);
        match worker.pick_server(service, &flow).ok()?.address().ip() {
            IpAddr::V4(address) => Some((address.to_bits() - first) as usize),
            IpAddr::V6(_) => None,
        }
    };
    Ok((0..CLIENTS).map(pick).collect())
}

/// The share of clients whose server differs after the change.
fn moved(
    config: &Config,
    change: &dyn Fn(&mut VirtualService),
) -> Result<f64, Box<dyn std::error::Error>> {
    let director = Director::new(config)?;
    let before = picks(&director)?;
    let mut changed = config.clone();
    changed.services.iter_mut().for_each(change);
    director.apply(&changed)?;
    let after = picks(&director)?;
    let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count();
    Ok(moved as f64 / f64::from(CLIENTS))
}

/// The servers' shares, compared with their weights.
struct Spread {
    /// How much larger the largest share is; 0 = not at all.
    excess: f64,
    /// Standard deviation.
    deviation: f64,
}

impl Spread {
    fn of(picks: &[Option<usize>], weights: &[u32]) -> Self {
        let mut counts = vec![0u32; weights.len()];
        picks.iter().flatten().for_each(|place| counts[*place] += 1);
        let total: u32 = weights.iter().sum();
        let excess = |(count, weight): (&u32, &u32)| {
            let ideal = f64::from(*weight) / f64::from(total) * f64::from(CLIENTS);
            f64::from(*count) / ideal - 1.0
        };
        let excesses: Vec<f64> = counts.iter().zip(weights).map(excess).collect();
        let squares: f64 = excesses.iter().map(|excess| excess * excess).sum();
        Spread {
            excess: excesses.iter().copied().fold(0.0, f64::max),
            deviation: (squares / weights.len() as f64).sqrt(),
        }
    }
}

/// Assigns each client to a random server, by weight.
fn perfect(weights: &[u32]) -> Vec<Option<usize>> {
    let owners: Vec<usize> = weights
        .iter()
        .enumerate()
        .flat_map(|(place, weight)| std::iter::repeat_n(place, *weight as usize))
        .collect();
    let pick = |n: u32| owners.get((random(2, n) % owners.len() as u64) as usize).copied();
    (0..CLIENTS).map(pick).collect()
}

/// Number `index` of a random sequence (SplitMix64).
fn random(sequence: u64, index: u32) -> u64 {
    let mut z = (sequence << 32 | u64::from(index)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
