//! Random configs that use every field of a config; most of them are valid.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use proptest::collection::{hash_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use vsched::SchedulerKind;
use vsched::config::{
    Affinity, Config, Ejection, Family, Forwarding, KernelRules, Name, Netmask, OutlierMethod,
    Outliers, Persistence, Protocol, RealServer, SchedulerFlags, ServiceKey, Sharing, SlowStart,
    SyncDaemon, SyncRole, Thresholds, Ties, Timeouts, Tunnel, TunnelChecksum, VirtualService,
};

/// The schedulers whose ties can rotate.
const ROTATING: [SchedulerKind; 4] =
    [SchedulerKind::Lc, SchedulerKind::Wlc, SchedulerKind::Sed, SchedulerKind::Nq];

/// Any config: valid, or refused for a combination that few have.
pub fn configs() -> impl Strategy<Value = Config> {
    let settings = (
        select(vec![KernelRules::A, KernelRules::B]),
        number(0..=u64::MAX),
        any::<bool>(),
        (seconds(), seconds(), seconds()),
        daemons(),
    );
    // Sorted, because a set has another order in each process.
    let keys = hash_set(key(), 0..5).prop_map(|keys| {
        let mut keys: Vec<_> = keys.into_iter().collect();
        keys.sort();
        keys
    });
    (settings, keys.prop_shuffle()).prop_flat_map(|(settings, keys)| {
        let services: Vec<_> = keys.into_iter().map(service).collect();
        services.prop_map(move |mut services: Vec<VirtualService>| {
            keep_first(services.iter_mut().map(|service| &mut service.name));
            let (generation, seed, expire_quiescent_template, (tcp, tcp_fin, udp), ref daemons) =
                settings;
            // Daemons can say nothing of servers of another family.
            let is_mixed = |service: &VirtualService| {
                let family = service.key.family();
                service.servers.iter().any(|server| Family::of(server.address.ip()) != family)
            };
            let mixed = services.iter().any(is_mixed);
            let mut config =
                Config::new().with_kernel_rules(generation).with_seed(seed).with_services(services);
            config.expire_quiescent_template = expire_quiescent_template;
            let Timeouts { tcp: to, tcp_fin: to_fin, udp: to_udp, .. } = &mut config.timeouts;
            (*to, *to_fin, *to_udp) = (tcp, tcp_fin, udp);
            config.daemons = if mixed { Vec::new() } else { daemons.clone() };
            config
        })
    })
}

/// Numbers, those at the ends as often as those between.
fn number<T>(range: std::ops::RangeInclusive<T>) -> BoxedStrategy<T>
where
    T: Copy + std::fmt::Debug + 'static,
    std::ops::RangeInclusive<T>: Strategy<Value = T>,
{
    let ends = vec![*range.start(), *range.end()];
    prop_oneof![select(ends), range].boxed()
}

fn seconds() -> impl Strategy<Value = Option<u32>> {
    option::of(number(1..=2_678_400u32))
}

/// A name as kernels take them, or as only we do.
fn name(class: &'static str) -> impl Strategy<Value = String> {
    const ODD: &[&str] =
        &["#", "##1", "ipvsadm", "-", "--", "-a", "=", "a=b", "'\"", "\\", "/sbin/ipvsadm"];
    prop_oneof![3 => class, 1 => select(ODD).prop_map(str::to_owned)]
}

fn daemons() -> impl Strategy<Value = Vec<SyncDaemon>> {
    let interface = || {
        name("[!-~&&[^/:]]{1,15}|[a-z]{1,3}[äß\u{202e}✓]{1,3}")
            .prop_filter("no interface", |name| !name.contains(['/', ':']) && name.len() <= 15)
    };
    let group = prop_oneof![
        (224u8..=239, any::<[u8; 3]>())
            .prop_map(|(a, [b, c, d])| IpAddr::V4(Ipv4Addr::new(a, b, c, d))),
        any::<[u16; 7]>().prop_map(|[a, b, c, d, e, f, g]| {
            IpAddr::V6(Ipv6Addr::new(0xff00 | (a & 0xff), b, c, d, e, f, g, 1))
        }),
    ];
    let daemon = move |role| {
        (
            interface(),
            number(0..=u8::MAX),
            option::of(number(1..=65_507u16)),
            option::of(group.clone()),
            option::of(number(1..=u16::MAX)),
            option::of(number(1..=u8::MAX)),
        )
            .prop_map(move |(interface, sync_id, max_len, group, port, ttl)| {
                let mut made = SyncDaemon::new(role, interface).with_sync_id(sync_id);
                made.max_len = max_len;
                made.group = group;
                made.port = port;
                made.ttl = ttl;
                made
            })
    };
    prop::sample::subsequence(vec![SyncRole::Master, SyncRole::Backup], 0..=2)
        .prop_shuffle()
        .prop_flat_map(move |roles| roles.into_iter().map(&daemon).collect::<Vec<_>>())
}

fn unicast(family: Family) -> BoxedStrategy<IpAddr> {
    match family {
        Family::Inet => prop_oneof![
            (1u8..=223, any::<[u8; 3]>())
                .prop_map(|(a, [b, c, d])| IpAddr::V4(Ipv4Addr::new(a, b, c, d))),
            select(&[[0, 0, 0, 1], [255, 255, 255, 254]][..]).prop_map(IpAddr::from),
        ]
        .boxed(),
        Family::Inet6 => prop_oneof![
            any::<[u16; 8]>().prop_map(|mut words| {
                words[0] = 0x2000 | (words[0] & 0x1fff);
                IpAddr::from(words)
            }),
            // What prints like IPv4 addresses and is none.
            any::<u32>()
                .prop_map(|low| { IpAddr::V6(Ipv6Addr::from_bits(u128::from(low.max(2)))) }),
        ]
        .boxed(),
    }
}

fn family() -> impl Strategy<Value = Family> {
    select(vec![Family::Inet, Family::Inet6])
}

fn socket_address(family: Family) -> impl Strategy<Value = SocketAddr> {
    (unicast(family), number(0..=u16::MAX)).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

fn key() -> impl Strategy<Value = ServiceKey> {
    let protocol = select(vec![Protocol::Tcp, Protocol::Udp, Protocol::Sctp]);
    prop_oneof![
        3 => (protocol, family().prop_flat_map(socket_address))
            .prop_map(|(protocol, address)| ServiceKey::Address { protocol, address }),
        1 => (number(1..=u32::MAX), family())
            .prop_map(|(mark, family)| ServiceKey::FirewallMark { mark, family }),
    ]
}

fn persistence(family: Family) -> impl Strategy<Value = Persistence> {
    let netmask = match family {
        Family::Inet => number(0..=u32::MAX).prop_map(|mask| Netmask::Inet(mask.into())).boxed(),
        Family::Inet6 => number(1..=128u8).prop_map(Netmask::Inet6).boxed(),
    };
    (number(1..=2_678_400u32), option::of(netmask)).prop_map(|(timeout, netmask)| {
        let mut made = Persistence::new(timeout);
        made.netmask = netmask;
        made
    })
}

fn tunnel() -> impl Strategy<Value = Tunnel> {
    let gre = select(vec![TunnelChecksum::None, TunnelChecksum::Full]);
    let gue = select(vec![TunnelChecksum::None, TunnelChecksum::Full, TunnelChecksum::Remote]);
    prop_oneof![
        Just(Tunnel::Ipip {}),
        (number(1..=u16::MAX), gue).prop_map(|(port, checksum)| Tunnel::Gue { port, checksum }),
        gre.prop_map(|checksum| Tunnel::Gre { checksum }),
    ]
}

fn server(service: Family, of: Family) -> impl Strategy<Value = RealServer> {
    let tunnel = tunnel().prop_map(Forwarding::Tunnel);
    let plain = vec![Forwarding::Masq, Forwarding::Route, Forwarding::Local, Forwarding::Bypass];
    let forwarding = if service == of {
        prop_oneof![select(plain), tunnel].boxed()
    } else {
        prop_oneof![Just(Forwarding::Masq), tunnel].boxed()
    };
    let upper = prop_oneof![Just(0), number(0..=i32::MAX as u32), number(0..=u32::MAX)];
    let limits = (upper, 0.0..=1.0f64)
        .prop_map(|(upper, share)| Thresholds::new(upper, (f64::from(upper) * share) as u32));
    let labels = (or(0, number(0..=u64::MAX)), option::of(label()));
    (socket_address(of), forwarding, number(0..=i32::MAX as u32), limits, priority(), labels)
        .prop_map(|(address, forwarding, weight, thresholds, priority, (user_data, name))| {
            let mut server = RealServer::new(address)
                .with_forwarding(forwarding)
                .with_weight(weight)
                .with_priority(priority)
                .with_user_data(user_data);
            (server.thresholds, server.name) = (thresholds, name);
            server
        })
}

/// Names that are seldom equal.
fn label() -> impl Strategy<Value = Name> {
    const ODD: &[&str] =
        &["ipvsadm", "-a", "--vsched-name", "@a", "/sbin/ipvsadm", "tcp", "fwmark"];
    let any = prop_oneof![
        6 => "[a-z][-A-Za-z0-9_./@]{3,40}",
        1 => "[a-z]{253}",
        1 => select(ODD).prop_map(str::to_owned),
    ];
    any.prop_map(|name| name.parse().expect("a name"))
}

/// Leaves each name to the first that has it.
fn keep_first<'n>(names: impl Iterator<Item = &'n mut Option<Name>>) {
    let mut seen = std::collections::HashSet::new();
    for name in names {
        if name.as_ref().is_some_and(|name| !seen.insert(name.clone())) {
            *name = None;
        }
    }
}

fn priority() -> impl Strategy<Value = u8> {
    prop_oneof![Just(0), number(0..=u8::MAX)]
}

fn ejection() -> impl Strategy<Value = Ejection> {
    let outliers = (
        select(vec![OutlierMethod::Mean, OutlierMethod::Median]),
        or(1900, number(1..=1_000_000u32)),
        or(100, number(1..=u32::MAX)),
        or(5, number(2..=1u32 << 20)),
    )
        .prop_map(|(method, factor, least_outcomes, least_servers)| {
            Outliers::default()
                .with_method(method)
                .with_factor(factor)
                .with_least_outcomes(least_outcomes)
                .with_least_servers(least_servers)
        });
    let times = || number(1..=2_678_400u32);
    let small = || number(1..=65_535u32);
    (
        (number(0..=65_535u32), option::of(outliers), or(1, small()), or(50, number(0..=100u8))),
        (or(10, times()), or(30, times()), or(300, times())),
    )
        .prop_map(
            |((failures, outliers, trials, max_share), (interval, base_time, max_time))| {
                let mut made = Ejection::default()
                    .with_failures(failures)
                    .with_interval(interval)
                    .with_base_time(base_time)
                    .with_max_time(max_time)
                    .with_max_share(max_share)
                    .with_trials(trials);
                made.outliers = outliers;
                made
            },
        )
}

fn slow_start() -> impl Strategy<Value = SlowStart> {
    (number(1..=2_678_400u32), or(100, number(1..=10_000u32)), or(10, number(1..=100u8))).prop_map(
        |(duration, aggression, least)| {
            SlowStart::default()
                .with_duration(duration)
                .with_aggression(aggression)
                .with_least(least)
        },
    )
}

/// The default, which texts leave out, as often as another value.
fn or<T: Clone + std::fmt::Debug + 'static>(
    usual: T,
    other: BoxedStrategy<T>,
) -> impl Strategy<Value = T> {
    prop_oneof![Just(usual), other]
}

fn servers(service: Family) -> impl Strategy<Value = Vec<RealServer>> {
    let any = prop_oneof![4 => Just(service), 1 => family()];
    vec(any.prop_flat_map(move |of| server(service, of)), 0..6)
}

fn service(key: ServiceKey) -> BoxedStrategy<VirtualService> {
    let flags = any::<[bool; 3]>().prop_map(|set| {
        let flags = SchedulerFlags::ALL.into_iter().zip(set).filter(|(_, set)| *set);
        flags.fold(SchedulerFlags::default(), |all, (flag, _)| all.union(flag))
    });
    let persistence = if key.port() == Some(0) {
        persistence(key.family()).prop_map(Some).boxed()
    } else {
        option::of(persistence(key.family())).boxed()
    };
    let affinity = (
        prop_oneof![Just(Affinity::default().capacity), number(1..=1 << 24)],
        prop_oneof![Just(Affinity::default().expiration), number(1..=2_678_400u32)],
    );
    let datagrams = matches!(key.protocol(), None | Some(Protocol::Udp));
    (
        (option::of(select(SchedulerKind::ALL)), flags, number(8..=17u8)),
        (persistence, option::of(name("[!-~]{1,15}")), any::<bool>()),
        (affinity, select(vec![Sharing::Exact, Sharing::PerWorker, Sharing::Chunks(16)])),
        (
            select(vec![Ties::Kernel, Ties::Rotate]),
            option::of(ejection()),
            option::of(slow_start()),
            option::of(number(100..=1000u32)),
            (or(0, number(0..=100u8)), option::of(label())),
        ),
        servers(key.family()),
    )
        .prop_map(move |(scheduling, persisting, remembering, failing, servers)| {
            let mut service = VirtualService::new(key);
            (service.scheduler, service.flags, service.mh_table_index) = scheduling;
            if service.scheduler != Some(SchedulerKind::Mh) {
                service.mh_table_index = vsched::config::DEFAULT_MH_TABLE_INDEX;
            }
            (service.persistence, service.persistence_engine, service.one_packet) = persisting;
            service.one_packet &= datagrams;
            let ((capacity, expiration), sharing) = remembering;
            service.affinity =
                Affinity::default().with_capacity(capacity).with_expiration(expiration);
            service.sharing = sharing;
            (service.ties, service.ejection, service.slow_start, service.spill_over, _) = failing;
            (service.panic_threshold, service.name) = failing.4;
            if !service.scheduler.is_some_and(SchedulerKind::shares_by_weight) {
                (service.slow_start, service.spill_over) = (None, None);
            }
            let in_turn = [SchedulerKind::Rr, SchedulerKind::Wrr].map(Some);
            if matches!(sharing, Sharing::Chunks(_)) && !in_turn.contains(&service.scheduler) {
                service.sharing = Sharing::Exact;
            }
            if !service.scheduler.is_some_and(|kind| ROTATING.contains(&kind)) {
                service.ties = Ties::Kernel;
            }
            service.servers = servers;
            keep_first(service.servers.iter_mut().map(|server| &mut server.name));
            service
        })
        .boxed()
}
