//! Checks that a service fits into the memory that the director may use.

use super::Control;
use crate::config::{Excess, Memory, VirtualService};
use crate::error::{ConfigError, Problem};

impl Control {
    /// Checks that there is memory for this service, new or edited, in addition to all others. O(1) in
    /// the number of services unless it fails.
    pub(in crate::director) fn fits<S>(
        &self,
        settings: &VirtualService<S>,
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
        let services = others.map(|it| (it.key, Memory::of_service(it))).chain([(key, memory)]);
        let excess = Excess::of(total, self.budget.limits.memory, services).to_string();
        ConfigError::from_problems(vec![Problem::new("memory", excess)])
    }
}
