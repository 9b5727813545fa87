//! Steps in little room: of a server to be added only its place in the config is kept, so that a plan
//! for ten thousand new servers takes 160 KB instead of megabytes.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Action, Phase, Step};
use crate::config::Config;

pub(super) const WANTED: &str = "wanted";

/// The steps of a plan, in order.
#[derive(Debug, Clone, Default)]
pub struct Steps {
    wanted: Arc<Config>,
    list: Vec<Stored>,
}

/// A step as it is kept.
#[derive(Debug, Clone)]
pub(super) enum Stored {
    /// The addition of a server, by the places of its service and of itself.
    Add {
        phase: Phase,
        service: u32,
        server: u32,
    },
    Whole(Box<Step>),
}

impl Stored {
    fn phase(&self) -> Phase {
        match self {
            Stored::Add { phase, .. } => *phase,
            Stored::Whole(step) => step.phase,
        }
    }

    /// The step, unless it adds a server.
    pub(super) fn whole(&self) -> Option<&Step> {
        match self {
            Stored::Add { .. } => None,
            Stored::Whole(step) => Some(step),
        }
    }
}

impl Steps {
    /// Those of one phase keep their order.
    pub(super) fn new(wanted: Arc<Config>, mut list: Vec<Stored>) -> Self {
        list.sort_by_key(Stored::phase);
        Steps { wanted, list }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The step at this place.
    pub fn get(&self, place: usize) -> Option<Cow<'_, Step>> {
        self.step(self.list.get(place)?)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Cow<'_, Step>> {
        self.list.iter().filter_map(|stored| self.step(stored))
    }

    pub(in crate::netlink) fn phase(&self, place: usize) -> Option<Phase> {
        self.list.get(place).map(Stored::phase)
    }

    /// Those that are more than the addition of a server.
    pub(in crate::netlink) fn others(&self) -> impl Iterator<Item = &Step> {
        self.list.iter().filter_map(Stored::whole)
    }

    fn step<'s>(&'s self, stored: &'s Stored) -> Option<Cow<'s, Step>> {
        Some(match stored {
            Stored::Whole(step) => Cow::Borrowed(step),
            Stored::Add { phase, service, server } => {
                let service = self.wanted.services.get(*service as usize)?;
                let server = *service.servers.get(*server as usize)?;
                let action = Action::AddServer { service: service.service, server };
                Cow::Owned(Step { phase: *phase, action, reason: WANTED, risk: None })
            }
        })
    }
}

impl FromIterator<Step> for Steps {
    /// In the order in which they come.
    fn from_iter<I: IntoIterator<Item = Step>>(steps: I) -> Self {
        let list = steps.into_iter().map(|step| Stored::Whole(Box::new(step))).collect();
        Steps { wanted: Arc::default(), list }
    }
}

impl PartialEq for Steps {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Steps {}
