//! Listings equal the output of the real ipvsadm on a real kernel, byte for byte.
#![cfg(feature = "serde")]

use serde::Deserialize;
use vsched::config::listing::{Listing, View};
use vsched::config::{Config, Family, Observed, Rates, ServiceKey, Statistics};

const RECORDED: &str = include_str!("data/ipvsadm/listings.jsonl");

/// One state of the kernel and what ipvsadm printed about it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    name: String,
    commands: Vec<String>,
    config: serde_json::Value,
    /// In the order of the config's services; absent where nothing ever happened.
    figures: Option<Vec<ServiceFigures>>,
    listings: Vec<Recorded>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceFigures {
    statistics: [u64; 5],
    rates: [u64; 5],
    servers: Vec<ServerFigures>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerFigures {
    counts: [u32; 3],
    statistics: [u64; 5],
    rates: [u64; 5],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Recorded {
    arguments: String,
    stdout: String,
    #[serde(default)]
    exit: i32,
    #[serde(default, rename = "stderr")]
    _stderr: String,
}

fn states() -> impl Iterator<Item = State> {
    RECORDED.lines().map(|line| serde_json::from_str(line).expect("a recorded state"))
}

fn statistics(from: [u64; 5]) -> Statistics {
    let mut to = Statistics::default();
    [to.connections, to.packets_in, to.packets_out, to.bytes_in, to.bytes_out] = from;
    to
}

fn rates(from: [u64; 5]) -> Rates {
    let mut to = Rates::default();
    [to.connections, to.packets_in, to.packets_out, to.bytes_in, to.bytes_out] = from;
    to
}

/// `None` for a scheduler that this build of the crate does not have.
fn observed(state: &State) -> Option<Observed> {
    let config: Config = match serde_json::from_value(state.config.clone()) {
        Ok(config) => config,
        Err(error) if error.to_string().contains("unknown scheduler") => return None,
        Err(error) => panic!("{}: {error}", state.name),
    };
    let mut observed = Observed::from(&config);
    for (service, figures) in observed.services.iter_mut().zip(state.figures.iter().flatten()) {
        service.statistics = statistics(figures.statistics);
        service.rates = rates(figures.rates);
        assert_eq!(service.servers.len(), figures.servers.len());
        // Figures stand beside the config, oldest server first.
        for (server, figures) in service.servers.iter_mut().rev().zip(&figures.servers) {
            let counts = &mut server.counts;
            [counts.active, counts.inactive, counts.persistent] = figures.counts;
            server.statistics = statistics(figures.statistics);
            server.rates = rates(figures.rates);
        }
    }
    Some(observed)
}

/// The listing that these arguments of ipvsadm ask for.
fn listing<'a>(observed: &'a Observed, arguments: &str) -> Listing<'a> {
    let mut listing = Listing::new(observed);
    let mut only = None;
    let mut words = arguments.split(' ');
    while let Some(word) = words.next() {
        let mut address = || words.next().and_then(|text| text.parse().ok()).expect("an address");
        listing = match word {
            "-L" | "-n" => listing,
            "--stats" => listing.view(View::Statistics),
            "--rate" => listing.view(View::Rates),
            "--thresholds" => listing.view(View::Thresholds),
            "--persistent-conn" => listing.view(View::PersistentConnections),
            "--tun-info" => listing.view(View::TunnelInfo),
            "--exact" => listing.exact(),
            "--nosort" => listing.unsorted(),
            other => {
                only = Some(match (other, only) {
                    ("-t", None) => ServiceKey::tcp(address()),
                    ("-u", None) => ServiceKey::udp(address()),
                    ("--sctp-service", None) => ServiceKey::sctp(address()),
                    ("-f", None) => {
                        let mark = words.next().and_then(|text| text.parse().ok());
                        ServiceKey::fwmark(mark.expect("a mark"), Family::Inet)
                    }
                    ("-6", Some(ServiceKey::FirewallMark { mark, .. })) => {
                        ServiceKey::fwmark(mark, Family::Inet6)
                    }
                    _ => panic!("unknown argument {other}"),
                });
                listing
            }
        };
    }
    match only {
        Some(key) => listing.only(&key),
        None => listing,
    }
}

#[test]
fn every_listing_is_that_of_ipvsadm() {
    let (mut compared, mut wrong) = (0, String::new());
    for state in states() {
        let Some(observed) = observed(&state) else {
            continue;
        };
        for recorded in &state.listings {
            let printed = listing(&observed, &recorded.arguments).to_string();
            compared += 1;
            if printed != recorded.stdout {
                wrong += &format!(
                    "\n{}\n{}\nipvsadm {}\n--- expected\n{}--- printed\n{printed}",
                    state.name,
                    state.commands.join("\n"),
                    recorded.arguments,
                    recorded.stdout
                );
            }
            // What ipvsadm answers with an error on stderr is an empty listing.
            assert_eq!(recorded.exit != 0, recorded.stdout.is_empty());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(compared > 300, "only {compared} listings compared");
}

#[test]
fn the_recording_covers_what_it_should() {
    let all: Vec<State> = states().collect();
    let printed: String = all
        .iter()
        .flat_map(|state| &state.listings)
        .map(|recorded| recorded.stdout.as_str())
        .collect();
    for part in [
        "SCTP ",
        " IPv6 ",
        "FWM  -1",
        " ops\n",
        " pe sip",
        "mask 64",
        "mask 255.0.255.0",
        "gue:65535:r+c",
        "gre:+c",
        "n/a",
        "(flag-1,flag-2,flag-3)",
        "(sh-fallback,sh-port)",
        "2147483647",
        "Local",
        "K ",
        "M\n",
        "G ",
        "T\n",
    ] {
        assert!(printed.contains(part), "no listing shows `{part}`");
    }
    assert!(all.iter().any(|state| state.figures.is_some() && state.name == "traffic"));
}

#[test]
fn the_connection_table_size_is_in_the_first_line() {
    let observed = Observed::default();
    let text = Listing::new(&observed).connection_table_size(1 << 20).to_string();
    assert!(text.starts_with("IP Virtual Server version 1.2.1 (size=1048576)\nProt "));
}

#[test]
fn figures_of_servers_are_not_cut_to_32_bits() {
    let state = states().find(|state| state.name == "scheduler rr").expect("recorded");
    let mut observed = observed(&state).expect("rr is known");
    observed.services[0].servers[0].statistics.connections = 1 << 40;
    let text = Listing::new(&observed).view(View::Statistics).exact().to_string();
    assert_eq!(
        text.lines().last(),
        Some("  -> 10.9.0.1:80                  1099511627776        0        0        0        0")
    );
}
