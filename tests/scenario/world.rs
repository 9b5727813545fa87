//! Runs one row through a director, step by step.

use std::collections::HashMap;
use std::fmt::Debug;
use std::net::SocketAddr;

use vsched::config::{Command, KernelRules, RealServer, ServiceKey};
use vsched::{Activity, Config, Director, Flow, Lease, Worker};

use super::services::{MARK, Running, client, number, scheduler, text, virtual_address};
use super::table::{Action, Kind, PORT, Row, Server};

/// The first scheduler of a row that this build does not know.
pub(crate) fn unknown_scheduler(row: &Row) -> Option<&str> {
    let bound = row.services.iter().map(|service| service.scheduler.as_str());
    let switched = row.steps.iter().filter_map(|step| match &step.action {
        Action::Scheduler(name) => Some(name.as_str()),
        _ => None,
    });
    bound.chain(switched).find(|name| scheduler(name).is_err())
}

/// Runs a row; returns how many picks it compared.
pub(crate) fn run(row: &Row, generation: KernelRules) -> Result<usize, String> {
    let mut world = World::new(row, generation)?;
    for (index, step) in row.steps.iter().enumerate() {
        world
            .step(&step.action)
            .map_err(|why| format!("step {} `{}`: {why}", index + 1, step.text))?;
    }
    Ok(world.picks)
}

struct World {
    director: Director,
    worker: Worker,
    services: Vec<Running>,
    /// The service that configuration steps concern.
    on: usize,
    from: Vec<SocketAddr>,
    to: Vec<SocketAddr>,
    mark: u32,
    /// Connections since `from` and `to`.
    turn: usize,
    picks: usize,
    /// Open connections, oldest first, with their service and server.
    open: Vec<(ServiceKey, u8, Lease)>,
}

impl World {
    fn new(row: &Row, generation: KernelRules) -> Result<Self, String> {
        let mut services: Vec<Running> =
            row.services.iter().map(Running::new).collect::<Result<_, String>>()?;
        let mut config = Config::new().with_kernel_rules(generation);
        let applied = match row.steps.first().map(|step| &step.action) {
            Some(Action::Apply(servers)) => Some(servers),
            _ => None,
        };
        if let (Some(servers), [service]) = (applied, &mut services[..]) {
            let servers: Result<_, String> =
                servers.iter().map(|server| service.describe(server)).collect();
            config.services.push(service.settings.clone().with_servers(servers?));
        }
        let director = Director::new(&config).map_err(text)?;
        if applied.is_none() {
            for service in &services {
                let add = Command::AddService(service.settings.clone());
                director.execute(&add).map_err(text)?;
            }
        }
        let marked = services.iter().all(|service| service.kind == Kind::Fwmark);
        Ok(World {
            worker: director.worker(),
            director,
            services,
            on: 0,
            from: Vec::new(),
            to: Vec::new(),
            mark: if marked { MARK } else { 0 },
            turn: 0,
            picks: 0,
            open: Vec::new(),
        })
    }

    fn step(&mut self, action: &Action) -> Result<(), String> {
        let key = self.services[self.on].settings.key;
        match action {
            // Done when the director was made.
            Action::Apply(_) => expect("one service", self.services.len(), 1),
            Action::Add(servers) => {
                self.each(servers, |server| Command::AddServer { service: key, server })
            }
            Action::Edit(servers) => {
                self.each(servers, |server| Command::EditServer { service: key, server })
            }
            Action::Delete(numbers) => numbers.iter().try_for_each(|number| {
                let server = self.services[self.on].known(*number)?.address;
                self.services[self.on].servers.remove(number);
                self.execute(&Command::DeleteServer { service: key, server })
            }),
            Action::Scheduler(name) => {
                let settings = &mut self.services[self.on].settings;
                settings.scheduler = scheduler(name)?;
                let edit = Command::EditService(settings.clone());
                self.execute(&edit)
            }
            Action::Recreate => {
                self.execute(&Command::DeleteService(key))?;
                let service = &mut self.services[self.on];
                service.servers.clear();
                let add = Command::AddService(service.settings.clone());
                self.execute(&add)
            }
            Action::On(kind) => {
                let place = self.services.iter().position(|known| known.kind == *kind);
                self.on = place.ok_or("the row has no such service")?;
                Ok(())
            }
            Action::Pick(answers) => answers.iter().enumerate().try_for_each(|(index, answer)| {
                let got = self.connect()?;
                expect(&format!("pick {}", index + 1), Answer(got), Answer(*answer))
            }),
            Action::Tally(counts) => self.tally(counts),
            Action::From(addresses) => {
                (self.from, self.turn) = (addresses.clone(), 0);
                Ok(())
            }
            Action::To(addresses) => {
                (self.to, self.turn) = (addresses.clone(), 0);
                Ok(())
            }
            Action::Mark(mark) => {
                self.mark = *mark;
                Ok(())
            }
            Action::Open(number, activity, count) => self.open(*number, *activity, *count),
            Action::Fin(numbers) => numbers.iter().try_for_each(|number| {
                let active = |lease: &Lease| lease.activity() == Some(Activity::Active);
                let place = self.oldest(*number, active)?;
                self.worker.update(&mut self.open[place].2, Activity::Inactive).map_err(text)
            }),
            Action::Expire(numbers) => numbers.iter().try_for_each(|number| {
                let place = self.oldest(*number, |_| true)?;
                let (_, _, lease) = self.open.remove(place);
                self.worker.close(lease).map_err(text)
            }),
            Action::Counts(expected) => expect("counts", self.counts(), expected.clone()),
        }
    }

    fn execute(&self, command: &Command) -> Result<(), String> {
        self.director.execute(command).map(|_| ()).map_err(text)
    }

    fn each(
        &mut self,
        servers: &[Server],
        command: impl Fn(RealServer) -> Command,
    ) -> Result<(), String> {
        servers.iter().try_for_each(|server| {
            let described = self.services[self.on].describe(server)?;
            self.execute(&command(described))
        })
    }

    /// The next client connects; which server and port it got.
    fn connect(&mut self) -> Result<Option<(u8, u16)>, String> {
        let flow = self.next_flow();
        self.picks += 1;
        let Some(id) = self.worker.service_for(&flow) else {
            return Err("no service takes the packet".to_owned());
        };
        let Ok(connection) = self.worker.connect(id, &flow) else {
            return Ok(None);
        };
        let is_this = |key: &ServiceKey| self.director.service_by_key(key) == Some(id);
        let mut keys = self.services.iter().map(|service| service.settings.key);
        let key = keys.find(is_this).ok_or("the service is none of the row")?;
        let address = connection.address();
        let number = number(address.ip());
        self.open.push((key, number, connection.into_lease()));
        Ok(Some((number, address.port())))
    }

    fn next_flow(&mut self) -> Flow {
        let kind = self.services[0].kind;
        let turn = self.turn;
        self.turn += 1;
        let in_turn = |list: &[SocketAddr]| list.get(turn % list.len().max(1)).copied();
        let client = in_turn(&self.from).unwrap_or_else(|| client(kind, self.picks));
        let destination = in_turn(&self.to).unwrap_or_else(|| virtual_address(kind));
        let flow = match kind {
            Kind::Udp => Flow::udp(client, destination),
            Kind::Sctp => Flow::sctp(client, destination),
            Kind::Tcp | Kind::Tcp6 | Kind::Fwmark => Flow::tcp(client, destination),
        };
        flow.with_fwmark(self.mark)
    }

    fn tally(&mut self, expected: &[(u8, u32)]) -> Result<(), String> {
        let mut got: HashMap<Option<u8>, u32> = HashMap::new();
        for _ in 0..expected.iter().map(|(_, count)| count).sum() {
            let server = self.connect()?.map(|(server, _)| server);
            *got.entry(server).or_default() += 1;
        }
        let expected = expected.iter().map(|(server, count)| (Some(*server), *count));
        expect("tally", got, expected.collect())
    }

    fn open(&mut self, number: u8, activity: Activity, count: u32) -> Result<(), String> {
        let service = &self.services[self.on];
        let (key, address) = (service.settings.key, service.known(number)?.address);
        let id = self.director.service_by_key(&key);
        let id = id.and_then(|id| self.director.server_by_address(id, address));
        let id = id.ok_or("the director does not know the server")?;
        for _ in 0..count {
            let lease = self.worker.open(id, activity).map_err(text)?;
            self.open.push((key, number, lease));
        }
        Ok(())
    }

    /// Place of the oldest such connection of a server.
    fn oldest(&self, number: u8, such: impl Fn(&Lease) -> bool) -> Result<usize, String> {
        let key = self.services[self.on].settings.key;
        let mut open = self.open.iter();
        open.position(|(service, server, lease)| {
            (*service, *server) == (key, number) && such(lease)
        })
        .ok_or_else(|| format!("server {number} has no such connection"))
    }

    /// In list order.
    fn counts(&self) -> Vec<(u8, u32, u32)> {
        let key = self.services[self.on].settings.key;
        let services = self.director.observe().services.into_iter();
        services
            .filter(|service| service.settings.key == key)
            .flat_map(|service| service.servers)
            .map(|server| {
                let counts = server.counts;
                let number = number(server.server.address.ip());
                (number, counts.active, counts.inactive)
            })
            .collect()
    }
}

#[derive(PartialEq)]
struct Answer(Option<(u8, u16)>);

impl Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            None => f.write_str("X"),
            Some((server, PORT)) => write!(f, "{server}"),
            Some((server, port)) => write!(f, "{server}:{port}"),
        }
    }
}

fn expect<T: PartialEq + Debug>(what: &str, got: T, expected: T) -> Result<(), String> {
    if got == expected {
        Ok(())
    } else {
        Err(format!("{what}: expected {expected:?}, got {got:?}"))
    }
}
