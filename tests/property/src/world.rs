//! The crate and the model side by side: each step is applied to both, then both are compared.

mod control;
mod traffic;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use vsched::config::diff::Change;
use vsched::config::{Command, Config, Persistence, ServiceKey, VirtualService};
use vsched::{Activity, Director, Flow, Lease, SchedulerKind, ServiceId, Worker};

use crate::kernel::Kernel;
use crate::script::{Script, Step, address, key};
use crate::twins::Name;
use crate::world::traffic::activity;

/// Both sides.
#[derive(Debug)]
pub struct World {
    director: Director,
    /// Two, so that one rests on an old table now and then.
    workers: [Worker; 2],
    kernel: Kernel,
    palette: usize,
    persistence: Option<Persistence>,
    leases: Vec<Held>,
    /// All that services were ever known by.
    ids: Vec<ServiceId>,
    /// What picks and connects answered, for comparison with another world.
    pub answers: Vec<Option<SocketAddr>>,
    steps: usize,
    /// The model has stopped in the middle of a walk and cannot follow any more.
    lost: bool,
}

/// An open connection.
#[derive(Debug)]
struct Held {
    lease: Lease,
    server: Name,
    /// The service, client and id of the template that it was made through.
    template: Option<(ServiceKey, u32, u64)>,
}

/// A walk of the model was given up; the rest of the script says nothing.
#[derive(Debug)]
pub struct TooLong;

impl World {
    /// Both sides with the script's settings and without services.
    pub fn new(script: &Script) -> World {
        let config = Config::new().with_kernel_rules(script.generation).with_seed(script.seed);
        let director = Director::new(&config).expect("an empty config is valid");
        World {
            workers: [director.worker(), director.worker()],
            director,
            kernel: Kernel::new(script.generation, script.seed),
            palette: script.palette,
            persistence: script.persistent.map(Persistence::new),
            leases: Vec::new(),
            ids: Vec::new(),
            answers: Vec::new(),
            steps: 0,
            lost: false,
        }
    }

    /// Runs a script as far as the model can follow.
    pub fn run(script: &Script) -> World {
        let mut world = World::new(script);
        for step in &script.steps {
            if world.step(step).is_err() {
                world.lost = true;
                break;
            }
            world.remember();
            world.compare();
        }
        world
    }

    /// Does one step to both sides.
    pub fn step(&mut self, step: &Step) -> Result<(), TooLong> {
        self.steps += 1;
        match step {
            Step::AddService(at, scheduler) => self.add_service(key(*at), *scheduler),
            Step::EditService(at, scheduler) => self.edit_service(key(*at), *scheduler),
            Step::AwayAndBack(at, scheduler) => {
                let settings = self.kernel.services().get(&key(*at));
                let before = settings.and_then(|service| service.settings.scheduler);
                self.edit_service(key(*at), *scheduler);
                self.edit_service(key(*at), before);
            }
            Step::DeleteService(at) => {
                let change = Change::DeleteService(key(*at));
                let exists = self.kernel.services().contains_key(&key(*at));
                self.execute(&Command::DeleteService(key(*at)), exists.then_some(change));
            }
            Step::PickStale(at) => self.pick_stale(*at),
            Step::Clear => {
                let keys: Vec<ServiceKey> = self.kernel.services().keys().copied().collect();
                self.director.execute(&Command::Clear).expect("it is always possible");
                keys.into_iter().for_each(|key| self.kernel.change(&Change::DeleteService(key)));
            }
            Step::AddServer(at, spec) => self.add_server(key(*at), *spec),
            Step::EditServer(at, spec) => {
                self.edit_server(key(*at), spec.server(self.palette));
            }
            Step::SameServer(at, server) => {
                let name = self.kernel.find(&key(*at), address(*server));
                let server = name.map(|name| self.kernel.object(name).server.clone());
                if let Some(server) = server {
                    self.edit_server(key(*at), server);
                }
            }
            Step::DeleteServer(at, server) => {
                let (service, server) = (key(*at), address(*server));
                let known = self.kernel.find(&service, server);
                let change = known.map(|_| Change::DeleteServer { service, server });
                self.execute(&Command::DeleteServer { service, server }, change);
            }
            Step::Apply(services) => {
                let persistent =
                    |spec: &crate::script::ServiceSpec| self.persistent(spec.service(self.palette));
                let services = services.iter().map(persistent).collect();
                self.apply(services);
            }
            Step::ApplySame(turn) => {
                let mut services = self.director.config().services;
                services.reverse();
                for service in &mut services {
                    let middle = turn % service.servers.len().max(1);
                    service.servers.rotate_left(middle);
                }
                let changes = self.apply(services);
                assert!(changes == 0, "an equal config changes nothing");
            }
            Step::ApplyOne(spec) => {
                let mut services = self.director.config().services;
                services.retain(|service| service.key != key(spec.service));
                services.push(self.persistent(spec.service(self.palette)));
                self.apply(services);
            }
            Step::Tick => {
                self.director.tick(Duration::from_secs(self.steps as u64));
                self.kernel.tick(self.steps as u64);
            }
            Step::Pick(at) => self.pick(key(*at))?,
            Step::Retry(at, tried) => {
                let tried: Vec<SocketAddr> =
                    (0..8).filter(|bit| tried >> bit & 1 == 1).map(address).collect();
                self.retry(key(*at), &tried)?;
            }
            Step::Connect { service, udp } => self.connect(key(*service), *udp)?,
            Step::Open { service, place, active } => {
                self.open(key(*service), *place, activity(*active))
            }
            Step::Crowd { service, place, count } => {
                (0..*count).for_each(|_| self.open(key(*service), *place, Activity::Inactive))
            }
            Step::Update(lease, active) => self.update(*lease, activity(*active)),
            Step::Close(lease) => self.close(*lease),
        }
        Ok(())
    }

    fn persistent(&self, mut service: VirtualService) -> VirtualService {
        service.persistence = self.persistence;
        service
    }

    /// Every service, server, count and mark.
    ///
    /// # Panics
    /// The two sides differ.
    pub fn compare(&self) {
        let observed = self.director.observe();
        let observed: BTreeMap<ServiceKey, _> =
            observed.services.iter().map(|service| (service.settings.key, service)).collect();
        assert!(observed.keys().eq(self.kernel.services().keys()), "services");
        for (key, service) in self.kernel.services() {
            let seen = observed[key];
            assert_eq!(seen.settings, service.settings);
            let statistics = (seen.statistics.connections, seen.statistics.refused);
            assert_eq!(statistics, (service.connections, service.refused), "{key}");
            let list = self.kernel.list(key);
            assert_eq!(seen.servers.len(), list.len(), "{key}");
            for (seen, name) in seen.servers.iter().zip(list) {
                let object = self.kernel.object(*name);
                assert_eq!(seen.server, object.server, "{key}");
                let (counts, load) = (seen.counts, object.load);
                assert_eq!(
                    (counts.active, counts.inactive, counts.overloaded, counts.persistent),
                    (
                        load.active,
                        load.inactive,
                        load.overloaded,
                        self.kernel.templates(key, *name)
                    ),
                    "active, inactive, overloaded, templates of {} in {key}",
                    object.server.address
                );
                if let Some(connections) = object.connections {
                    assert_eq!(seen.statistics.connections, connections, "{key}");
                }
            }
        }
    }

    /// Every open connection and every service ends; nothing is left.
    pub fn end(&mut self) {
        while !self.leases.is_empty() {
            self.close(0);
        }
        for server in self.director.observe().services.iter().flat_map(|service| &service.servers) {
            assert_eq!((server.counts.active, server.counts.inactive), (0, 0));
        }
        self.director.apply(&Config::default()).expect("an empty config");
        for worker in &self.workers {
            // Lets go of old tables.
            worker.service_for(&Flow::default());
        }
        self.director.tick(Duration::ZERO);
        assert_eq!(self.director.removed_servers(), 0);
    }

    /// The addresses of servers that a pick may choose, beyond what the scheduler says.
    pub fn available(&self, key: &ServiceKey) -> Vec<SocketAddr> {
        let seen = self.kernel.seen(key, &[]);
        let free = seen.iter().filter(|server| server.weight > 0 && !server.overloaded);
        free.map(|server| self.kernel.object(server.name).server.address).collect()
    }

    /// The scheduler of a service that runs.
    pub fn scheduler(&self, key: &ServiceKey) -> Option<SchedulerKind> {
        self.kernel.services().get(key)?.settings.scheduler
    }

    fn worker(&self) -> &Worker {
        // Runs of one worker, so that the other rests.
        &self.workers[self.steps / 5 % 2]
    }

    fn id(&self, key: &ServiceKey) -> Option<ServiceId> {
        let id = self.director.service_by_key(key);
        assert_eq!(id.is_some(), self.kernel.services().contains_key(key));
        id
    }

    fn remember(&mut self) {
        for key in self.kernel.services().keys() {
            let id = self.director.service_by_key(key).expect("it runs");
            if !self.ids.contains(&id) {
                self.ids.push(id);
            }
        }
    }
}
