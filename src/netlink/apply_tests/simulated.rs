//! A simulated kernel.

use std::net::SocketAddr;

use crate::config::{
    Config, Observed, ObservedServer, RealServer, ServiceKey, Settings, SyncDaemon, VirtualService,
};
use crate::netlink::apply::kernel_api::KernelApi;
use crate::netlink::plan::Action;
use crate::netlink::wire::{Command, DaemonAttributes, ServiceAttributes};
use crate::netlink::{Error, Failure, Reading, Refused, Request, Stopped};

/// What goes wrong.
#[derive(Clone, Copy)]
pub(super) enum Fault<'f> {
    None,
    /// The requests of these steps, in any form.
    Refuses(&'f [Action]),
    /// Every request from this one on.
    RefusesFrom(usize),
    RefusesOnly(usize),
    /// The request with this number is refused with this errno.
    Says(&'f dyn Fn(usize, &Request) -> Option<i32>),
    /// This request fails before it is sent, once.
    Breaks(usize),
    /// The answers of the batch with this request, once.
    Loses(usize),
    /// All answers.
    Silent,
    /// The process ends after this request.
    Dies(usize),
}

pub(super) struct Simulated<'f> {
    services: Vec<VirtualService>,
    settings: Settings,
    fault: Fault<'f>,
    requests: usize,
    /// Requests that arrived, or were lost with their batch.
    pub(super) sent: usize,
    /// The largest batch of each call.
    pub(super) batches: Vec<usize>,
    /// How often the service was checked.
    pub(super) moments: usize,
    pub(super) unwatched: bool,
    /// Active and inactive connections of every server.
    pub(super) connections: [u32; 2],
    /// Single dumps miss every quiesced server.
    pub(super) torn: bool,
    /// What dumps and readings fail with.
    pub(super) unreadable: Option<fn() -> Error>,
    /// Single dumps, and readings of a service that agree.
    pub(super) dumps: [usize; 2],
}

impl<'f> Simulated<'f> {
    pub(super) fn new(config: &Config, fault: Fault<'f>) -> Self {
        Simulated {
            services: config.services.clone(),
            settings: config.settings(),
            fault,
            requests: 0,
            sent: 0,
            batches: Vec::new(),
            moments: 0,
            unwatched: false,
            connections: [0; 2],
            torn: false,
            unreadable: None,
            dumps: [0; 2],
        }
    }

    /// Another program gives a server this weight.
    pub(super) fn set_weight(&mut self, place: usize, address: SocketAddr, weight: u32) {
        let servers = &mut self.services[place].servers;
        let found = servers.iter_mut().find(|server| server.address == address);
        found.expect("it runs").weight = weight;
    }

    pub(super) fn heal(&mut self) {
        self.fault = Fault::None;
    }

    /// Services with their servers in the order of addresses.
    pub(super) fn config(&self) -> Vec<VirtualService> {
        let mut services = self.services.clone();
        for service in &mut services {
            service.servers.sort_by_key(|server| server.address);
        }
        services
    }

    pub(super) fn observed(&self) -> Observed {
        Observed::from(&self.settings.clone().with_services(self.services.clone()))
    }

    /// The errno of a fault.
    fn refusal(&self, request: &Request) -> Option<i32> {
        let number = self.requests;
        let refuses = match self.fault {
            Fault::Says(errno) => return errno(number, request),
            Fault::Refuses(actions) => actions.iter().any(|action| {
                let own = |action| super::super::converge::request(action);
                own(action).is_some_and(|own| {
                    (own.object(), own.message().dest) == (request.object(), request.message().dest)
                })
            }),
            Fault::RefusesFrom(first) => number >= first,
            Fault::RefusesOnly(only) => number == only,
            Fault::None | Fault::Silent | Fault::Breaks(_) | Fault::Loses(_) | Fault::Dies(_) => {
                false
            }
        };
        refuses.then_some(libc::EPERM)
    }

    fn carry_out(&mut self, request: &Request) -> Result<(), i32> {
        let message = request.message();
        let settings = &mut self.settings;
        let role = message.daemon.as_ref().map(|daemon| daemon.state);
        let runs = |daemon: &SyncDaemon| Some(DaemonAttributes::of_role(daemon.role).state) == role;
        let running = settings.daemons.iter().position(runs);
        match message.command {
            Command::SetConfig => {
                let (set, now) = (message.timeouts, &mut settings.timeouts);
                now.tcp = set.tcp.or(now.tcp);
                now.udp = set.udp.or(now.udp);
                return Ok(());
            }
            Command::NewDaemon if running.is_some() => return Err(libc::EEXIST),
            Command::NewDaemon => {
                let daemon = message.daemon.as_ref().expect("a daemon");
                settings.daemons.push(daemon.daemon().expect("a daemon"));
                return Ok(());
            }
            Command::DelDaemon => {
                settings.daemons.remove(running.ok_or(libc::ESRCH)?);
                return Ok(());
            }
            _ => {}
        }
        let attributes: &ServiceAttributes = message.service.as_ref().expect("about a service");
        let key = attributes.key().expect("a key");
        let place = self.services.iter().position(|service| service.key == key);
        let dest = message.dest.as_ref();
        let address = dest.map(|dest| dest.socket_address(key.family()).expect("an address"));
        let server = || dest.expect("a server").server(key.family()).expect("a server");
        let services = &mut self.services;
        let service = place.map(|place| &mut services[place]).ok_or(libc::ESRCH);
        let known = |service: &VirtualService| {
            service.servers.iter().position(|server| Some(server.address) == address)
        };
        match message.command {
            Command::NewService if place.is_some() => return Err(libc::EEXIST),
            Command::NewService => {
                services.push(attributes.settings().expect("settings").with_servers(Vec::new()))
            }
            Command::SetService => {
                let service = service?;
                let servers = std::mem::take(&mut service.servers);
                *service = attributes.settings().expect("settings").with_servers(servers);
            }
            Command::DelService => {
                services.remove(place.ok_or(libc::ESRCH)?);
            }
            Command::NewDest => {
                let service = service?;
                match known(service) {
                    Some(_) => return Err(libc::EEXIST),
                    None => service.servers.push(server()),
                }
            }
            Command::SetDest => {
                let service = service?;
                let place = known(service).ok_or(libc::ENOENT)?;
                service.servers[place] = server();
            }
            Command::DelDest => {
                let service = service?;
                service.servers.remove(known(service).ok_or(libc::ENOENT)?);
            }
            command => panic!("{command}"),
        }
        Ok(())
    }

    fn running(&self, key: &ServiceKey) -> Vec<ObservedServer> {
        let mut services = self.observed().services.into_iter();
        let service = services.find(|service| service.settings.key == *key);
        let mut servers = service.map_or_else(Vec::new, |service| service.servers);
        for server in &mut servers {
            [server.counts.active, server.counts.inactive] = self.connections;
        }
        servers
    }

    fn observe(&mut self) {
        self.moments += 1;
        let open = |service: &VirtualService| {
            service.scheduler.is_some() && service.servers.iter().any(|server| server.weight > 0)
        };
        assert!(self.unwatched || self.services.iter().all(open), "closed: {:?}", self.services);
    }
}

impl KernelApi for Simulated<'_> {
    fn execute(&mut self, requests: &[Request], batch: usize) -> Result<Vec<Failure>, Stopped> {
        let mut failures = Vec::new();
        self.batches.push(batch);
        for (chunk, answered) in requests.chunks(batch).zip((0..).step_by(batch)) {
            let mut lost = None;
            self.sent += chunk.len();
            for (place, request) in chunk.iter().enumerate() {
                let number = self.requests;
                if matches!(self.fault, Fault::Dies(last) if number > last) {
                    let source = std::io::ErrorKind::BrokenPipe.into();
                    lost = Some(Error::System { step: "dead", source });
                    break;
                }
                if matches!(self.fault, Fault::Breaks(at) if number == at) {
                    self.fault = Fault::None;
                    let source = std::io::ErrorKind::Other.into();
                    let error = Error::System { step: "broken", source };
                    let answered = answered + place;
                    self.sent -= chunk.len() - place;
                    return Err(Stopped { error, answered, sent: answered, failures });
                }
                let outcome = match self.refusal(request) {
                    Some(errno) => Err(errno),
                    None => self.carry_out(request),
                };
                self.requests += 1;
                self.observe();
                if let Err(errno) = outcome {
                    let refused = Refused::new(request.message().command, request.object(), errno);
                    failures.push(Failure { index: answered + place, refused });
                }
                if matches!(self.fault, Fault::Loses(at) if number == at)
                    || matches!(self.fault, Fault::Silent)
                {
                    lost = Some(Error::Lost);
                }
            }
            if let Some(error) = lost {
                failures.retain(|failure| failure.index < answered);
                let sent = answered + chunk.len();
                return Err(Stopped { error, answered, sent, failures });
            }
        }
        Ok(failures)
    }

    fn read(&mut self) -> Result<Reading, Error> {
        if let Some(error) = self.unreadable {
            return Err(error());
        }
        Ok(Reading { observed: self.observed(), unreadable: Vec::new() })
    }

    fn servers_once(&mut self, key: &ServiceKey) -> Result<Vec<ObservedServer>, Error> {
        self.dumps[0] += 1;
        let mut servers = self.servers(key);
        self.dumps[1] -= 1;
        if let (true, Ok(servers)) = (self.torn, &mut servers) {
            servers.retain(|observed| observed.server.weight > 0);
        }
        servers
    }

    fn servers(&mut self, key: &ServiceKey) -> Result<Vec<ObservedServer>, Error> {
        self.dumps[1] += 1;
        self.unreadable.map_or_else(|| Ok(self.running(key)), |error| Err(error()))
    }
}

#[test]
fn it_refuses_as_a_kernel_does() {
    let mut kernel = Simulated::new(&Config::default(), Fault::None);
    kernel.unwatched = true;
    let key = super::key();
    let server = RealServer::new("10.0.1.9:80".parse().expect("an address"));
    let service = VirtualService::new(key);
    let mut errno = |request: Request| {
        let failures = kernel.execute(&[request], 1).expect("answers");
        failures.first().map_or(0, |failure| failure.refused.errno())
    };
    assert_eq!(errno(Request::add_server(&key, &server)), libc::ESRCH);
    assert_eq!(errno(Request::add_service(&service)), 0);
    assert_eq!(errno(Request::add_service(&service)), libc::EEXIST);
    assert_eq!(errno(Request::edit_server(&key, &server)), libc::ENOENT);
    assert_eq!(errno(Request::add_server(&key, &server)), 0);
    assert_eq!(errno(Request::add_server(&key, &server)), libc::EEXIST);
    assert_eq!(errno(Request::delete_server(&key, server.address)), 0);
    assert_eq!(errno(Request::delete_service(&key)), 0);
    assert_eq!(errno(Request::delete_service(&key)), libc::ESRCH);
}
