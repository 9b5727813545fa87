//! The general path of a pick: retries, persistence, servers without a port, a newer table, a stale id.

use crate::arena::id::{ServerId, ServiceId};
use crate::config::ServiceKey;
use crate::error::Refused;
use crate::flow::Flow;
use crate::pool::endpoint::Pick;
use crate::rotation::version::Superseded;
use crate::service::Service;
use crate::worker::Worker;

/// How often a pick is repeated that found no server although one seems to be available. Bounded, lest
/// another thread that makes servers available and unavailable in turn holds it up.
const MOST_REPEATS: u32 = 100;

impl Worker {
    /// Every pick that the fast paths cannot make: retries, persistence, a newer table, a stale id, a new
    /// chunk. The id is a word so that the arguments fit registers.
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
        let table = self.reader.load();
        // Service deleted: do not count a refusal; the slot may be reused.
        let service = table.scheduling(id, flow)?;
        let worker = self.state().filter(|_| tried.is_empty());
        if let Some(endpoint) = service.redeem_chunk(worker) {
            return Ok(emit(endpoint.pick()));
        }
        let twin = |key: &ServiceKey| table.service_of(key);
        match service.pick_general(flow, tried, self.state(), None, twin) {
            Ok(Some(pick)) => return Ok(emit(pick)),
            Ok(None) => {
                if let Some(refused) = self.count_refusal(service, tried) {
                    return Err(refused);
                }
            }
            Err(Superseded) => {}
        }
        drop(table);
        self.pick_repeated(id, flow, tried).map(emit)
    }

    /// The end of a first pick that found no server: the reason, as of the current table, or another pick
    /// if a server is available by now, or if a reload has superseded the first.
    #[cold]
    #[inline(never)]
    pub(super) fn refuse<R>(
        &self,
        id: u64,
        flow: &Flow,
        emit: impl FnOnce(Pick) -> R,
        superseded: bool,
    ) -> Result<R, Refused> {
        let id = ServiceId::from_word(id);
        if !superseded {
            let table = self.reader.load();
            let Some(service) = table.service(id) else { return Err(Refused::NoService) };
            if let Some(refused) = self.count_refusal(service, &[]) {
                return Err(refused);
            }
        }
        self.pick_repeated(id, flow, &[]).map(emit)
    }

    /// Repeats a pick that a reload has superseded, or that found no server although one is available by
    /// now: each repetition but the last is another thread's progress. Apart from `pick_slow`, because a
    /// loop there costs every pick the registers.
    #[cold]
    #[inline(never)]
    fn pick_repeated(
        &self,
        id: ServiceId,
        flow: &Flow,
        tried: &[ServerId],
    ) -> Result<Pick, Refused> {
        let mut repeats = 0;
        loop {
            let table = self.reader.load();
            let service = table.scheduling(id, flow)?;
            let twin = |key: &ServiceKey| table.service_of(key);
            match service.pick_general(flow, tried, self.state(), None, twin) {
                Ok(Some(pick)) => return Ok(pick),
                Ok(None) if repeats == MOST_REPEATS => {
                    self.shard.count_refusal(id.slot);
                    return Err(Refused::NotThisFlow);
                }
                Ok(None) => self.count_refusal(service, tried).map_or(Ok(()), Err)?,
                Err(Superseded) => continue,
            }
            repeats += 1;
        }
    }

    /// Counts a refusal, and says why; `None` if a server is available by now.
    #[cold]
    #[inline(never)]
    fn count_refusal(&self, service: &Service, tried: &[ServerId]) -> Option<Refused> {
        let why = service.why_none(tried);
        if why.is_some() {
            self.shard.count_refusal(service.id.slot);
        }
        why
    }

    /// Whether a task need not wait for room in this service: there is some, or another reason to refuse
    /// than overload. `None` if all servers are overloaded. O(servers).
    pub(crate) fn room(&self, service: ServiceId) -> Option<Result<(), Refused>> {
        // SeqCst, in `load_latest`: pairs with the store in `Snapshot::publish`, after which the director
        // wakes.
        let table = self.reader.load_latest();
        let Some(compiled) = table.service(service) else { return Some(Err(Refused::NoService)) };
        match compiled.why_none(&[]) {
            Some(Refused::AllOverloaded) => None,
            None | Some(Refused::NotThisFlow) => Some(Ok(())),
            Some(other) => Some(Err(other)),
        }
    }
}
