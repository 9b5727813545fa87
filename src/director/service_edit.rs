//! A service while changes are applied to it. No step here can fail.

use std::mem;
use std::net::SocketAddr;

use ahash::HashMap;

use crate::config::diff::Change;
use crate::config::{RealServer, ServiceSettings};
use crate::director::allocator::SlotClaim;
use crate::director::running::RunningService;
use crate::pool::history::{Event, History};
use crate::pool::servers::Member;

/// Number of linear searches before a hash table of all servers is built.
const FEW: u32 = 16;

pub(super) struct ServiceEdit {
    /// Number of the running service; `None` for a new service.
    pub(super) live: Option<u64>,
    pub(super) settings: ServiceSettings,
    /// Oldest first. Until [`compact`](ServiceEdit::compact), a server's index is its number in the
    /// history.
    pub(super) servers: Vec<RealServer>,
    /// Parallel to `servers`.
    pub(super) claims: Vec<SlotClaim>,
    /// Indices of added or edited servers, whose limits have to be set.
    touched: Vec<usize>,
    /// Indices of deleted servers.
    gone: Vec<usize>,
    /// Latest index of each address, once built.
    places: Option<HashMap<SocketAddr, usize>>,
    searches: u32,
    pub(super) history: History,
    pub(super) deleted: bool,
    /// Servers of a running service that begin to get connections: added, or no longer quiesced.
    pub(super) begun: Vec<SocketAddr>,
    /// The running version has other weights than the configured ones.
    was_shaped: bool,
    /// Parallel to `servers` once compact; `None`: as configured.
    effective: Option<Vec<u32>>,
}

impl ServiceEdit {
    /// An edit that creates a service.
    pub(super) fn new(settings: ServiceSettings) -> Self {
        ServiceEdit {
            live: None,
            settings,
            servers: Vec::new(),
            claims: Vec::new(),
            touched: Vec::new(),
            gone: Vec::new(),
            places: None,
            searches: 0,
            history: History { bound: true, ..History::default() },
            deleted: false,
            begun: Vec::new(),
            was_shaped: false,
            effective: None,
        }
    }

    /// An edit of a running service: of a copy of its lists, because the running ones may be read.
    pub(super) fn of(number: u64, live: &RunningService) -> Self {
        let servers = live.service.servers.clone();
        let mut start: Vec<u32> = live.compiled.servers.weights().collect();
        start.reverse();
        let is_configured = |(server, weight): (&RealServer, &u32)| server.weight == *weight;
        ServiceEdit {
            live: Some(number),
            was_shaped: !servers.iter().zip(&start).all(is_configured),
            servers,
            claims: live.claims.clone(),
            history: History { start, ..History::default() },
            ..ServiceEdit::new(live.service.settings())
        }
    }

    /// Starts the history again, with the present servers numbered from 0.
    fn number(&mut self) {
        (self.places, self.searches) = (None, 0);
        self.history.start = self.servers.iter().map(|server| server.weight).collect();
        self.history.events.clear();
    }

    fn find(&mut self, address: SocketAddr) -> Option<usize> {
        if self.places.is_none() && self.searches < FEW {
            self.searches += 1;
            return self.servers.iter().rposition(|server| server.address == address);
        }
        let numbered = || self.servers.iter().enumerate();
        let table = || numbered().map(|(number, server)| (server.address, number)).collect();
        self.places.get_or_insert_with(table).get(&address).copied()
    }

    /// Applies one change. Appends the claims of servers that are finally removed to `gone`.
    pub(super) fn change(&mut self, change: &Change, gone: &mut Vec<(SocketAddr, SlotClaim)>) {
        match change {
            Change::AddService(_) => {}
            Change::EditService(settings) => {
                let rebound = settings.scheduler != self.settings.scheduler;
                self.settings = settings.clone();
                if rebound {
                    self.compact(gone);
                    self.number();
                    self.history.bound = true;
                }
            }
            Change::DeleteService(_) => {
                self.deleted = true;
                self.gone = (0..self.servers.len()).collect();
            }
            Change::AddServer { server, .. } => {
                // An added server is in the list only if these same changes deleted it.
                let former = if self.gone.is_empty() { None } else { self.find(server.address) };
                let claim = former.map_or(SlotClaim::NONE, |former| {
                    mem::replace(&mut self.claims[former], SlotClaim::NONE)
                });
                if self.live.is_some() && former.is_none() {
                    self.begun.push(server.address);
                }
                let number = self.servers.len();
                if let Some(places) = &mut self.places {
                    places.insert(server.address, number);
                }
                self.servers.push(server.clone());
                self.claims.push(SlotClaim { last_weight: server.weight, ..claim });
                self.touched.push(number);
                self.history.events.push(Event::Added { weight: server.weight });
            }
            Change::EditServer { server, .. } => {
                if let Some(number) = self.find(server.address) {
                    if self.live.is_some() && self.servers[number].weight == 0 {
                        self.begun.push(server.address);
                    }
                    let before = mem::replace(&mut self.servers[number], server.clone());
                    self.touched.push(number);
                    if server.weight > 0 {
                        self.claims[number].last_weight = server.weight;
                    }
                    // To a kernel, another name or other user data is no edit.
                    if before == *server || !before.equal_but_labels(server) {
                        self.history.events.push(Event::Edited { number, weight: server.weight });
                    }
                }
            }
            Change::DeleteServer { server, .. } => {
                if let Some(number) = self.find(*server) {
                    self.gone.push(number);
                    self.history.events.push(Event::Deleted { number });
                }
            }
        }
    }

    /// Drops deleted servers and appends their claims to `buried`. From here on, numbers in the history
    /// are not indices.
    pub(super) fn compact(&mut self, buried: &mut Vec<(SocketAddr, SlotClaim)>) {
        let mut gone = mem::take(&mut self.gone);
        gone.sort_unstable();
        gone.dedup();
        if gone.is_empty() {
            return;
        }
        let left = gone.iter().map(|number| (self.servers[*number].address, self.claims[*number]));
        buried.extend(left.filter(|(_, claim)| claim.has_slot()));
        drop_at(&mut self.servers, &gone);
        drop_at(&mut self.claims, &gone);
        self.touched.retain(|number| gone.binary_search(number).is_err());
        for number in &mut self.touched {
            *number -= gone.partition_point(|gone| gone < number);
        }
    }

    /// The servers that remain, before [`compact`](Self::compact), with their numbers.
    pub(super) fn remaining(&self) -> impl Iterator<Item = (usize, &RealServer, &SlotClaim)> {
        let mut gone = self.gone.clone();
        gone.sort_unstable();
        let listed = self.servers.iter().zip(&self.claims).enumerate();
        let listed = listed.map(|(number, (server, claim))| (number, server, claim));
        listed.filter(move |(number, ..)| gone.binary_search(number).is_err())
    }

    /// Gives the remaining servers these weights, or if there are none the configured ones. Before
    /// [`compact`](Self::compact), as the last change.
    pub(super) fn reshape(&mut self, weights: Option<Vec<u32>>) {
        if weights.is_none() && !self.was_shaped {
            return;
        }
        let mut listed = self.history.start.clone();
        for event in &self.history.events {
            match *event {
                Event::Added { weight } => listed.push(weight),
                Event::Edited { number, weight } => listed[number] = weight,
                Event::Deleted { .. } => {}
            }
        }
        let mut edits = Vec::new();
        for (place, (number, server, _)) in self.remaining().enumerate() {
            let weight = weights.as_ref().map_or(server.weight, |weights| weights[place]);
            if listed[number] != weight {
                edits.push(Event::Edited { number, weight });
            }
        }
        self.history.events.append(&mut edits);
        self.effective = weights;
    }

    /// Replaces the claim of every added or edited server by the result of `assign`. After
    /// [`compact`](Self::compact).
    pub(super) fn assign_slots(
        &mut self,
        mut assign: impl FnMut(&RealServer, SlotClaim) -> SlotClaim,
    ) {
        for number in mem::take(&mut self.touched) {
            let claim = self.claims[number];
            let settled = assign(&self.servers[number], claim);
            self.claims[number] = SlotClaim { last_weight: claim.last_weight, ..settled };
        }
    }

    /// The servers in list order: newest first.
    pub(super) fn members(&self) -> Vec<Member> {
        let newest_first = self.servers.iter().zip(&self.claims).enumerate().rev();
        let member = |(place, (server, claim)): (usize, (&RealServer, &SlotClaim))| {
            let effective = self.effective.as_ref().map_or(server.weight, |weights| weights[place]);
            Member {
                id: claim.id,
                server: RealServer { weight: effective, name: None, ..*server },
                last_weight: claim.last_weight,
                standby: if effective == 0 { server.weight } else { 0 },
            }
        };
        newest_first.map(member).collect()
    }
}

/// Removes the elements at these indices, which are sorted.
fn drop_at<T>(list: &mut Vec<T>, places: &[usize]) {
    let (mut place, mut gone) = (0.., places.iter().copied().peekable());
    list.retain(|_| {
        let place = place.next();
        gone.next_if(|gone| Some(*gone) == place).is_none()
    });
}
