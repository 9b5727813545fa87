//! Limits of a virtual service.

use ahash::HashMapExt;

use super::known::{Beside, Known};
use super::report::{Path, Problems, Subject, outside};
use super::{server, too_many};
use crate::config::MAX_TIMEOUT;
use crate::config::SchedulerKind;
use crate::config::{
    Affinity, Config, DEFAULT_MH_TABLE_INDEX, Family, MAX_MH_TABLE_INDEX, MIN_MH_TABLE_INDEX,
    Netmask, Persistence, Protocol, ServiceKey, VirtualService, mh_table_size,
};
use crate::error::Quoted;

/// Most addresses that a service can remember.
pub(crate) const MAX_AFFINITY: u32 = 1 << 24;
/// Longest name of a persistence engine.
const MAX_ENGINE: usize = 15;

pub(super) fn check(
    config: &Config,
    settings: &VirtualService,
    known: Known<'_>,
    report: &mut Problems,
) {
    if matches!(known, Known::Same) {
        return;
    }
    let key = settings.key;
    let mut item = report.item(Path::Service(key));
    check_key(settings, &mut item);
    let datagrams = matches!(key.protocol(), None | Some(Protocol::Udp));
    if settings.one_packet && !datagrams {
        let name = key.protocol().map_or("", Protocol::name);
        item.add("one_packet", format!("{name} is neither udp nor a firewall mark"));
    }
    if let Some(persistence) = settings.persistence {
        check_persistence(persistence, key.family(), &mut item);
    }
    if let Some(engine) = &settings.persistence_engine {
        let printable = engine.bytes().all(|byte| byte.is_ascii_graphic());
        if !(1..=MAX_ENGINE).contains(&engine.len()) || !printable {
            item.add(
                "persistence_engine",
                format!(
                    "\"{}\" is not 1 to {MAX_ENGINE} printable ASCII characters without blanks",
                    Quoted(engine)
                ),
            );
        }
    }
    let Affinity { capacity, expiration } = settings.affinity;
    if !(1..=MAX_AFFINITY).contains(&capacity) {
        item.add("affinity: capacity", outside(capacity, 1, MAX_AFFINITY));
    }
    if !(1..=MAX_TIMEOUT).contains(&expiration) {
        item.add("affinity: expiration", outside(expiration, 1, MAX_TIMEOUT));
    }
    check_table(settings, &mut item);
    let servers = &settings.servers;
    let limit = settings.max_servers();
    if servers.len() > limit {
        let message = too_many(servers.len(), limit);
        let table = settings.scheduler == Some(SchedulerKind::Mh);
        let reason = if table { ", the slots of its mh table (mh_table_index)" } else { "" };
        item.add("servers", message + reason);
    }
    let beside = Beside::new(known, servers);
    let distinct = beside.are_distinct();
    let size = if distinct { 0 } else { servers.len() };
    let mut first_places = ahash::HashMap::with_capacity(size);
    for (place, real_server) in servers.iter().enumerate() {
        let address = real_server.address;
        let mut item = report.item(Path::Server(key, address));
        let first = if distinct { place } else { *first_places.entry(address).or_insert(place) };
        if first != place {
            item.add_whole(format!("servers[{place}] is servers[{first}] once more"));
        }
        if !beside.has(place) {
            server::check(config, key.family(), real_server, &mut item);
        }
    }
}

fn check_key(settings: &VirtualService, item: &mut Subject<'_>) {
    match settings.key {
        ServiceKey::Address { address, .. } => {
            item.check_identity(address);
            if address.port() == 0 && settings.persistence.is_none() {
                item.add("port", "0, which stands for every port, needs persistence");
            }
        }
        ServiceKey::FirewallMark { mark: 0, .. } => item.add("mark", outside(0, 1, u32::MAX)),
        ServiceKey::FirewallMark { .. } => {}
    }
}

fn check_table(settings: &VirtualService, item: &mut Subject<'_>) {
    let index = settings.mh_table_index;
    if mh_table_size(index).is_none() {
        item.add("mh_table_index", outside(index, MIN_MH_TABLE_INDEX, MAX_MH_TABLE_INDEX));
    } else if index != DEFAULT_MH_TABLE_INDEX && settings.scheduler != Some(SchedulerKind::Mh) {
        let name = settings.scheduler.map_or("none", SchedulerKind::name);
        item.add("mh_table_index", format!("{index} is for scheduler mh, this one is {name}"));
    }
}

fn check_persistence(persistence: Persistence, family: Family, item: &mut Subject<'_>) {
    let timeout = persistence.timeout;
    if !(1..=MAX_TIMEOUT).contains(&timeout) {
        item.add("persistence: timeout", outside(timeout, 1, MAX_TIMEOUT));
    }
    match (persistence.netmask, family) {
        (Some(Netmask::Inet(mask)), Family::Inet6) => item.add(
            "persistence: netmask",
            format!("{mask} is an IPv4 mask; an IPv6 service takes a prefix length, 1 to 128"),
        ),
        (Some(Netmask::Inet6(prefix)), Family::Inet) => item.add(
            "persistence: netmask",
            format!("{prefix} is an IPv6 prefix length; an IPv4 service takes a mask such as 255.255.255.0"),
        ),
        (Some(Netmask::Inet6(prefix)), Family::Inet6) if !(1..=128).contains(&prefix) => {
            item.add("persistence: netmask", outside(prefix, 1, 128));
        }
        _ => {}
    }
}
