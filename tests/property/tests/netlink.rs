//! Every config survives the way into the kernel's messages and back.
#![cfg(target_os = "linux")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use proptest::option;
use proptest::prelude::*;
use vsched::SchedulerKind;
use vsched::config::{
    Family, Forwarding, Netmask, Persistence, Protocol, Rates, RealServer, SchedulerFlags,
    ServiceKey, Statistics, SyncDaemon, SyncRole, Thresholds, Timeouts, Tunnel, TunnelChecksum,
    VirtualService,
};
use vsched::netlink::Request;
use vsched::netlink::wire::{
    ACK, Command, DestAttributes, Figures, Header, Message, REQUEST, packets,
};

fn address() -> impl Strategy<Value = SocketAddr> {
    (any::<IpAddr>(), any::<u16>()).prop_map(SocketAddr::from)
}

fn key() -> impl Strategy<Value = ServiceKey> {
    let protocol = prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp), Just(Protocol::Sctp)];
    let address = (protocol, address())
        .prop_map(|(protocol, address)| ServiceKey::Address { protocol, address });
    let family = prop_oneof![Just(Family::Inet), Just(Family::Inet6)];
    let mark =
        (1u32.., family).prop_map(|(mark, family)| ServiceKey::FirewallMark { mark, family });
    prop_oneof![3 => address, 1 => mark]
}

/// A netmask that says something: whole addresses are the absence of one.
fn netmask(family: Family) -> BoxedStrategy<Option<Netmask>> {
    match family {
        Family::Inet => option::of(any::<Ipv4Addr>().prop_map(Netmask::Inet))
            .prop_filter("whole", |mask| *mask != Some(Netmask::Inet(Ipv4Addr::BROADCAST)))
            .boxed(),
        Family::Inet6 => option::of((1u8..128).prop_map(Netmask::Inet6)).boxed(),
    }
}

fn service() -> impl Strategy<Value = VirtualService> {
    let kinds: Vec<Option<SchedulerKind>> =
        SchedulerKind::ALL.iter().copied().map(Some).chain([None]).collect();
    let flags = proptest::sample::subsequence(SchedulerFlags::ALL.to_vec(), 0..=3);
    key().prop_flat_map(move |key| {
        let persistence = option::of((any::<u32>(), netmask(key.family())));
        let engine = option::of("[!-~]{1,15}");
        let rest = (persistence, engine, any::<bool>());
        (Just(key), proptest::sample::select(kinds.clone()), flags.clone(), rest).prop_map(
            |(key, scheduler, flags, (persistence, persistence_engine, one_packet))| {
                let mut made = VirtualService::new(key).with_flags(
                    flags.into_iter().fold(SchedulerFlags::default(), SchedulerFlags::union),
                );
                made.scheduler = scheduler;
                made.persistence = persistence.map(|(timeout, netmask)| {
                    let mut made = Persistence::new(timeout);
                    made.netmask = netmask;
                    made
                });
                made.persistence_engine = persistence_engine;
                made.one_packet = one_packet;
                made
            },
        )
    })
}

fn server() -> impl Strategy<Value = RealServer> {
    let checksum = || {
        prop_oneof![
            Just(TunnelChecksum::None),
            Just(TunnelChecksum::Full),
            Just(TunnelChecksum::Remote)
        ]
    };
    let tunnel = prop_oneof![
        Just(Tunnel::Ipip {}),
        (any::<u16>(), checksum()).prop_map(|(port, checksum)| Tunnel::Gue { port, checksum }),
        checksum().prop_map(|checksum| Tunnel::Gre { checksum }),
    ];
    let forwarding = prop_oneof![
        Just(Forwarding::Masq),
        Just(Forwarding::Route),
        Just(Forwarding::Local),
        Just(Forwarding::Bypass),
        tunnel.prop_map(Forwarding::Tunnel),
    ];
    (address(), forwarding, any::<u32>(), any::<u32>(), any::<u32>()).prop_map(
        |(address, forwarding, weight, upper, lower)| {
            let mut made = RealServer::new(address).with_forwarding(forwarding).with_weight(weight);
            made.thresholds = Thresholds::new(upper, lower);
            made
        },
    )
}

fn daemon() -> impl Strategy<Value = SyncDaemon> {
    let role = prop_oneof![Just(SyncRole::Master), Just(SyncRole::Backup)];
    let options = (
        option::of(any::<u16>()),
        option::of(any::<IpAddr>()),
        option::of(any::<u16>()),
        option::of(any::<u8>()),
    );
    (role, "[!-~]{1,15}", any::<u8>(), options).prop_map(
        |(role, interface, sync_id, (max_len, group, port, ttl))| {
            let mut made = SyncDaemon::new(role, interface).with_sync_id(sync_id);
            made.max_len = max_len;
            made.group = group;
            made.port = port;
            made.ttl = ttl;
            made
        },
    )
}

fn figures() -> impl Strategy<Value = Figures> {
    any::<[[u64; 5]; 2]>().prop_map(|[totals, rates]| {
        let mut figures = Figures::default();
        let to = &mut figures.totals;
        [to.connections, to.packets_in, to.packets_out, to.bytes_in, to.bytes_out] = totals;
        let to = &mut figures.rates;
        [to.connections, to.packets_in, to.packets_out, to.bytes_in, to.bytes_out] = rates;
        figures
    })
}

/// Writes the messages into one datagram and reads them again.
fn there_and_back(messages: &[Message]) -> Vec<Message> {
    let mut bytes = Vec::new();
    for (sequence, message) in (0..).zip(messages) {
        let header = Header::new(28, REQUEST | ACK, sequence).with_port(7);
        message.encode(header, &mut bytes).expect("written");
        assert_eq!(bytes.len() % 4, 0);
    }
    let read = packets(&bytes).zip(0..).map(|(packet, sequence)| {
        let packet = packet.expect("a packet");
        let header = Header::new(28, REQUEST | ACK, sequence).with_port(7);
        assert_eq!(packet.header, header);
        Message::decode(packet.payload).expect("a message")
    });
    read.collect()
}

proptest! {
    #[test]
    fn services_come_back(services in prop::collection::vec(service(), 1..5)) {
        let messages: Vec<Message> =
            services.iter().map(|service| Request::add_service(service).message()).collect();
        let back = there_and_back(&messages);
        prop_assert_eq!(&back, &messages);
        for (message, service) in back.iter().zip(&services) {
            let attributes = message.service.as_ref().expect("a service");
            prop_assert_eq!(attributes.key(), Ok(service.key));
            prop_assert_eq!(attributes.settings(), Ok(service.settings()));
        }
    }

    #[test]
    fn servers_come_back(key in key(), server in server(), old in any::<bool>()) {
        let request = Request::edit_server(&key, &server);
        let mut back = there_and_back(&[request.message()]).remove(0);
        prop_assert_eq!(&back, &request.message());
        prop_assert_eq!(back.command, Command::SetDest);
        prop_assert_eq!(back.service.expect("a service").key(), Ok(key));
        let dest = back.dest.as_mut().expect("a server");
        let same_family = Family::of(server.address.ip()) == key.family();
        if old && same_family {
            // Kernels before 3.18 do not send it.
            dest.family = None;
        }
        prop_assert_eq!(dest.server(key.family()), Ok(server));
    }

    #[test]
    fn daemons_come_back(daemon in daemon()) {
        let request = Request::start_daemon(&daemon);
        let back = there_and_back(&[request.message()]).remove(0);
        prop_assert_eq!(back.daemon.expect("a daemon").daemon(), Ok(daemon));
    }

    #[test]
    fn timeouts_come_back(timeouts in any::<[Option<u32>; 3]>()) {
        let [tcp, tcp_fin, udp] = timeouts;
        let mut timeouts = Timeouts::default();
        (timeouts.tcp, timeouts.tcp_fin, timeouts.udp) = (tcp, tcp_fin, udp);
        let request = Request::set_timeouts(timeouts);
        prop_assert_eq!(there_and_back(&[request.message()]).remove(0).timeouts, timeouts);
    }

    #[test]
    fn figures_come_back_whole_in_64_bits_and_capped_in_32(figures in figures()) {
        let cap = |value: &mut u64| *value = (*value).min(u32::MAX.into());
        let mut capped = figures;
        let Figures { totals, rates, .. } = &mut capped;
        // Bytes have 64 bits in either form.
        let Statistics { connections, packets_in, packets_out, .. } = totals;
        [connections, packets_in, packets_out].into_iter().for_each(cap);
        let Rates { connections, packets_in, packets_out, bytes_in, bytes_out, .. } = rates;
        [connections, packets_in, packets_out, bytes_in, bytes_out].into_iter().for_each(cap);
        for (narrow, wide, best) in [
            (Some(figures), Some(figures), figures),
            (Some(figures), None, capped),
            (None, Some(figures), figures),
            (None, None, Figures::default()),
        ] {
            let mut dest = DestAttributes::default();
            (dest.statistics, dest.statistics64) = (narrow, wide);
            let mut message = Message::new(Command::NewDest);
            message.dest = Some(dest);
            let back = there_and_back(&[message]).remove(0).dest.expect("a server");
            prop_assert_eq!(back.figures(), best);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for packet in packets(&bytes).flatten() {
            let _ = packet.answer();
        }
        for command in 0..20 {
            let payload = [&[command, 1, 0, 0], &bytes[..]].concat();
            let read = Message::decode(&payload);
            prop_assert!(Command::from_number(command).is_some() || read.is_err());
        }
    }
}
