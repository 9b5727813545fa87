//! What the next pick would be, and why, without making it.
//!
//! The scheduler decides as for a pick, on copies of the rotation and of the draws. Only what would be
//! written for the flow (a template, an address in lblc's and lblcr's caches) has a form that reads.

use crate::config::{PickReason, ServiceKey};
use crate::error::Refused;
use crate::flow::Flow;
use crate::pool::endpoint::Pick;
use crate::pool::servers::Position;
use crate::sched::PickRequest;
use crate::service::Service;

/// The server that a client's template names.
pub(crate) struct NamedServer {
    pub(crate) pick: Pick,
    /// A pick would go there.
    pub(crate) usable: bool,
}

impl Service {
    /// The server that the client's template names, of this service or else of its twin, which `find`
    /// finds.
    pub(crate) fn named_server<'t>(
        &self,
        flow: &Flow,
        find: impl FnOnce(&ServiceKey) -> Option<&'t Service>,
    ) -> Option<NamedServer> {
        let persistence = self.persistence.as_ref()?;
        let mask = persistence.mask();
        let own = self.named_by_own(flow, mask);
        if own.as_ref().is_some_and(|named| named.usable) {
            return own;
        }
        let twin = persistence.twin().and_then(find);
        let by_twin = twin.and_then(|twin| twin.named_by_own(flow, mask));
        by_twin.filter(|named| named.usable).or(own)
    }

    fn named_by_own(&self, flow: &Flow, mask: u128) -> Option<NamedServer> {
        let persistence = self.persistence.as_ref()?;
        let client = persistence.client(flow, mask)?;
        let (position, usable) = persistence.named_server(client, &self.servers)?;
        Some(NamedServer { pick: self.servers.endpoint(position)?.pick(), usable })
    }

    /// The next pick for this flow by a caller without a worker, and why; `named` is the server of the
    /// client's template. `None` if a newer version has superseded this one, which the caller has read
    /// from the snapshot.
    pub(crate) fn explain(
        &self,
        flow: &Flow,
        named: Option<&NamedServer>,
    ) -> Option<Result<(Pick, PickReason), Refused>> {
        if !self.accepts(flow) {
            return Some(Err(Refused::NotScheduled));
        }
        let (mut pick, reason) = match named.filter(|named| named.usable) {
            Some(named) => (named.pick, PickReason::Template),
            None => {
                // As the first picker would, if the director has not done so yet.
                self.adopt_rotations();
                let (slot, rotation) = (self.slot.get().with_same_draws(), self.rotation.copy());
                let request = self.request(flow, &[], None, None);
                let request = PickRequest { slot: &slot, rotation: &rotation, ..request };
                let found = self.scheduler.explain(request).ok()?;
                let standby =
                    || Some((self.standby.pick(&self.servers, &[])?, PickReason::Standby));
                let found = found.or_else(standby);
                let endpoint =
                    |(position, reason)| Some((self.servers.endpoint(position)?, reason));
                let found = found.and_then(endpoint);
                let Some((endpoint, reason)) = found else {
                    return Some(Err(self.why_refused(&[])));
                };
                (endpoint.pick(), reason)
            }
        };
        self.set_port(&mut pick, flow);
        Some(Ok((pick, reason)))
    }

    /// The load of the server at this position, as the scheduler compares it. `None` if a weight of 0
    /// would divide it.
    pub(crate) fn load(&self, position: Position) -> Option<(u64, u32)> {
        let load = self.scheduler.load(self.servers.all_connections(position)?);
        load.filter(|(_, share)| *share > 0)
    }
}
