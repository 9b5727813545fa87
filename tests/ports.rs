//! Services that take more than one port (FTP, port 0, firewall marks) pick as kernels 6.1 and 7.2
//! did.

use std::net::SocketAddr;

use vsched::config::rules::Rules;
use vsched::{Config, Director, Flow, Refused, Worker};

struct World {
    director: Director,
    worker: Worker,
}

/// A packet of a client: protocol, client, destination, mark.
type Sent<'a> = (u8, &'a str, &'a str, u32);

const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;
/// No service takes the packet: it is not for the director.
const NOT_OURS: &str = "not ours";
const REFUSED: &str = "refused";

impl World {
    fn new(rules: &str) -> World {
        let director = Director::new(&Config::default()).expect("an empty config");
        let world = World { worker: director.worker(), director };
        world.execute(rules);
        world
    }

    fn execute(&self, rules: &str) {
        let rules: Rules = rules.parse().expect("rules");
        for command in rules.commands() {
            self.director.execute(command).expect("a command that can be carried out");
        }
    }

    /// Where the packet goes. Worker and director find the same service.
    fn send(&self, (protocol, client, destination, mark): Sent<'_>) -> String {
        let client = SocketAddr::new(client.parse().expect("an address"), 40_000);
        let destination = destination.parse().expect("an address and a port");
        let flow = Flow::new(protocol, client, destination).with_fwmark(mark);
        let found = self.worker.service_for(&flow);
        assert_eq!(found, self.director.service_for(&flow));
        let Some(service) = found else { return NOT_OURS.to_owned() };
        let pick = self.worker.pick_server(service, &flow);
        pick.map_or_else(|_| REFUSED.to_owned(), |pick| pick.address().to_string())
    }

    fn sends(&self, rows: &[(Sent<'_>, &str)]) {
        for (number, (sent, answer)) in rows.iter().enumerate() {
            assert_eq!(self.send(*sent), *answer, "row {number}: {sent:?}");
        }
    }

    /// Templates of the servers of a service, the newest server first.
    fn templates(&self, key: &str) -> Vec<u32> {
        let id = self.director.service(key).expect("it runs");
        let servers = self.director.servers(id).expect("it runs");
        servers.iter().map(|(_, seen)| seen.counts.persistent).collect()
    }
}

/// Its data connections are found by port 21, also where a service of port 0 would take them, and
/// go nowhere: the rotation stays.
#[test]
fn an_ftp_service_without_persistence_schedules_its_own_port_only() {
    let world = World::new(
        "-A -t 10.1.0.1:21 -s rr
         -a -t 10.1.0.1:21 -r 10.9.0.1:21 -m
         -a -t 10.1.0.1:21 -r 10.9.0.2:21 -m
         -A -t 10.1.0.1:0 -s rr -p 300
         -a -t 10.1.0.1:0 -r 10.9.0.11:0 -m
         -a -t 10.1.0.1:0 -r 10.9.0.12:0 -m
         -A -t [fd01::1]:21 -s wlc
         -a -t [fd01::1]:21 -r [fd09::1]:21 -m",
    );
    let client = "172.16.0.1";
    world.sends(&[
        ((TCP, client, "10.1.0.1:21", 0), "10.9.0.2:21"),
        ((TCP, client, "10.1.0.1:20", 0), NOT_OURS),
        ((TCP, client, "10.1.0.1:5000", 0), NOT_OURS),
        ((TCP, client, "10.1.0.1:80", 0), "10.9.0.12:80"),
        ((TCP, client, "10.1.0.1:21", 0), "10.9.0.1:21"),
        ((TCP, client, "10.1.0.1:1024", 0), NOT_OURS),
        ((TCP, client, "10.1.0.1:65535", 0), NOT_OURS),
        ((TCP, client, "10.1.0.1:1023", 0), "10.9.0.12:1023"),
        ((TCP, client, "10.1.0.1:21", 0), "10.9.0.2:21"),
        ((UDP, client, "10.1.0.1:5000", 0), NOT_OURS),
        ((TCP, "2001:db8::7", "[fd01::1]:5000", 0), NOT_OURS),
        ((TCP, "2001:db8::7", "[fd01::1]:21", 0), "[fd09::1]:21"),
    ]);
    // After an edit of the service, the scheduler decides again.
    world.execute("-E -t 10.1.0.1:21 -s rr -p 300");
    world.sends(&[
        ((TCP, client, "10.1.0.1:5000", 0), "10.9.0.12:5000"),
        ((TCP, "172.16.0.9", "10.1.0.1:5000", 0), "10.9.0.1:5000"),
    ]);
    world.execute("-E -t 10.1.0.1:21 -s rr");
    world.sends(&[((TCP, client, "10.1.0.1:5000", 0), NOT_OURS)]);
}

/// Asked for by its id, it refuses them too, under every scheduler, and nothing is counted.
#[test]
fn a_pick_by_id_refuses_ftp_data_without_persistence() {
    let flow = |destination: &str| {
        let client = "172.16.0.1:40000".parse().expect("an address");
        Flow::tcp(client, destination.parse().expect("an address"))
    };
    for kind in vsched::SchedulerKind::ALL {
        for per_worker in [false, true] {
            let rules = format!(
                "-A -t 10.1.0.1:21 -s {}
                 -a -t 10.1.0.1:21 -r 10.9.0.1:21 -m
                 -a -t 10.1.0.1:21 -r 10.9.0.2:21 -m",
                kind.name()
            );
            let mut config: Config = rules.parse().expect("rules");
            if per_worker {
                config.services[0].sharing = vsched::config::Sharing::PerWorker;
            }
            let director = Director::new(&config).expect("a config");
            let (worker, twin) = (director.worker(), Director::new(&config).expect("a config"));
            let undisturbed = twin.worker();
            let id = director.service("tcp 10.1.0.1:21").expect("it runs");
            let twin = twin.service("tcp 10.1.0.1:21").expect("it runs");
            for _ in 0..5 {
                for data in ["10.1.0.1:20", "10.1.0.1:5000", "10.1.0.1:80"] {
                    let flow = flow(data);
                    assert_eq!(
                        worker.pick_server(id, &flow),
                        Err(Refused::NotScheduled),
                        "{kind:?} {data}"
                    );
                    assert!(worker.connect(id, &flow).is_err(), "{kind:?} {data}");
                    assert_eq!(
                        director.pick_server(id, &flow),
                        Err(Refused::NotScheduled),
                        "{kind:?} {data}"
                    );
                }
                let own = flow("10.1.0.1:21");
                let pick = worker.pick_server(id, &own).map(|pick| pick.address());
                let other = undisturbed.pick_server(twin, &own).map(|pick| pick.address());
                assert!(pick.is_ok(), "{kind:?}");
                assert_eq!(pick, other, "{kind:?}: the rotation stays");
                // What a proxy may pass: nothing, or where it listens itself.
                for flow in [Flow::default(), flow("127.0.0.1:2121")] {
                    assert!(worker.pick_server(id, &flow).is_ok(), "{kind:?}");
                    assert!(undisturbed.pick_server(twin, &flow).is_ok());
                }
            }
            let observed = director.observe();
            assert_eq!(observed.services[0].statistics.refused, 0, "{kind:?}");
        }
    }
}

/// To port 0 a template of a firewall mark is one of protocol and address.
#[test]
fn a_mark_has_other_templates_for_port_0() {
    let world = World::new(
        "-A -f 7 -s rr -p 300
         -a -f 7 -r 10.9.0.1:0 -m
         -a -f 7 -r 10.9.0.2:0 -m
         -a -f 7 -r 10.9.0.3:8000 -m",
    );
    let (one, two) = ("172.16.0.1", "172.16.0.2");
    world.sends(&[
        ((TCP, one, "10.1.0.1:80", 7), "10.9.0.3:80"),
        ((TCP, one, "10.1.0.1:443", 7), "10.9.0.3:443"),
        ((TCP, one, "10.1.0.1:0", 7), "10.9.0.2:0"),
        ((TCP, one, "10.1.0.1:0", 7), "10.9.0.2:0"),
        ((TCP, one, "10.1.0.1:80", 7), "10.9.0.3:80"),
        ((UDP, one, "10.1.0.1:0", 7), "10.9.0.1:0"),
        ((UDP, one, "10.1.0.1:0", 7), "10.9.0.1:0"),
        ((UDP, one, "10.1.0.1:53", 7), "10.9.0.3:53"),
        ((TCP, two, "10.1.0.1:0", 7), "10.9.0.3:8000"),
        ((TCP, two, "10.1.0.1:80", 7), "10.9.0.2:80"),
        // Another address is another template.
        ((TCP, two, "10.1.0.2:0", 7), "10.9.0.1:0"),
        ((TCP, two, "10.1.0.1:0", 7), "10.9.0.3:8000"),
        ((TCP, two, "10.1.0.2:0", 7), "10.9.0.1:0"),
    ]);
    assert_eq!(world.templates("fwmark 7"), [2, 2, 2]);
    let six = World::new(
        "-A -f 7 -6 -s rr -p 300 -M 64
         -a -f 7 -6 -r [fd09::1]:0 -m
         -a -f 7 -6 -r [fd09::2]:0 -m",
    );
    let (one, near) = ("2001:db8::1", "2001:db8::2");
    six.sends(&[
        ((TCP, one, "[fd01::1]:80", 7), "[fd09::2]:80"),
        ((TCP, near, "[fd01::1]:0", 7), "[fd09::1]:0"),
        ((TCP, one, "[fd01::1]:0", 7), "[fd09::1]:0"),
        ((SCTP, one, "[fd01::1]:0", 7), "[fd09::2]:0"),
        ((TCP, near, "[fd01::1]:443", 7), "[fd09::2]:443"),
    ]);
}

/// Whatever the addresses are, protocols have templates of their own.
#[test]
fn a_mark_has_templates_for_port_0_of_each_protocol() {
    let world = World::new("-A -f 7 -6 -s rr -p 300\n-a -f 7 -6 -r [fd09::1]:0 -m");
    for n in 0..256 {
        let to = format!("[fd01::{n:x}]:0");
        for protocol in [TCP, UDP, SCTP] {
            world.sends(&[((protocol, "2001:db8::1", &to, 7), "[fd09::1]:0")]);
        }
    }
    assert_eq!(world.templates("fwmark 7 inet6"), [3 * 256]);
}

/// Port 21 and port 0 of one address: a client known to one service has its server in the other,
/// even one that the other does not list.
#[test]
fn port_21_and_port_0_of_an_address_share_their_clients() {
    let world = World::new(
        "-A -t 10.1.0.1:21 -s rr -p 300
         -a -t 10.1.0.1:21 -r 10.9.0.41:21 -m
         -a -t 10.1.0.1:21 -r 10.9.0.42:2121 -m
         -A -t 10.1.0.1:0 -s rr -p 100
         -a -t 10.1.0.1:0 -r 10.9.0.51:0 -m
         -a -t 10.1.0.1:0 -r 10.9.0.52:7000 -m",
    );
    let [one, two, three, four] = ["172.16.0.1", "172.16.0.2", "172.16.0.3", "172.16.0.4"];
    world.sends(&[
        ((TCP, one, "10.1.0.1:21", 0), "10.9.0.42:2121"),
        ((TCP, one, "10.1.0.1:80", 0), "10.9.0.42:80"),
        ((TCP, one, "10.1.0.1:20", 0), "10.9.0.42:20"),
        ((TCP, one, "10.1.0.1:5000", 0), "10.9.0.42:5000"),
        ((TCP, one, "10.1.0.1:0", 0), "10.9.0.42:2121"),
        ((TCP, two, "10.1.0.1:80", 0), "10.9.0.52:80"),
        ((TCP, two, "10.1.0.1:21", 0), "10.9.0.52:7000"),
        ((TCP, two, "10.1.0.1:5000", 0), "10.9.0.52:5000"),
        ((TCP, three, "10.1.0.1:5000", 0), "10.9.0.41:5000"),
        ((TCP, three, "10.1.0.1:21", 0), "10.9.0.41:21"),
        ((TCP, three, "10.1.0.1:80", 0), "10.9.0.41:80"),
        ((TCP, four, "10.1.0.1:80", 0), "10.9.0.51:80"),
        ((TCP, four, "10.1.0.1:21", 0), "10.9.0.51:21"),
    ]);
    assert_eq!(world.templates("tcp 10.1.0.1:21"), [1, 1]);
    assert_eq!(world.templates("tcp 10.1.0.1:0"), [1, 1]);
    // The other service's server is quiesced, removed while the client comes, and back.
    world.execute("-e -t 10.1.0.1:0 -r 10.9.0.52:7000 -m -w 0");
    world.sends(&[((TCP, two, "10.1.0.1:21", 0), "10.9.0.52:7000")]);
    world.execute("-d -t 10.1.0.1:0 -r 10.9.0.52:7000");
    world.sends(&[((TCP, two, "10.1.0.1:21", 0), "10.9.0.42:2121")]);
    world.execute("-a -t 10.1.0.1:0 -r 10.9.0.52:7000 -m");
    world.sends(&[((TCP, two, "10.1.0.1:21", 0), "10.9.0.42:2121")]);
    assert_eq!(world.templates("tcp 10.1.0.1:0"), [0, 1], "for good");
    // Deleted altogether.
    world.execute("-D -t 10.1.0.1:0");
    world.sends(&[
        ((TCP, four, "10.1.0.1:21", 0), "10.9.0.41:21"),
        ((TCP, four, "10.1.0.1:5000", 0), "10.9.0.41:5000"),
    ]);
}

/// The client is masked by the service that is asked; templates are of masked addresses.
#[test]
fn services_that_share_their_clients_have_netmasks_of_their_own() {
    let world = World::new(
        "-A -t 10.1.0.1:21 -s rr -p 300 -M 255.255.255.0
         -a -t 10.1.0.1:21 -r 10.9.0.61:21 -m
         -a -t 10.1.0.1:21 -r 10.9.0.62:2121 -m
         -A -t 10.1.0.1:0 -s rr -p 100
         -a -t 10.1.0.1:0 -r 10.9.0.71:0 -m
         -a -t 10.1.0.1:0 -r 10.9.0.72:7000 -m",
    );
    world.sends(&[
        ((TCP, "172.16.0.1", "10.1.0.1:21", 0), "10.9.0.62:2121"),
        ((TCP, "172.16.0.2", "10.1.0.1:21", 0), "10.9.0.62:2121"),
        ((TCP, "172.16.0.1", "10.1.0.1:80", 0), "10.9.0.72:80"),
        ((TCP, "172.16.0.0", "10.1.0.1:80", 0), "10.9.0.62:80"),
        ((TCP, "172.16.0.2", "10.1.0.1:80", 0), "10.9.0.71:80"),
    ]);
}

#[test]
fn only_one_protocol_and_address_is_shared() {
    let services = ["-t 10.1.0.1:21", "-u 10.1.0.1:21", "-u 10.1.0.1:0", "-t 10.1.0.2:0"];
    let services = services.into_iter().chain(["-t [fd01::1]:21", "-t [fd01::1]:0"]);
    let rules: String = services
        .zip(["10.9.0.1", "10.9.0.2", "10.9.0.3", "10.9.0.4", "[fd09::5]", "[fd09::6]"])
        .map(|(service, server)| {
            let port = &service[service.rfind(':').expect("a port")..];
            format!("-A {service} -s rr -p 300\n-a {service} -r {server}{port} -m\n")
        })
        .collect();
    let world = World::new(&rules);
    let (client, six) = ("172.16.0.1", "2001:db8::1");
    world.sends(&[
        ((TCP, client, "10.1.0.1:21", 0), "10.9.0.1:21"),
        ((UDP, client, "10.1.0.1:21", 0), "10.9.0.2:21"),
        ((UDP, client, "10.1.0.1:53", 0), "10.9.0.2:53"),
        ((UDP, "172.16.0.2", "10.1.0.1:53", 0), "10.9.0.3:53"),
        ((UDP, "172.16.0.2", "10.1.0.1:21", 0), "10.9.0.3:21"),
        ((TCP, client, "10.1.0.2:80", 0), "10.9.0.4:80"),
        ((TCP, six, "[fd01::1]:80", 0), "[fd09::6]:80"),
        ((TCP, six, "[fd01::1]:21", 0), "[fd09::6]:21"),
        ((TCP, "2001:db8::2", "[fd01::1]:21", 0), "[fd09::5]:21"),
        ((TCP, "2001:db8::2", "[fd01::1]:443", 0), "[fd09::5]:443"),
    ]);
}

/// A connection by the other service's template keeps that template alive, and lets it go.
#[test]
fn connections_hold_the_template_that_led_them() {
    let world = World::new(
        "-A -t 10.1.0.1:21 -s rr -p 10
         -a -t 10.1.0.1:21 -r 10.9.0.1:21 -m
         -A -t 10.1.0.1:0 -s rr -p 10
         -a -t 10.1.0.1:0 -r 10.9.0.2:0 -m",
    );
    let tick = |seconds| world.director.tick(std::time::Duration::from_secs(seconds));
    world.sends(&[((TCP, "172.16.0.1", "10.1.0.1:21", 0), "10.9.0.1:21")]);
    let client = "172.16.0.1:40000".parse().expect("an address");
    let flow = Flow::tcp(client, "10.1.0.1:80".parse().expect("an address"));
    let service = world.worker.service_for(&flow).expect("port 0");
    let connection = world.worker.connect(service, &flow).expect("a server");
    assert_eq!(connection.address(), "10.9.0.1:80".parse().expect("an address"));
    tick(30);
    assert_eq!(world.templates("tcp 10.1.0.1:21"), [1], "in use");
    drop(connection);
    tick(200);
    assert_eq!(world.templates("tcp 10.1.0.1:21"), [0]);
    assert_eq!(world.templates("tcp 10.1.0.1:0"), [0]);
}

/// A retry goes by the other service's template only where it may go itself.
#[test]
fn a_retry_leaves_a_server_of_the_other_service() {
    let world = World::new(
        "-A -t 10.1.0.1:21 -s rr -p 300
         -a -t 10.1.0.1:21 -r 10.9.0.1:21 -m
         -A -t 10.1.0.1:0 -s rr -p 300
         -a -t 10.1.0.1:0 -r 10.9.0.2:0 -m",
    );
    world.sends(&[((TCP, "172.16.0.1", "10.1.0.1:21", 0), "10.9.0.1:21")]);
    let client = "172.16.0.1:40000".parse().expect("an address");
    let flow = Flow::tcp(client, "10.1.0.1:80".parse().expect("an address"));
    let service = world.worker.service_for(&flow).expect("port 0");
    let dead = world.worker.pick_server(service, &flow).expect("a server");
    let next = world.worker.pick_server_excluding(service, &flow, &[dead.server()]);
    let next = next.expect("another server").address();
    assert_eq!(next, "10.9.0.2:80".parse().expect("an address"));
    let again = world.worker.pick_server(service, &flow).expect("a server").address();
    assert_eq!(again, next, "the client has moved");
}
