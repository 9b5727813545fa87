//! Compact steps: a new service or server is only an index into the config. Complete steps for ten thousand
//! new servers would take megabytes, and most of the time of planning.

use std::borrow::Cow;
use std::sync::Arc;

use super::kernel_view::kernel_view;
use super::{Action, Phase, Step};
use crate::config::diff::unbound;
use crate::config::{Config, ServiceKey, ServiceSettings, VirtualService};

pub(super) const WANTED: &str = "wanted";

/// The steps of a plan, in order.
#[derive(Debug, Clone, Default)]
pub struct Steps {
    wanted: Arc<Config>,
    list: Vec<StepRecord>,
    /// The index of each entry's first step.
    begins: Vec<u32>,
    length: usize,
}

/// One or several steps in compact form; services and servers by index.
#[derive(Debug, Clone)]
pub(super) enum StepRecord {
    /// Adds a service, then its servers, then its scheduler if it has one.
    New {
        service: u32,
    },
    /// Adds a server.
    Add {
        phase: Phase,
        service: u32,
        server: u32,
    },
    Whole(Box<Step>),
}

impl StepRecord {
    fn phase(&self) -> Phase {
        match self {
            StepRecord::New { .. } => Phase::NewServices,
            StepRecord::Add { phase, .. } => *phase,
            StepRecord::Whole(step) => step.phase,
        }
    }

    /// The step, unless the config determines it.
    pub(super) fn whole(&self) -> Option<&Step> {
        match self {
            StepRecord::New { .. } | StepRecord::Add { .. } => None,
            StepRecord::Whole(step) => Some(step),
        }
    }

    fn length(&self, wanted: &Config) -> usize {
        match self {
            StepRecord::New { service } => {
                wanted.services.get(*service as usize).map_or(0, |service| {
                    1 + service.servers.len() + usize::from(service.scheduler.is_some())
                })
            }
            StepRecord::Add { .. } | StepRecord::Whole(_) => 1,
        }
    }
}

impl Steps {
    /// Sorts by phase; the steps of one phase keep their order.
    pub(super) fn new(wanted: Arc<Config>, mut list: Vec<StepRecord>) -> Self {
        list.sort_by_key(StepRecord::phase);
        let mut length = 0;
        let begins = list.iter().map(|stored| {
            let begin = length as u32;
            length += stored.length(&wanted);
            begin
        });
        let begins = begins.collect();
        Steps { wanted, list, begins, length }
    }

    /// Keeps the order of the iterator.
    pub(in crate::netlink) fn from_steps(steps: impl Iterator<Item = Step>) -> Self {
        let list: Vec<StepRecord> = steps.map(|step| StepRecord::Whole(Box::new(step))).collect();
        let length = list.len();
        Steps { wanted: Arc::default(), list, begins: (0..length as u32).collect(), length }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.length
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The step at this index.
    pub fn get(&self, place: usize) -> Option<Cow<'_, Step>> {
        let (stored, place) = self.stored(place)?;
        match stored {
            StepRecord::Whole(step) => Some(Cow::Borrowed(step)),
            StepRecord::Add { phase, service, server } => {
                let service = self.wanted.services.get(*service as usize)?;
                added(*phase, service, *server as usize)
            }
            StepRecord::New { service } => {
                let service = self.wanted.services.get(*service as usize)?;
                match place.checked_sub(1) {
                    None => {
                        let action = Action::AddService(unbound(&kernel_view(service)));
                        Some(Cow::Owned(new(action, WANTED)))
                    }
                    Some(server) if server < service.servers.len() => {
                        added(Phase::NewServices, service, server)
                    }
                    // Bound when it has all servers: one step to activate it, and one table to build.
                    Some(_) => {
                        let service = kernel_view(service);
                        let before = ServiceSettings { scheduler: None, ..service.clone() };
                        let action = Action::EditService { before, service };
                        Some(Cow::Owned(new(action, "has its servers")))
                    }
                }
            }
        }
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Cow<'_, Step>> {
        (0..self.length).filter_map(|place| self.get(place))
    }

    pub(in crate::netlink) fn phase(&self, place: usize) -> Option<Phase> {
        self.stored(place).map(|(stored, _)| stored.phase())
    }

    /// All steps except additions of servers and the steps of new services.
    pub(in crate::netlink) fn others(&self) -> impl Iterator<Item = &Step> {
        self.list.iter().filter_map(StepRecord::whole)
    }

    /// The new services that get a scheduler once they have all servers.
    pub(in crate::netlink) fn bound(&self) -> impl Iterator<Item = ServiceKey> + '_ {
        let new = self.list.iter().filter_map(|stored| match stored {
            StepRecord::New { service } => self.wanted.services.get(*service as usize),
            StepRecord::Add { .. } | StepRecord::Whole(_) => None,
        });
        new.filter(|service| service.scheduler.is_some()).map(|service| service.key)
    }

    /// The entry that a step belongs to, and the step's index within it.
    fn stored(&self, place: usize) -> Option<(&StepRecord, usize)> {
        if place >= self.length {
            return None;
        }
        let entry = self.begins.partition_point(|begin| *begin as usize <= place).checked_sub(1)?;
        let begin = *self.begins.get(entry)? as usize;
        Some((self.list.get(entry)?, place - begin))
    }
}

fn new(action: Action, reason: &'static str) -> Step {
    Step { phase: Phase::NewServices, action, reason, risk: None }
}

fn added(phase: Phase, service: &VirtualService, server: usize) -> Option<Cow<'static, Step>> {
    let server = service.servers.get(server)?.clone();
    let action = Action::AddServer { service: service.key, server };
    Some(Cow::Owned(Step { phase, action, reason: WANTED, risk: None }))
}

impl PartialEq for Steps {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Steps {}
