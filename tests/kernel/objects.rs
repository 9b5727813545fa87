//! Everything that can be configured is read back from the kernel as it was written.

use std::collections::HashSet;
use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

use vsched::SchedulerKind;
use vsched::config::rules::Rules;
use vsched::config::{
    Config, Family, Forwarding, Observed, RealServer, ServiceKey, Statistics, SyncDaemon, SyncRole,
    Timeouts, Tunnel, TunnelChecksum, VirtualService,
};
use vsched::netlink::{Cause, Error, Kernel, Request};

/// Services of every kind. The empty ones show settings, the others servers.
const RULES: &str = "
    -A -t 10.0.0.1:80 -s rr
    -a -t 10.0.0.1:80 -r 10.9.0.1 -m -w 3
    -a -t 10.0.0.1:80 -r 10.9.0.2:8080 -m -w 0
    -a -t 10.0.0.1:80 -r 10.9.0.3 -g -w 2147483647
    -a -t 10.0.0.1:80 -r 10.9.0.4 -i
    -a -t 10.0.0.1:80 -r 10.9.0.6 -i --tun-type gue --tun-port 6080 --tun-nocsum
    -a -t 10.0.0.1:80 -r 10.9.0.7 -i --tun-type gue --tun-port 6081 --tun-csum
    -a -t 10.0.0.1:80 -r 10.9.0.8 -i --tun-type gue --tun-port 65535 --tun-remcsum
    -a -t 10.0.0.1:80 -r 10.9.0.9 -i --tun-type gre
    -a -t 10.0.0.1:80 -r 10.9.0.10 -i --tun-type gre --tun-csum
    -a -t 10.0.0.1:80 -r 10.9.0.11 -m -w 5 -x 1000 -y 800
    -a -t 10.0.0.1:80 -r 10.9.0.12 -m -x 2147483647
    -a -t 10.0.0.1:80 -r [fd09::1]:80 -i -w 4
    -A -u 10.0.0.1:53 -s wrr -o
    -A --sctp-service 10.0.0.1:2905 -s wlc
    -A -t 10.0.0.2:443 -s sh -b sh-fallback,sh-port -p 360
    -A -t 10.0.0.3:443 -s mh -b mh-fallback,mh-port -p 1200 -M 255.255.255.0
    -A -t 10.0.0.3:444 -s mh -b mh-port
    -A -t 10.0.0.4:80 -s lc -b flag-1,flag-2,flag-3
    -A -t 10.0.0.4:81 -s sed -b flag-3
    -A -u 10.0.0.5:5060 -s nq -p 60 --pe sip
    -A -t 10.0.0.6:0 -s fo -p 2678400
    -A -t 10.0.0.6:1 -s ovf
    -A -t 10.0.0.6:2 -s dh
    -A -t 10.0.0.6:3 -s lblc
    -A -t 10.0.0.6:65535 -s lblcr
    -A -f 7 -s wlc
    -a -f 7 -r 10.9.0.1 -g
    -a -f 7 -r 10.9.0.2:8080 -m
    -A -f 7 -6 -s wlc -p 100 -M 64
    -a -f 7 -6 -r [fd09::1]:0 -g
    -A -f 4294967295 -s rr -o
    -A -t [2001:db8::1]:80 -s rr
    -a -t [2001:db8::1]:80 -r [fd09::1]:80 -m -w 2
    -a -t [2001:db8::1]:80 -r [fd09::2]:80 -g
    -a -t [2001:db8::1]:80 -r 10.9.0.1:80 -i --tun-type gre
    -A -u [2001:db8::1]:53 -s rr -p 90 -M 1
";

/// The config of the rules, and what they cannot say, in the order in which a kernel is read.
pub(crate) fn everything() -> Config {
    let mut config: Config = RULES.parse().expect("rules");
    let key: ServiceKey = "tcp 10.0.0.7:80".parse().expect("a key");
    let server = |last: u8| RealServer::new(([10, 9, 0, last], 80).into());
    let mut service = VirtualService::new(key)
        .with_server(server(1).with_forwarding(Forwarding::Local))
        .with_server(server(2).with_forwarding(Forwarding::Bypass));
    service.scheduler = None;
    config.services.push(service);
    config.services.sort_by_key(|service| service.key);
    config
}

/// The requests that make an empty kernel run a config.
pub(crate) fn building(config: &Config) -> Vec<Request> {
    let mut requests = Vec::new();
    for service in &config.services {
        requests.push(Request::add_service(service));
        let servers = service.servers.iter();
        requests.extend(servers.map(|server| Request::add_server(&service.key, server)));
    }
    requests
}

/// A connection to this namespace's IPVS, which runs this config now.
pub(crate) fn running(config: &Config) -> Kernel {
    let mut kernel = Kernel::open().expect("IPVS");
    let failures = kernel.execute(&building(config)).expect("answers");
    assert_eq!(failures, []);
    kernel
}

/// What runs, as far as it is configured.
pub(crate) fn read(kernel: &mut Kernel) -> Config {
    let reading = kernel.read().expect("a reading");
    assert_eq!(reading.unreadable, []);
    reading.observed.config()
}

pub(crate) fn info_and_timeouts() {
    let mut kernel = Kernel::open().expect("IPVS");
    let info = kernel.info().expect("info");
    assert_eq!(info.version, Some(0x0001_0201));
    assert!(info.connection_table_size.is_some());
    let timeouts = |tcp, tcp_fin, udp| {
        let mut timeouts = Timeouts::default();
        (timeouts.tcp, timeouts.tcp_fin, timeouts.udp) = (tcp, tcp_fin, udp);
        timeouts
    };
    for (set, then) in [
        (timeouts(None, None, None), [900, 120, 300]),
        (timeouts(Some(1000), None, Some(7)), [1000, 120, 7]),
        (timeouts(Some(0), Some(60), None), [1000, 60, 7]),
    ] {
        kernel.execute_one(&Request::set_timeouts(set)).expect("set");
        let [tcp, tcp_fin, udp] = then.map(Some);
        assert_eq!(kernel.timeouts().expect("timeouts"), timeouts(tcp, tcp_fin, udp));
    }
    let reading = kernel.read().expect("a reading");
    assert_eq!(reading.observed.settings.timeouts.udp, Some(7));
}

pub(crate) fn every_kind() {
    let config = everything();
    let mut kernel = running(&config);
    let found = read(&mut kernel);
    assert_eq!(found.services, config.services);
    // All schedulers that this kernel may have as modules.
    let met: HashSet<_> = found.services.iter().filter_map(|service| service.scheduler).collect();
    let absent: Vec<&str> = SchedulerKind::ALL
        .iter()
        .filter(|kind| kind.in_linux() && !met.contains(kind))
        .map(|kind| kind.name())
        .collect();
    assert_eq!(absent, ["twos"]);
    // One by one, too.
    for service in &config.services {
        let alone = kernel.read_service(&service.key).expect("an answer").expect("the service");
        assert_eq!(alone.settings, service.settings());
        let servers = kernel.read_servers(&service.key).expect("servers");
        let servers: Vec<RealServer> =
            servers.iter().rev().map(|server| server.server.clone()).collect();
        assert_eq!(servers, service.servers);
    }
    let unknown = "tcp 10.0.0.99:80".parse().expect("a key");
    assert_eq!(kernel.read_service(&unknown).expect("an answer"), None);
    assert_eq!(kernel.read_servers(&unknown).expect("an answer"), []);
    kernel.execute_one(&Request::flush()).expect("flushed");
    assert_eq!(kernel.read().expect("a reading").observed.services, []);
}

pub(crate) fn edits() {
    let mut config = everything();
    let mut kernel = running(&config);
    // As ipvsadm would: the crate's own model of the commands tells what must come out.
    let edits = "
        -E -t 10.0.0.1:80 -s wlc -p 77 -M 255.255.0.0
        -e -t 10.0.0.1:80 -r 10.9.0.1 -i --tun-type gre -w 9 -x 10 -y 5
        -e -t 10.0.0.1:80 -r 10.9.0.7 -m -w 0
        -d -t 10.0.0.1:80 -r 10.9.0.2:8080
        -a -t 10.0.0.1:80 -r 10.9.0.2:8080 -m -w 6
        -E -u 10.0.0.5:5060 -s rr -p 60
        -E -t 10.0.0.2:443 -s sh -b sh-port
        -E -t 10.0.0.4:80 -s lc
        -E -u 10.0.0.1:53 -s wrr
        -E -f 7 -6 -s rr -p 100 -M 65
        -d -f 7 -r 10.9.0.2:8080
        -D -f 4294967295
        -D -t [2001:db8::1]:80
    ";
    let rules: Rules = edits.parse().expect("rules");
    rules.apply_to(&mut config).expect("possible");
    let requests: Vec<Request> = rules.commands().filter_map(Request::from_command).collect();
    assert_eq!(kernel.execute(&requests).expect("answers"), []);
    assert_eq!(read(&mut kernel).services, config.services);
}

pub(crate) fn statistics() {
    let key: ServiceKey = "udp 127.0.0.10:5353".parse().expect("a key");
    let server = RealServer::new("127.0.0.11:5353".parse().expect("an address"));
    let service = VirtualService::new(key)
        .with_server(server.with_forwarding(Forwarding::Masq))
        .with_scheduler("rr".parse().expect("a scheduler"));
    let mut kernel = running(&Config::new().with_service(service));
    for _ in 0..5 {
        let client = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        client.send_to(b"question", "127.0.0.10:5353").expect("sent");
    }
    // The kernel sums up every two seconds.
    let counted = |observed: &Observed| {
        let service = &observed.services[0];
        [service.statistics, service.servers[0].statistics]
    };
    let deadline = Instant::now() + Duration::from_secs(10);
    let observed = loop {
        let observed = kernel.read().expect("a reading").observed;
        if counted(&observed).iter().all(|s| s.connections == 5) || Instant::now() > deadline {
            break observed;
        }
        thread::sleep(Duration::from_millis(50));
    };
    for counted in counted(&observed) {
        // A datagram has 28 bytes of headers.
        let Statistics { connections, packets_in, bytes_in, .. } = counted;
        assert_eq!((connections, packets_in, bytes_in), (5, 5, 5 * (28 + 8)));
    }
    let counts = observed.services[0].servers[0].counts;
    assert_eq!((counts.active, counts.inactive, counts.persistent), (0, 5, 0));
    kernel.execute_one(&Request::zero_service(&key)).expect("zeroed");
    let observed = kernel.read().expect("a reading").observed;
    assert_eq!(counted(&observed), [Statistics::default(); 2]);
    assert_eq!(observed.services[0].servers[0].counts, counts, "connections stay");
    kernel.execute_one(&Request::zero()).expect("zeroed");
}

pub(crate) fn daemons() {
    let mut kernel = Kernel::open().expect("IPVS");
    let master = SyncDaemon::new(SyncRole::Master, "lo").with_sync_id(5);
    let mut backup = master
        .clone()
        .with_sync_id(255)
        .with_max_len(1400)
        .with_group([224, 0, 0, 90].into())
        .with_port(9000)
        .with_ttl(3);
    backup.role = SyncRole::Backup;
    let start = [&backup, &master].map(Request::start_daemon);
    assert_eq!(kernel.execute(&start).expect("answers"), []);
    // What was left open has the kernel's values.
    let found = kernel.daemons().expect("daemons");
    let mut whole = master.with_group([224, 0, 0, 81].into()).with_port(8848).with_ttl(1);
    whole.max_len = found[0].max_len;
    assert_eq!(found, [whole, backup]);
    assert!(found[0].max_len.is_some_and(|length| length > 0));
    assert_eq!(kernel.read().expect("a reading").observed.settings.daemons, found);
    // Beside a daemon there are no servers of another family.
    let key = "fwmark 1".parse().expect("a key");
    let tunnel = Forwarding::Tunnel(Tunnel::Gre { checksum: TunnelChecksum::None });
    let mixed = RealServer::new("[fd09::1]:80".parse().expect("an address"));
    kernel.execute_one(&Request::add_service(&VirtualService::new(key))).expect("added");
    let refused = kernel.execute_one(&Request::add_server(&key, &mixed.with_forwarding(tunnel)));
    let Err(Error::Refused(refused)) = refused else { panic!("{refused:?}") };
    assert_eq!(refused.cause(), Cause::Invalid);
    assert_eq!(key, ServiceKey::fwmark(1, Family::Inet));
    let stop = [SyncRole::Master, SyncRole::Backup].map(Request::stop_daemon);
    assert_eq!(kernel.execute(&stop).expect("answers"), []);
    assert_eq!(kernel.daemons().expect("daemons"), []);
}
