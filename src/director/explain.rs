//! Which server the next pick would choose, and why.

use crate::arena::id::ServiceId;
use crate::config::RealServer;
use crate::director::Director;
use crate::director::allocator::SlotClaim;
use crate::director::control::Control;
use crate::director::explanation::{Bar, ExplainedPick, ExplainedServer, Explanation};
use crate::director::observe::View;
use crate::flow::Flow;

impl Director {
    /// Says which server the next pick of this flow would choose and why, or why none, with what decides
    /// for each server. Changes nothing: no rotation advances, nothing is counted, no template is made
    /// or renewed. `None` if the id is stale.
    ///
    /// The pick is the one that [`pick_server`](Self::pick_server) and, in services that are shared
    /// exactly, [`Worker::pick_server`](crate::Worker::pick_server) would return if nothing happened in
    /// between. In services that are shared `per-worker` each worker has a rotation, draws and, for lc,
    /// wlc, sed and nq, connections of its own, which are not looked at: the explanation is for a caller
    /// without a worker.
    ///
    /// Takes the director's lock, allocates; O(servers + templates), times the
    /// number of workers if they count connections by themselves.
    ///
    /// ```
    /// use vsched::config::PickReason;
    /// use vsched::{Config, Director, Flow, Holder, ServerState};
    /// let config: Config =
    ///     "-A -t 10.0.0.1:80 -s wlc\n-a -t 10.0.0.1:80 -r 10.0.1.1\n-a -t 10.0.0.1:80 -r 10.0.1.2"
    ///         .parse()?;
    /// let director = Director::new(&config)?;
    /// let service = director.service("tcp 10.0.0.1:80")?;
    /// let server = director.server(service, "10.0.1.2:80")?;
    /// let (checker, down) = (Holder::HealthChecker, ServerState::Down);
    /// director.set_state_because(server, checker, down, "no answer")?;
    /// let explanation = director.explain(service, &Flow::default()).expect("it runs");
    /// let next = explanation.pick.expect("one is up");
    /// assert_eq!((next.address, next.reason), ("10.0.1.1:80".parse()?, PickReason::LeastLoad));
    /// assert_eq!(
    ///     explanation.to_string(),
    ///     "tcp 10.0.0.1:80, wlc\n\
    ///      next: 10.0.1.1:80, the least load\n\
    ///      10.0.1.2:80: weight 1, 0 active, 0 inactive, load 0, down (health-checker: no answer)\n\
    ///      10.0.1.1:80: weight 1, 0 active, 0 inactive, load 0\n"
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn explain(&self, service: ServiceId, flow: &Flow) -> Option<Explanation> {
        // For the reasons of the holders; and nothing is published meanwhile.
        let control = self.inner.control.lock();
        self.view(|view| control.explanation(view, service, flow))
    }
}

impl Control {
    fn explanation(&self, view: &View<'_>, service: ServiceId, flow: &Flow) -> Option<Explanation> {
        let (record, compiled) = view.service(service)?;
        let named = compiled.named_server(flow, |key| view.table.service_of(key));
        let pick = compiled.explain(flow, named.as_ref());
        let key = record.service.key;
        let observed = view.observed(record, compiled).servers;
        // In list order, as observed.
        let claims = record.claims.iter().rev();
        let servers = (0..).zip(claims.zip(observed)).map(|(position, (claim, observed))| {
            let SlotClaim { id, .. } = *claim;
            let RealServer { address, weight, .. } = observed.server;
            ExplainedServer {
                id,
                address,
                weight,
                effective_weight: compiled.servers.weight(position),
                counts: observed.counts,
                state: observed.state,
                holds: self.holds(&key, (id, address)),
                health: observed.health,
                bar: Bar::of(compiled.servers.weight(position), &observed),
                load: compiled.load(position),
            }
        });
        Some(Explanation {
            service: key,
            scheduler: record.service.scheduler,
            sharing: record.service.sharing,
            template: named.map(|named| named.pick.address()),
            pick: pick.map(|(pick, reason)| ExplainedPick {
                server: pick.server(),
                address: pick.address(),
                reason,
            }),
            servers: servers.collect(),
        })
    }
}
