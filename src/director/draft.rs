//! A service while changes are carried out on it: nothing live is touched until all have succeeded.

use std::collections::HashMap;
use std::net::SocketAddr;

use crate::config::diff::Change;
use crate::config::{RealServer, VirtualService};
use crate::director::owners::Owner;
use crate::state::history::{Event, History};

pub(super) struct Draft {
    /// Place among the live services; `None` for a new one.
    pub(super) live: Option<usize>,
    /// `servers` is kept beside.
    pub(super) settings: VirtualService,
    pub(super) servers: Vec<Entry>,
    /// Newest entry of each address.
    places: HashMap<SocketAddr, usize>,
    pub(super) history: History,
    pub(super) deleted: bool,
}

/// A server of a draft. Its place is its number in the history.
pub(super) struct Entry {
    pub(super) server: RealServer,
    /// Its last weight that was not 0, or what it was added with: a kernel's mh goes by it.
    pub(super) last_weight: u32,
    /// `None` until it has a slot.
    pub(super) owner: Option<Owner>,
    /// Added or edited: its limits have to be set.
    pub(super) touched: bool,
    pub(super) gone: bool,
}

impl Draft {
    /// A new service.
    pub(super) fn new(settings: &VirtualService) -> Self {
        Draft {
            live: None,
            settings: settings.settings(),
            servers: Vec::new(),
            places: HashMap::new(),
            history: History { bound: true, ..History::default() },
            deleted: false,
        }
    }

    /// An existing service.
    pub(super) fn of(live: usize, service: &VirtualService, owners: &[Owner]) -> Self {
        let entry = |(server, owner): (&RealServer, &Owner)| Entry {
            server: *server,
            last_weight: owner.last_weight,
            owner: Some(*owner),
            touched: false,
            gone: false,
        };
        let mut draft = Draft {
            live: Some(live),
            settings: service.settings(),
            servers: service.servers.iter().zip(owners).map(entry).collect(),
            places: HashMap::new(),
            history: History::default(),
            deleted: false,
        };
        draft.number();
        draft
    }

    /// Numbers the servers that are there from 0 and forgets what happened before.
    fn number(&mut self) {
        let numbered = self.servers.iter().enumerate();
        self.places = numbered.map(|(number, entry)| (entry.server.address, number)).collect();
        self.history.start = self.servers.iter().map(|entry| entry.server.weight).collect();
        self.history.events.clear();
    }

    /// Carries out one change. Returns the owners of servers that are gone for good.
    pub(super) fn change(&mut self, change: &Change, gone: &mut Vec<(SocketAddr, Owner)>) {
        match change {
            Change::AddService(_) => {}
            Change::EditService(settings) => {
                let rebound = settings.scheduler != self.settings.scheduler;
                self.settings = settings.settings();
                if rebound {
                    self.bury(gone);
                    self.number();
                    self.history.bound = true;
                }
            }
            Change::DeleteService(_) => {
                self.deleted = true;
                for entry in &mut self.servers {
                    entry.gone = true;
                }
            }
            Change::AddServer { server, .. } => {
                let former = self.places.insert(server.address, self.servers.len());
                let former = former.and_then(|place| self.servers.get_mut(place));
                let owner = former.and_then(|entry| entry.owner.take());
                let (touched, gone) = (true, false);
                let (server, last_weight) = (*server, server.weight);
                self.servers.push(Entry { server, last_weight, owner, touched, gone });
                self.history.events.push(Event::Added { weight: server.weight });
            }
            Change::EditServer { server, .. } => {
                if let Some(&number) = self.places.get(&server.address) {
                    let entry = &mut self.servers[number];
                    entry.server = *server;
                    entry.touched = true;
                    if server.weight > 0 {
                        entry.last_weight = server.weight;
                    }
                    self.history.events.push(Event::Edited { number, weight: server.weight });
                }
            }
            Change::DeleteServer { server, .. } => {
                if let Some(&number) = self.places.get(server) {
                    self.servers[number].gone = true;
                    self.history.events.push(Event::Deleted { number });
                }
            }
        }
    }

    /// Drops the entries of servers that are gone and hands out their owners.
    pub(super) fn bury(&mut self, gone: &mut Vec<(SocketAddr, Owner)>) {
        self.servers.retain(|entry| {
            if let (true, Some(owner)) = (entry.gone, entry.owner) {
                gone.push((entry.server.address, owner));
            }
            !entry.gone
        });
    }
}
