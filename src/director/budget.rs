//! The memory that a director may take, and what it takes.

use crate::config::{DIRECTOR, Excess, Memory, ResourceLimits, VirtualService};
use crate::director::control::Control;
use crate::error::{ConfigError, Problem};

pub(super) struct Budget {
    pub(super) limits: ResourceLimits,
    /// What all services take together, and the director.
    pub(super) taken: u64,
}

impl Budget {
    pub(super) fn new(limits: ResourceLimits) -> Self {
        Budget { limits, taken: DIRECTOR }
    }
}

impl Control {
    /// Whether there is memory for this service, new or edited, beside all others.
    pub(super) fn fits(
        &self,
        settings: &VirtualService,
        weights: impl ExactSizeIterator<Item = u32> + Clone,
    ) -> Result<(), ConfigError> {
        let memory = Memory::of(settings, weights);
        let key = settings.key;
        let former = self.find(&key).map_or(0, |live| live.memory);
        let total = self.budget.taken - former + memory.total();
        if memory.total() <= former || total <= self.budget.limits.memory {
            return Ok(());
        }
        let others = self.services.values().map(|live| &live.service);
        let others = others.filter(|service| service.key != key);
        let services = others.map(|it| (it, Memory::of_service(it))).chain([(settings, memory)]);
        let excess = Excess::of(total, self.budget.limits.memory, services).to_string();
        ConfigError::from_problems(vec![Problem::new("memory", excess)])
    }
}
