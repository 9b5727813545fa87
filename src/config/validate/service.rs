//! Limits of a virtual service.

use ahash::HashMapExt;

use super::known::{Beside, Known};
use super::report::{Path, Problems, Subject, outside};
use super::{also_of, server, too_many};
use crate::config::SchedulerKind::{self, Lc, Nq, Rr, Sed, Wlc, Wrr};
use crate::config::field::Field;
use crate::config::{
    Affinity, Config, DEFAULT_MH_TABLE_INDEX, Ejection, Family, MAX_CHUNK, MAX_MH_TABLE_INDEX,
    MAX_TIMEOUT, MIN_MH_TABLE_INDEX, Netmask, Outliers, Persistence, Protocol, ServiceKey, Sharing,
    SlowStart, Ties, VirtualService, mh_table_size,
};
use crate::error::Quoted;

/// Most addresses that a service can remember.
pub(crate) const MAX_AFFINITY: u32 = 1 << 24;
/// Longest name of a persistence engine.
pub(crate) const MAX_ENGINE: usize = 15;
/// Over-provisioning factors, in percent.
pub(crate) const SPILL_OVER: (u32, u32) = (100, 1000);

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
    check_scheduler(settings, &mut item);
    if let Some(ejection) = &settings.ejection {
        check_fields("ejection", Ejection::FIELDS, ejection, &mut item);
        if let Some(outliers) = &ejection.outliers {
            check_fields("ejection: outliers", Outliers::FIELDS, outliers, &mut item);
        }
    }
    if let Some(slow_start) = &settings.slow_start {
        check_fields("slow_start", SlowStart::FIELDS, slow_start, &mut item);
    }
    let (least, most) = SPILL_OVER;
    if let Some(factor) = settings.spill_over.filter(|factor| !(least..=most).contains(factor)) {
        item.add("spill_over", outside(factor, least, most));
    }
    if settings.panic_threshold > 100 {
        item.add("panic_threshold", outside(settings.panic_threshold, 0, 100));
    }
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
    let mut names = ahash::HashMap::default();
    for (place, real_server) in servers.iter().enumerate() {
        let address = real_server.address;
        let mut item = report.item(Path::Server(key, address));
        if let Some(name) = &real_server.name {
            let first = servers[*names.entry(name).or_insert(place)].address;
            if first != address {
                item.add("name", also_of(name, "server", first));
            }
        }
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

/// Settings that only some schedulers can have.
fn check_scheduler(settings: &VirtualService, item: &mut Subject<'_>) {
    let scheduler = settings.scheduler;
    let name = scheduler.map_or("none", SchedulerKind::name);
    if let Sharing::Chunks(length) = settings.sharing {
        if !(1..=MAX_CHUNK).contains(&length) {
            item.add("sharing: chunks", outside(length, 1, MAX_CHUNK));
        }
        if !matches!(scheduler, Some(Rr | Wrr)) {
            let sharing = settings.sharing;
            item.add(
                "sharing",
                format!(
                    "{sharing} is for schedulers rr and wrr, this one is {name}: exact or per-worker"
                ),
            );
        }
    }
    if settings.ties == Ties::Rotate && !matches!(scheduler, Some(Lc | Wlc | Sed | Nq)) {
        item.add(
            "ties",
            format!("rotate is for schedulers lc, wlc, sed and nq, this one is {name}"),
        );
    }
    if scheduler.is_some_and(SchedulerKind::shares_by_weight) {
        return;
    }
    for (field, given) in [
        ("slow_start", settings.slow_start.is_some()),
        ("spill_over", settings.spill_over.is_some()),
    ] {
        if given {
            let needs = "this is for schedulers that share connections by weight";
            item.add(field, format!("{needs}, {name} does not"));
        }
    }
}

fn check_fields<T>(path: &str, fields: &[Field<T>], value: &T, item: &mut Subject<'_>) {
    for Field { name, least, most, get, .. } in fields {
        let number = get(value);
        if !(*least..=*most).contains(&number) {
            item.add(&format!("{path}: {name}"), outside(number, least, most));
        }
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
