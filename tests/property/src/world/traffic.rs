//! What clients do, to both sides.

use std::net::{IpAddr, SocketAddr};

use vsched::config::ServiceKey;
use vsched::{Activity, Flow, Pick, Tried};

use super::{Held, TooLong, World};
use crate::twins::{Answer, Name, Way};

impl World {
    /// A decision among the servers that are not at these addresses, compared with the model.
    pub fn retry(
        &mut self,
        key: ServiceKey,
        tried: &[SocketAddr],
    ) -> Result<Option<SocketAddr>, TooLong> {
        if self.lost {
            return Err(TooLong);
        }
        let Some(id) = self.id(&key) else {
            return Ok(None);
        };
        let names: Vec<Name> =
            tried.iter().filter_map(|tried| self.kernel.find(&key, *tried)).collect();
        if names.is_empty() {
            return Ok(None);
        }
        let mut excluded = Tried::<8>::new();
        for name in &names {
            let address = self.kernel.object(*name).server.address;
            let server = crate::server_id(&self.director, &key, address).expect("it runs");
            excluded.try_push(server).expect("room");
        }
        let flow = self.flow(&key, false);
        let wanted = self.kernel.pick_excluding(&key, &names, way(&flow));
        if wanted == Answer::TooLong {
            return Err(TooLong);
        }
        let pick = self.worker().pick_server_excluding(id, &flow, excluded.as_slice()).ok();
        let found = self.check(&key, wanted, pick);
        self.chosen(&key, &flow, found);
        Ok(pick.map(|pick| pick.address()))
    }

    /// The name of a service that is gone names no other.
    pub(super) fn pick_stale(&self, at: usize) {
        let mut keys = self.kernel.services().keys();
        let Some(&id) = self.ids.get(at % self.ids.len().max(1)) else {
            return;
        };
        if keys.all(|key| self.director.service_by_key(key) != Some(id)) {
            assert!(self.worker().pick_server(id, &Flow::default()).is_err());
            assert!(self.director.pick_server(id, &Flow::default()).is_err());
        }
    }

    pub(super) fn pick(&mut self, key: ServiceKey) -> Result<(), TooLong> {
        let Some(id) = self.id(&key) else {
            return Ok(());
        };
        let flow = self.flow(&key, false);
        let wanted = self.kernel.pick(&key, way(&flow));
        if wanted == Answer::TooLong {
            return Err(TooLong);
        }
        let told = self.director.explain(id, &flow).expect("it runs").pick.ok();
        let pick = self.worker().pick_server(id, &flow).ok();
        let picked = pick.map(|pick| (pick.server(), pick.address()));
        assert_eq!(told.map(|told| (told.server, told.address)), picked, "{key}");
        let found = self.check(&key, wanted, pick);
        self.chosen(&key, &flow, found);
        Ok(())
    }

    /// The model's templates learn what was chosen.
    fn chosen(&mut self, key: &ServiceKey, flow: &Flow, name: Option<Name>) {
        if let Some(name) = name {
            self.kernel.chosen(key, way(flow).client, name);
        }
    }

    /// An answer of the crate against the model's.
    fn check(&mut self, key: &ServiceKey, wanted: Answer, pick: Option<Pick>) -> Option<Name> {
        let address = pick.map(|pick| pick.address());
        let found = address.map(|address| self.kernel.find(key, address).expect("a server of it"));
        match wanted {
            Answer::Exactly(name) => {
                let wanted = name.map(|name| self.kernel.object(name).server.address);
                assert_eq!(address, wanted, "{key} {:?}", self.scheduler(key));
            }
            Answer::TooLong => {}
        }
        if let (Some(pick), Some(name)) = (pick, found) {
            assert_eq!(crate::server_id(&self.director, key, pick.address()), Some(pick.server()));
            assert_eq!(pick.forwarding(), self.kernel.object(name).server.forwarding);
        }
        if found.is_none() {
            self.kernel.refuse(key);
        }
        self.answers.push(address);
        found
    }

    pub(super) fn connect(&mut self, key: ServiceKey, udp: bool) -> Result<(), TooLong> {
        let Some(id) = self.id(&key) else {
            return Ok(());
        };
        let flow = self.flow(&key, udp);
        let wanted = self.kernel.pick(&key, way(&flow));
        if wanted == Answer::TooLong {
            return Err(TooLong);
        }
        let connection = self
            .worker()
            .connect(id, &flow)
            .ok()
            .map(|connection| (connection.pick(), connection.into_lease()));
        let (pick, lease) = connection.unzip();
        let name = self.check(&key, wanted, pick);
        self.chosen(&key, &flow, name);
        if let (Some(name), Some(lease)) = (name, lease) {
            assert_eq!(lease.activity(), Some(activity(!udp)));
            self.kernel.open(&key, name, activity(!udp));
            let client = way(&flow).client;
            let template = self.kernel.hold(&key, client).map(|id| (key, client, id));
            self.leases.push(Held { lease, server: name, template });
        }
        Ok(())
    }

    pub(super) fn open(&mut self, key: ServiceKey, place: usize, activity: Activity) {
        let Some(&name) = self.kernel.list(&key).get(place) else {
            return;
        };
        let server =
            crate::server_id(&self.director, &key, self.kernel.object(name).server.address);
        let lease = self.worker().open(server.expect("it runs"), activity);
        self.leases.push(Held { lease: lease.expect("it runs"), server: name, template: None });
        self.kernel.open(&key, name, activity);
    }

    pub(super) fn update(&mut self, lease: usize, activity: Activity) {
        let count = self.leases.len();
        let worker = &self.workers[self.steps / 5 % 2];
        if let Some(Held { lease, server, .. }) = self.leases.get_mut(lease % count.max(1)) {
            if lease.activity() != Some(activity) {
                self.kernel.shift(*server, activity);
            }
            worker.update(lease, activity).expect("the lease is open");
        }
    }

    pub(super) fn close(&mut self, lease: usize) {
        let count = self.leases.len();
        if count > 0 {
            let Held { lease, server, template } = self.leases.swap_remove(lease % count);
            self.kernel.close(server, lease.activity().expect("an open lease"));
            self.worker().close(lease).expect("the lease is open");
            if let Some((key, client, id)) = template {
                self.kernel.let_go(&key, client, id);
            }
        }
    }
}

pub(super) fn activity(active: bool) -> Activity {
    if active { Activity::Active } else { Activity::Inactive }
}

/// A client's first packet to a service.
fn way(flow: &Flow) -> Way {
    let number = |address: Option<SocketAddr>| match address.map(|address| address.ip()) {
        Some(IpAddr::V4(ip)) => ip.to_bits(),
        _ => unreachable!("the flows here are IPv4"),
    };
    let (client, destination) = (number(flow.client()), number(flow.destination()));
    Way { client, destination, falls_back: false, chance: (0, 0) }
}

impl World {
    /// A flow to this service; one of some clients, for a mark one of three destinations
    /// (on the port of the servers: a persistent mark leaves a flow its own).
    fn flow(&self, key: &ServiceKey, udp: bool) -> Flow {
        let [.., a, b] = self.steps.to_be_bytes();
        let client = SocketAddr::from(([10, 9, a, b % 11], 40_000));
        let destination = match key {
            ServiceKey::Address { address, .. } => *address,
            _ => SocketAddr::from(([10, 8, 0, b % 3], 8080)),
        };
        if udp { Flow::udp(client, destination) } else { Flow::tcp(client, destination) }
    }
}
