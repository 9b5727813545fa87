//! A minimal packet plane: one TCP service, one client address, a connection table. All decisions
//! come from `vsched::protocol` and the director.

use std::collections::HashMap;
use std::net::SocketAddr;

use vsched::config::{Command, Forwarding, RealServer, ServiceKey, Timeouts};
use vsched::protocol::{
    Context, Direction, ServerNow, TcpConnection, TcpFlags, Verdict, schedules_tcp,
};
use vsched::{Activity, Config, Director, Flow, Lease, Worker};

const SERVICE: &str = "10.0.0.1:80";

struct Entry {
    connection: TcpConnection,
    lease: Lease,
    server: SocketAddr,
}

pub(crate) struct Plane {
    director: Director,
    worker: Worker,
    table: HashMap<u16, Entry>,
    context: Context,
    sloppy: bool,
    client: u16,
    service: ServiceKey,
    forwarding: Forwarding,
}

impl Plane {
    /// A plane whose service forwards by this method.
    pub(crate) fn new(method: &str) -> Self {
        let config: Config = format!("-A -t {SERVICE} -s rr").parse().expect("a service");
        let director = Director::new(&config).expect("a director");
        Plane {
            worker: director.worker(),
            director,
            table: HashMap::new(),
            context: Context::default(),
            sloppy: false,
            client: 40000,
            service: config.services[0].key,
            forwarding: super::method(method),
        }
    }

    /// Carries out one step of a scenario: `add 1 2`, `C SYN = 3 SYN_RECV`, `conn_reuse_mode 0`.
    pub(crate) fn step(&mut self, step: &str) {
        let words: Vec<&str> = step.split_whitespace().collect();
        let number = || words[1].parse::<u32>().expect("a number");
        match words[0] {
            "add" => {
                for name in &words[1..] {
                    let (service, server) = (self.service, self.server(name));
                    self.execute(Command::AddServer { service, server });
                }
            }
            "quiesce" => {
                let (service, server) = (self.service, self.server(words[1]).with_weight(0));
                self.execute(Command::EditServer { service, server });
            }
            "delete" => {
                let (service, server) = (self.service, self.server(words[1]).address);
                self.execute(Command::DeleteServer { service, server });
            }
            "client" => self.client = number() as u16,
            "sloppy_tcp" => self.sloppy = number() != 0,
            "conn_reuse_mode" => self.context.conn_reuse_mode = number(),
            "expire_nodest_conn" => self.context.expire_nodest_conn = number() != 0,
            "controlled" => self.context.controlled = number() != 0,
            "C" | "S" => {
                let direction = super::direction(words[0]);
                let came_to = self.packet(direction, super::flags(words[1]));
                assert_eq!(came_to, words[3], "{step}");
                if let Some(state) = words.get(4) {
                    assert_eq!(
                        self.table[&self.client].connection.state().name(),
                        *state,
                        "{step}"
                    );
                }
                self.check_counts();
            }
            other => panic!("{other}: no such step"),
        }
    }

    fn server(&self, name: &str) -> RealServer {
        let address = format!("10.9.0.{name}:80").parse().expect("an address");
        RealServer::new(address).with_forwarding(self.forwarding)
    }

    fn execute(&self, command: Command) {
        self.director.execute(&command).expect("the kernel does it too");
    }

    /// The server a packet is sent to or comes from, by its last number; `-`: not ours.
    fn packet(&mut self, direction: Direction, flags: TcpFlags) -> String {
        let Some(entry) = self.table.get_mut(&self.client) else { return self.schedule(flags) };
        if direction == Direction::Client {
            let config = self.director.config();
            let servers = &config.services[0].servers;
            let server = servers.iter().find(|server| server.address == entry.server);
            self.context.server = match server {
                None => ServerNow::Removed,
                Some(server) if server.weight == 0 => ServerNow::Quiesced,
                Some(_) => ServerNow::InService,
            };
            match entry.connection.verdict(flags, &self.context) {
                Verdict::Forward => {}
                Verdict::Drop => return "dropped".to_owned(),
                _ => {
                    let old = self.table.remove(&self.client).expect("it was found");
                    let new = self.schedule(flags);
                    self.worker.close(old.lease).expect("it was open");
                    return new;
                }
            }
        }
        entry.connection.packet(direction, flags);
        self.worker.update(&mut entry.lease, entry.connection.activity()).expect("it is open");
        name(entry.server)
    }

    fn schedule(&mut self, flags: TcpFlags) -> String {
        if !schedules_tcp(self.client, flags, self.sloppy) {
            return "-".to_owned();
        }
        let client = SocketAddr::from(([10, 8, 0, 7], self.client));
        let flow = Flow::tcp(client, SERVICE.parse().expect("an address"));
        let service = self.worker.service_for(&flow).expect("the one service");
        let Ok(pick) = self.worker.pick_server(service, &flow) else { return "X".to_owned() };
        let mut lease = self.worker.open(pick.server(), Activity::Inactive).expect("not full");
        let mut connection = TcpConnection::new(pick.forwarding());
        connection.packet(Direction::Client, flags);
        assert!(connection.timeout_seconds(&Timeouts::default()) >= 10);
        self.worker.update(&mut lease, connection.activity()).expect("it is open");
        self.table.insert(self.client, Entry { connection, lease, server: pick.address() });
        name(pick.address())
    }

    /// The director counts what the table holds.
    fn check_counts(&self) {
        for entry in self.table.values() {
            let Some(counts) = self.director.counts(entry.lease.server()) else { continue };
            let of = |activity| {
                let same = |other: &&Entry| other.lease.server() == entry.lease.server();
                let entries = self.table.values().filter(same);
                entries.filter(|entry| entry.connection.activity() == activity).count()
            };
            let wanted = (of(Activity::Active), of(Activity::Inactive));
            assert_eq!((counts.active as usize, counts.inactive as usize), wanted);
        }
    }
}

fn name(server: SocketAddr) -> String {
    server.ip().to_string().trim_start_matches("10.9.0.").to_owned()
}
