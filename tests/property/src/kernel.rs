//! The services of the model: lists, removed servers, and how the twins learn of changes.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use vsched::Activity;
use vsched::config::diff::Change;
use vsched::config::{KernelRules, RealServer, ServiceKey, ServiceSettings};

use crate::chance::service_seed;
use crate::load::Load;
use crate::templates::Templates;
use crate::twins::{Answer, Name, Seen, Twin, Way, is_random};

/// Everything that runs, and everything that ran.
#[derive(Debug)]
pub struct Kernel {
    generation: KernelRules,
    seed: u64,
    objects: Vec<Object>,
    /// Removed servers; they keep counting and come back as they are.
    trash: HashMap<(ServiceKey, SocketAddr), Name>,
    services: BTreeMap<ServiceKey, Service>,
    /// Seconds.
    now: u64,
    /// Templates made so far.
    made: u64,
}

/// A server.
#[derive(Debug, Clone)]
pub struct Object {
    /// As configured last.
    pub server: RealServer,
    /// Its connections.
    pub load: Load,
    /// Its last weight that was not 0, or that it was added with.
    pub last_weight: u32,
    /// Connections scheduled since it was added; `None` once it has been removed: how long the
    /// statistics of the removed are kept is no part of the model.
    pub connections: Option<u64>,
}

/// A service.
#[derive(Debug)]
pub struct Service {
    /// Its settings, without servers.
    pub settings: ServiceSettings,
    /// Connections scheduled.
    pub connections: u64,
    /// Picks that found no server.
    pub refused: u64,
    /// The newest first.
    list: Vec<Name>,
    twin: Option<Twin>,
    /// Retries turn a rotation of their own.
    retries: Option<Twin>,
    /// Of a persistent service.
    templates: Option<Templates>,
    /// Picks that asked for random numbers.
    chances: u64,
}

impl Service {
    /// The service's own seed, and the number of this pick among those that ask for random numbers.
    fn chance(&mut self, seed: u64, key: &ServiceKey) -> (u64, u64) {
        let number = self.chances;
        self.chances += u64::from(self.settings.scheduler.is_some_and(is_random));
        (service_seed(seed, &key.to_string()), number)
    }
}

impl Kernel {
    /// Nothing runs.
    pub fn new(generation: KernelRules, seed: u64) -> Kernel {
        Kernel {
            generation,
            seed,
            objects: Vec::new(),
            trash: HashMap::new(),
            services: BTreeMap::new(),
            now: 0,
            made: 0,
        }
    }

    /// The services by key.
    pub fn services(&self) -> &BTreeMap<ServiceKey, Service> {
        &self.services
    }

    /// A server, in the config or removed.
    pub fn object(&self, name: Name) -> &Object {
        &self.objects[name]
    }

    /// The servers of a service, the newest first.
    pub fn list(&self, key: &ServiceKey) -> &[Name] {
        self.services.get(key).map_or(&[], |service| &service.list)
    }

    /// The server of a service at this address.
    pub fn find(&self, key: &ServiceKey, address: SocketAddr) -> Option<Name> {
        let mut names = self.list(key).iter().copied();
        names.find(|name| self.objects[*name].server.address == address)
    }

    /// Carries out a change that is possible.
    ///
    /// # Panics
    /// It is not, or the scheduler has no twin.
    pub fn change(&mut self, change: &Change) {
        let key = change.service();
        match change {
            Change::AddService(settings) => {
                let service = Service {
                    settings: settings.clone(),
                    connections: 0,
                    refused: 0,
                    list: Vec::new(),
                    twin: bound(settings, &[]),
                    retries: bound(settings, &[]),
                    templates: settings.persistence.map(|_| Templates::default()),
                    chances: 0,
                };
                assert!(self.services.insert(key, service).is_none(), "{key} exists");
            }
            Change::EditService(settings) => {
                let list = self.seen(&key, &[]);
                let service = self.services.get_mut(&key).expect("the service exists");
                if service.settings.scheduler != settings.scheduler {
                    service.twin = bound(settings, &list);
                    service.retries = bound(settings, &list);
                }
                service.settings = settings.clone();
                let former = service.templates.take();
                service.templates = settings.persistence.map(|_| former.unwrap_or_default());
            }
            Change::DeleteService(_) => {
                let service = self.services.remove(&key).expect("the service exists");
                for name in service.list {
                    self.discard(key, name);
                }
            }
            Change::AddServer { server, .. } => {
                assert_eq!(self.find(&key, server.address), None, "the server exists");
                let name = self.trash.remove(&(key, server.address));
                let name = name.unwrap_or_else(|| {
                    self.objects.push(Object {
                        server: server.clone(),
                        load: Load::default(),
                        last_weight: server.weight,
                        connections: Some(0),
                    });
                    self.objects.len() - 1
                });
                self.describe(name, server.clone());
                self.objects[name].last_weight = server.weight;
                let service = self.services.get_mut(&key).expect("the service exists");
                service.list.insert(0, name);
                self.tell(&key, Twin::changed);
            }
            Change::EditServer { server, .. } => {
                let name = self.find(&key, server.address).expect("the server exists");
                self.describe(name, server.clone());
                if server.weight > 0 {
                    self.objects[name].last_weight = server.weight;
                }
                self.tell(&key, Twin::changed);
            }
            Change::DeleteServer { server, .. } => {
                let name = self.find(&key, *server).expect("the server exists");
                let service = self.services.get_mut(&key).expect("the service exists");
                let place = service.list.iter().position(|known| *known == name);
                let place = place.expect("the server was found in the list");
                service.list.remove(place);
                self.discard(key, name);
                self.tell(&key, |twin, list| twin.deleted(name, place, list));
            }
            other => panic!("not in this model: {other:?}"),
        }
    }

    /// Chooses a server of a service that runs.
    pub fn pick(&mut self, key: &ServiceKey, way: Way) -> Answer {
        if let Some(name) = self.persistent(key, way.client, &[]) {
            return Answer::Exactly(Some(name));
        }
        let list = self.seen(key, &[]);
        let service = self.services.get_mut(key).expect("the service runs");
        let way = Way { chance: service.chance(self.seed, key), ..way };
        match &mut service.twin {
            Some(twin) => twin.pick(&list, self.generation, way),
            None => Answer::Exactly(None),
        }
    }

    /// Chooses as if these were overloaded.
    pub fn pick_excluding(&mut self, key: &ServiceKey, tried: &[Name], way: Way) -> Answer {
        if let Some(name) = self.persistent(key, way.client, tried) {
            return Answer::Exactly(Some(name));
        }
        let list = self.seen(key, tried);
        let service = self.services.get_mut(key).expect("the service runs");
        let way = Way { falls_back: true, chance: service.chance(self.seed, key), ..way };
        // Rotations have one for retries; all else that is remembered is remembered once.
        let rotates = matches!(service.retries, Some(Twin::Rr { .. } | Twin::Wrr(_)));
        match if rotates { &mut service.retries } else { &mut service.twin } {
            Some(twin) => twin.pick(&list, self.generation, way),
            None => Answer::Exactly(None),
        }
    }

    /// Where the client's template leads, if it may.
    fn persistent(&mut self, key: &ServiceKey, client: u32, tried: &[Name]) -> Option<Name> {
        let service = self.services.get_mut(key)?;
        let templates = service.templates.as_mut()?;
        let name = templates.look(client)?;
        if tried.is_empty() && !service.list.contains(&name) {
            // Though the scheduler may find none and this server come back.
            templates.forget(client);
            return None;
        }
        let Object { server, load, .. } = &self.objects[name];
        let barred = server.weight == 0 || load.overloaded || tried.contains(&name);
        let usable = tried.is_empty() || !barred;
        (service.list.contains(&name) && usable).then_some(name)
    }

    /// The client was told to go to this server.
    pub fn chosen(&mut self, key: &ServiceKey, client: u32, name: Name) {
        let now = self.now;
        let service = self.services.get_mut(key).expect("the service runs");
        let timeout = service.settings.persistence.map(|it| u64::from(it.timeout));
        if let (Some(templates), Some(timeout)) = (&mut service.templates, timeout) {
            self.made += 1;
            templates.connect(client, name, timeout, now, self.made);
        }
    }

    /// A connection of this client opens by its template. Returns the template's id.
    pub fn hold(&mut self, key: &ServiceKey, client: u32) -> Option<u64> {
        self.services.get_mut(key)?.templates.as_mut()?.hold(client)
    }

    /// It closes.
    pub fn let_go(&mut self, key: &ServiceKey, client: u32, id: u64) {
        let service = self.services.get_mut(key);
        if let Some(templates) = service.and_then(|service| service.templates.as_mut()) {
            templates.let_go(client, id);
        }
    }

    /// So many seconds have passed since the beginning.
    pub fn tick(&mut self, now: u64) {
        self.now = now;
        for templates in self.services.values_mut().filter_map(|it| it.templates.as_mut()) {
            templates.tick(now);
        }
    }

    /// Templates that lead to a server.
    pub fn templates(&self, key: &ServiceKey, name: Name) -> u32 {
        let service = self.services.get(key).and_then(|service| service.templates.as_ref());
        service.map_or(0, |templates| templates.count(name))
    }

    /// A pick of this service found no server.
    pub fn refuse(&mut self, key: &ServiceKey) {
        if let Some(service) = self.services.get_mut(key) {
            service.refused += 1;
        }
    }

    /// A connection to a server of this service begins.
    pub fn open(&mut self, key: &ServiceKey, name: Name, activity: Activity) {
        let object = &mut self.objects[name];
        object.load.bind(activity, self.generation);
        object.connections = object.connections.map(|count| count + 1);
        if let Some(service) = self.services.get_mut(key) {
            service.connections += 1;
        }
    }

    /// A connection becomes active or inactive.
    pub fn shift(&mut self, name: Name, to: Activity) {
        self.objects[name].load.shift(to);
    }

    /// A connection ends.
    pub fn close(&mut self, name: Name, activity: Activity) {
        self.objects[name].load.unbind(activity, self.generation);
    }

    /// The list as a scheduler sees it, with these servers barred.
    pub fn seen(&self, key: &ServiceKey, barred: &[Name]) -> Vec<Seen> {
        let seen = |name: &Name| {
            let Object { server, load, last_weight, .. } = &self.objects[*name];
            let SocketAddr::V4(address) = server.address else {
                unreachable!("the servers here are IPv4")
            };
            Seen {
                name: *name,
                weight: server.weight,
                active: load.active,
                inactive: load.inactive,
                overloaded: load.overloaded || barred.contains(name),
                last_weight: *last_weight,
                place: address.ip().to_bits() + u32::from(address.port()),
            }
        };
        self.list(key).iter().map(seen).collect()
    }

    fn describe(&mut self, name: Name, server: RealServer) {
        let object = &mut self.objects[name];
        object.server = server.clone();
        let limits = server.thresholds;
        object.load.limit(limits.upper, limits.lower, self.generation);
    }

    fn discard(&mut self, key: ServiceKey, name: Name) {
        self.objects[name].connections = None;
        self.trash.insert((key, self.objects[name].server.address), name);
    }

    fn tell(&mut self, key: &ServiceKey, tell: impl Fn(&mut Twin, &[Seen])) {
        let list = self.seen(key, &[]);
        if let Some(service) = self.services.get_mut(key) {
            for twin in [&mut service.twin, &mut service.retries].into_iter().flatten() {
                tell(twin, &list);
            }
        }
    }
}

fn bound(settings: &ServiceSettings, list: &[Seen]) -> Option<Twin> {
    settings.scheduler.map(|kind| {
        Twin::bind(kind, list).unwrap_or_else(|| panic!("{} has no twin: write one", kind.name()))
    })
}
