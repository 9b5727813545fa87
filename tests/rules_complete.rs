//! A rules text can express every config: parsing what was printed yields the same config. A reader
//! that does not know the extension refuses it.

use std::net::{Ipv4Addr, SocketAddr};

use vsched::config::rules::Rules;
use vsched::config::{
    Affinity, Command, Config, Ejection, Family, Forwarding, KernelRules, Netmask, OutlierMethod,
    Outliers, Persistence, RealServer, SchedulerFlags, ServiceKey, Setting, Sharing, SlowStart,
    SyncDaemon, SyncRole, Ties, Timeouts, Tunnel, TunnelChecksum, VirtualService,
};
use vsched::{Director, SchedulerKind};

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn daemon(role: SyncRole, interface: &str) -> SyncDaemon {
    SyncDaemon::new(role, interface.to_owned())
}

fn service(change: impl FnOnce(&mut VirtualService)) -> Config {
    let mut service = VirtualService::new(ServiceKey::tcp(address("10.0.0.1:80")));
    change(&mut service);
    Config::new().with_service(service)
}

fn server(change: impl FnOnce(&mut RealServer)) -> Config {
    let mut server = RealServer::new(address("10.0.1.1:80"));
    change(&mut server);
    let mut config = service(|service| service.servers.push(server));
    // Thresholds above 2147483647.
    config.kernel_rules = KernelRules::A;
    config
}

fn settings(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    change(&mut config);
    config
}

/// Configs with one thing that is not as usual, and the words that say it.
fn one_by_one() -> Vec<(Config, &'static str)> {
    let flags = |text: &str| {
        let named = |name| SchedulerFlags::named(name, Some(SchedulerKind::Mh)).expect("a flag");
        text.split(',').map(named).fold(SchedulerFlags::default(), SchedulerFlags::union)
    };
    let persistence = |netmask| Some(Persistence::new(60).with_netmask(netmask));
    let engine = |name: &str| Some(name.to_owned());
    let forwarding = |forwarding| server(|server| server.forwarding = forwarding);
    let limits =
        |upper, lower| server(|server| *server = server.clone().with_thresholds(upper, lower));
    let (master, backup) = (SyncRole::Master, SyncRole::Backup);
    let timeouts = |tcp, tcp_fin, udp| {
        settings(|c| (c.timeouts.tcp, c.timeouts.tcp_fin, c.timeouts.udp) = (tcp, tcp_fin, udp))
    };
    let ejection = |ejection| service(|service| service.ejection = Some(ejection));
    let slow_start = |slow_start| service(|service| service.slow_start = Some(slow_start));
    let daemons = |daemons| settings(|config| config.daemons = daemons);
    vec![
        (settings(|config| config.kernel_rules = KernelRules::A), "--vsched-kernel-rules A\n"),
        (settings(|config| config.seed = u64::MAX), "--vsched-seed 18446744073709551615\n"),
        (
            settings(|config| config.expire_quiescent_template = true),
            "--vsched-expire-quiescent-template 1\n",
        ),
        (timeouts(Some(900), None, None), "--set 900 0 0\n"),
        (timeouts(None, Some(120), None), "--set 0 120 0\n"),
        (timeouts(None, None, Some(2_678_400)), "--set 0 0 2678400\n"),
        (daemons(vec![daemon(master, "eth0")]), "--start-daemon master --mcast-interface eth0\n"),
        (
            daemons(vec![daemon(backup, "bond0.7"), daemon(master, "#")]),
            "--start-daemon backup --mcast-interface bond0.7\n\
             --start-daemon master --mcast-interface=#\n",
        ),
        (
            daemons(vec![daemon(master, "ipvsadm").with_sync_id(255)]),
            "--mcast-interface=ipvsadm --syncid 255\n",
        ),
        (
            daemons(vec![daemon(master, "--").with_max_len(65507)]),
            "--mcast-interface -- --sync-maxlen 65507\n",
        ),
        (daemons(vec![daemon(master, "größe\u{202e}").with_ttl(1)]), " --mcast-ttl 1\n"),
        (daemons(vec![daemon(master, "x=y").with_port(65535)]), " --mcast-port 65535\n"),
        (
            daemons(vec![daemon(master, "eth0").with_group("ff02::81".parse().expect("a group"))]),
            " --mcast-group ff02::81\n",
        ),
        (service(|service| service.scheduler = None), " -s none\n"),
        (
            service(|service| {
                service.scheduler = Some(SchedulerKind::Mh);
                service.flags = flags("mh-port,flag-3");
                service.mh_table_index = 17;
            }),
            " -s mh -b mh-port,flag-3 --vsched-mh-table-index 17\n",
        ),
        (
            service(|service| service.affinity.capacity = 1 << 24),
            " --vsched-affinity-capacity 16777216\n",
        ),
        (
            service(|service| service.affinity = Affinity::default().with_expiration(1)),
            " --vsched-affinity-expiration 1\n",
        ),
        (service(|service| service.sharing = Sharing::PerWorker), " --vsched-sharing per-worker\n"),
        (
            service(|service| {
                service.scheduler = Some(SchedulerKind::Rr);
                service.sharing = Sharing::Chunks(16);
            }),
            " -s rr --vsched-sharing chunks-16\n",
        ),
        (service(|service| service.ties = Ties::Rotate), " --vsched-ties rotate\n"),
        (service(|service| service.spill_over = Some(140)), " --vsched-spill-over 140\n"),
        (service(|service| service.panic_threshold = 100), " --vsched-panic-threshold 100\n"),
        (ejection(Ejection::default()), " --vsched-ejection failures=5\n"),
        (
            ejection(
                Ejection::default()
                    .with_failures(0)
                    .with_interval(1)
                    .with_base_time(2)
                    .with_max_time(2_678_400)
                    .with_max_share(100)
                    .with_trials(65_535),
            ),
            " --vsched-ejection \
             failures=0,interval=1,base-time=2,max-time=2678400,max-share=100,trials=65535\n",
        ),
        (
            ejection(Ejection::default().with_outliers(Outliers::default())),
            " --vsched-ejection failures=5,outliers=mean\n",
        ),
        (
            ejection(
                Ejection::default().with_max_share(0).with_outliers(
                    Outliers::default()
                        .with_method(OutlierMethod::Median)
                        .with_factor(1)
                        .with_least_outcomes(u32::MAX)
                        .with_least_servers(1 << 20),
                ),
            ),
            " --vsched-ejection failures=5,max-share=0,outliers=median,factor=1,\
             least-outcomes=4294967295,least-servers=1048576\n",
        ),
        (slow_start(SlowStart::default()), " --vsched-slow-start duration=30\n"),
        (
            slow_start(
                SlowStart::default()
                    .with_duration(2_678_400)
                    .with_aggression(10_000)
                    .with_least(100),
            ),
            " --vsched-slow-start duration=2678400,aggression=10000,least=100\n",
        ),
        (server(|server| server.priority = 255), " -g -w 1 --vsched-priority 255\n"),
        (
            service(|service| {
                service.persistence = persistence(Netmask::Inet(Ipv4Addr::BROADCAST))
            }),
            " -p 60 -M 255.255.255.255\n",
        ),
        (
            service(|service| {
                service.persistence = persistence(Netmask::Inet(Ipv4Addr::UNSPECIFIED))
            }),
            " -p 60 -M 0.0.0.0\n",
        ),
        (
            service(|service| {
                service.key = ServiceKey::fwmark(u32::MAX, Family::Inet6);
                service.persistence = persistence(Netmask::Inet6(128));
                service.one_packet = true;
            }),
            "-A -f 4294967295 -6 -s wlc -p 60 -M 128 -o\n",
        ),
        (service(|service| service.persistence_engine = engine("#sip")), " --pe=#sip\n"),
        (service(|service| service.persistence_engine = engine("ipvsadm")), " --pe=ipvsadm\n"),
        (service(|service| service.persistence_engine = engine("-a=b\\'")), " --pe -a=b\\'\n"),
        (forwarding(Forwarding::Local), " --vsched-local -w 1\n"),
        (forwarding(Forwarding::Bypass), " --vsched-bypass -w 1\n"),
        (
            server(|server| server.address = address("10.0.1.1:8080")),
            " -r 10.0.1.1:8080 -g -w 1 --vsched-keep-port\n",
        ),
        (
            server(|server| {
                server.address = address("[2001:db8::1]:0");
                let checksum = TunnelChecksum::Remote;
                server.forwarding = Forwarding::Tunnel(Tunnel::Gue { port: 1, checksum });
            }),
            " --tun-type gue --tun-port 1 --tun-remcsum --vsched-keep-port\n",
        ),
        (
            server(|server| {
                *server = server.clone().with_forwarding(Forwarding::Masq);
                server.address = address("10.0.1.1:0");
            }),
            " -r 10.0.1.1:0 -m -w 1\n",
        ),
        (limits(2_147_483_647, 7), " -x 2147483647 -y 7\n"),
        (limits(2_147_483_648, 7), " --vsched-upper-threshold 2147483648 -y 7\n"),
        (
            limits(u32::MAX, u32::MAX),
            " --vsched-upper-threshold 4294967295 --vsched-lower-threshold 4294967295\n",
        ),
    ]
}

#[test]
fn every_field_is_said_and_read_back() {
    for (config, words) in one_by_one() {
        assert_eq!(config.validate(), Ok(()));
        let text = config.to_rules().complete().to_string();
        assert!(text.contains(words), "{words:?} is not in {text:?}");
        assert_eq!(config.to_string(), text);
        assert_eq!(text.parse::<Config>().as_ref(), Ok(&config), "{text}");
        // One line after the other gives the same.
        let rules: Rules = text.parse().expect("a rules text");
        let mut built = Config::default();
        for command in rules.commands() {
            built.execute(command).expect("a command that fits");
        }
        assert_eq!(built, config, "{text}");
        let director = Director::new(&Config::default()).expect("a director");
        for command in rules.commands() {
            director.execute(command).expect("a command that fits");
        }
        assert_eq!(director.config(), config, "{text}");
    }
}

#[test]
fn a_reader_that_does_not_know_the_extension_refuses_it() {
    let mut own = 0;
    for (config, _) in one_by_one() {
        let text = config.to_rules().complete().to_string();
        for line in text.lines().filter(|line| line.contains("--vsched-")) {
            // What ipvsadm itself reads.
            let words: Vec<&str> = line.split(' ').collect();
            let error = Command::from_words(&words).expect_err(line);
            assert_eq!(error.message(), "unknown option", "{line}");
            assert!(error.word().starts_with("--vsched-"), "{line}");
            own += 1;
        }
        // Without it every line is one that ipvsadm reads.
        for line in config.to_rules().with_thresholds().to_string().lines() {
            assert!(!line.contains("--vsched-"), "{line}");
        }
    }
    assert!(own > 10);
}

#[test]
fn settings_follow_each_other() {
    let config: Config = "
        ## What is not a service; the last word counts.
        --vsched-kernel-rules A
        ipvsadm --vsched-kernel-rules=B
        --vsched-seed=7
        ipvsadm --set 900 120 300 ## as an administrator types it
        --set 0 60 0
        --start-daemon master --mcast-interface eth1 --syncid 7
        --start-daemon backup
        --stop-daemon master --syncid 7
        --vsched-expire-quiescent-template 1
        -C
        --vsched-expire-quiescent-template 0
    "
    .parse()
    .expect("a rules text");
    assert_eq!(config.timeouts, Timeouts::default().with_tcp(900).with_tcp_fin(60).with_udp(300));
    assert_eq!(config.daemons, [daemon(SyncRole::Backup, "eth0")]);
    assert_eq!(
        config.to_rules().complete().to_string(),
        "--vsched-seed 7\n--set 900 60 300\n--start-daemon backup --mcast-interface eth0\n"
    );
    assert_eq!(config.to_rules().to_string(), "", "as ipvsadm --save, which knows services only");
    let rules: Rules = "--vsched-seed 7".parse().expect("a rules text");
    assert_eq!(rules.commands().next(), Some(&Command::Set(Setting::Seed(7))));
}

#[test]
fn what_does_not_fit_is_refused_with_its_line() {
    for (text, message) in [
        (
            "--start-daemon master\n--start-daemon master",
            "line 2, column 1: `--start-daemon`: daemon master: runs already",
        ),
        (
            "--start-daemon master\n\nipvsadm --stop-daemon backup",
            "line 3, column 9: `--stop-daemon`: daemon backup: no such daemon",
        ),
    ] {
        assert_eq!(text.parse::<Config>().expect_err(text).to_string(), message);
    }
    let director = Director::new(&Config::default()).expect("a director");
    let stop = Command::Set(Setting::StopDaemon(SyncRole::Master));
    let error = director.execute(&stop).expect_err("none runs");
    assert_eq!(error.to_string(), "daemon master: no such daemon");
    let seed = Command::Set(Setting::Seed(7));
    let applied = director.execute(&seed).expect("any number");
    assert!(applied.settings && !applied.is_empty());
    assert!(director.execute(&seed).expect("the same").is_empty());
    assert_eq!(director.config().seed, 7);
    let timeout = Timeouts::default().with_tcp(0);
    let error = director.execute(&Command::Set(Setting::Timeouts(timeout))).expect_err("invalid");
    assert_eq!(error.to_string(), "timeouts: tcp: 0 is outside 1 to 2678400");
    assert_eq!(director.config().timeouts, Timeouts::default());
}

#[test]
fn a_setting_that_speaks_against_what_runs_is_refused() {
    let rules = "--vsched-kernel-rules A\n-A -f 7\n-a -f 7 -r 10.0.1.1 --vsched-upper-threshold 3000000000\n\
                 -a -f 7 -r [2001:db8::1]:80 -i";
    let config: Config = rules.parse().expect("a rules text");
    let director = Director::new(&config).expect("a valid config");
    let newer = Command::Set(Setting::KernelRules(KernelRules::B));
    let error = director.execute(&newer).expect_err("a threshold that B does not take").to_string();
    assert!(error.contains("thresholds: upper: 3000000000 is more than 2147483647"), "{error}");
    let start = Command::Set(Setting::StartDaemon(daemon(SyncRole::Master, "eth0")));
    let error = director.execute(&start).expect_err("a mixed service").to_string();
    assert!(error.contains("cannot be synchronized by daemons"), "{error}");
    assert_eq!(director.config(), config);
}

/// The order of the pairs is of no importance, and what is left out has its default.
#[test]
fn pairs_come_in_any_order() {
    for (pairs, ejection) in [
        (
            "least-servers=3,outliers=median,trials=2",
            Ejection::default().with_trials(2).with_outliers(
                Outliers::default().with_method(OutlierMethod::Median).with_least_servers(3),
            ),
        ),
        ("max-share=30,failures=1", Ejection::default().with_max_share(30).with_failures(1)),
    ] {
        let text = format!("-A -f 7 --vsched-ejection={pairs} --vsched-slow-start least=20");
        let config: Config = text.parse().expect("rules");
        assert_eq!(config.services[0].ejection, Some(ejection), "{pairs}");
        let slow_start = SlowStart::default().with_least(20);
        assert_eq!(config.services[0].slow_start, Some(slow_start));
    }
    let ties: Config = "-A -f 7 --vsched-ties kernel".parse().expect("rules");
    assert_eq!(ties.services[0].ties, Ties::Kernel);
}
