//! The general path of a pick: retries, persistence, servers without a port, a newer table, a stale id.

use crate::arena::id::{ServerId, ServiceId};
use crate::config::ServiceKey;
use crate::error::Refused;
use crate::flow::Flow;
use crate::pool::endpoint::Pick;
use crate::rotation::version::Superseded;
use crate::service::Service;
use crate::worker::Worker;

impl Worker {
    /// Every pick that the fast paths cannot make: retries, persistence, a newer table, a stale id. The
    /// id is a word so that the arguments fit registers.
    #[cold]
    #[inline(never)]
    pub(super) fn pick_slow<R>(
        &self,
        id: u64,
        flow: &Flow,
        emit: impl FnOnce(Pick) -> R,
        tried: &[ServerId],
    ) -> Result<R, Refused> {
        let id = ServiceId::from_word(id);
        let mut repeats = 0;
        // Each retry but the last is another thread's progress: a reload, or a server that became
        // available after the pick had passed it over.
        loop {
            let table = self.reader.load();
            // Service deleted: do not count a refusal; the slot may be reused.
            let Some(service) = table.service(id) else { return Err(Refused::NoService) };
            if !service.accepts(flow) {
                return Err(Refused::NotScheduled);
            }
            let twin = |key: &ServiceKey| table.service_of(key);
            match service.pick_general(flow, tried, self.state(), None, twin) {
                Ok(Some(pick)) => return Ok(emit(pick)),
                Ok(None) => match service.why_none(tried) {
                    None if repeats < MOST_REPEATS => repeats += 1,
                    why => {
                        self.shard.count_refusal(id.slot);
                        return Err(why.unwrap_or(Refused::NotThisFlow));
                    }
                },
                Err(Superseded) => {}
            }
        }
    }

    /// Counts a refusal of this service; `None` if a repeated pick would find a server.
    #[inline]
    pub(super) fn refuse(&self, service: &Service) -> Option<Refused> {
        let why = service.why_none(&[]);
        if why.is_some() {
            self.shard.count_refusal(service.id.slot);
        }
        why
    }
}

/// How often a pick is repeated that found no server although one seems to be available. Bounded, lest
/// another thread that makes servers available and unavailable in turn holds it up.
const MOST_REPEATS: u32 = 100;
