//! Which server the next pick would choose, and why.

use crate::arena::id::ServiceId;
use crate::config::{ObservedServer, ObservedService, RealServer};
use crate::director::Director;
use crate::director::allocator::SlotClaim;
use crate::director::explanation::{Bar, ExplainedPick, ExplainedServer, Explanation};
use crate::director::observe::View;
use crate::director::record::ServiceRecord;
use crate::director::roster::Roster;
use crate::flow::Flow;
use crate::service::Service;

impl Director {
    /// Says which server the next pick of this flow would choose and why, or why none, with what decides
    /// for each server. Changes nothing: no rotation advances, nothing is counted, no template is made
    /// or renewed. `None` if the id is stale.
    ///
    /// The pick is the one that [`pick_server`](Self::pick_server) and, in services that are shared
    /// exactly, [`Worker::pick_server`](crate::Worker::pick_server) would return if nothing happened in
    /// between. In services that are shared `per-worker` each worker has a rotation, draws and, for lc,
    /// wlc, sed and nq, connections of its own, and in services that are shared in chunks it has turns that
    /// it has taken. These are not looked at: the explanation is for a caller without a worker.
    ///
    /// Lock-free, allocates; O(servers + templates), times the number of workers if they count
    /// connections by themselves. The servers and their weights are those of one
    /// published config, and a server's state is what its holds come to. What changes during the call, as
    /// connections do, may be seen in part: the pick may be of before a change, and a server's line of
    /// after it.
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
        loop {
            let explained = self.view_with_roster(|view, roster| {
                let Some((record, compiled)) = view.service(service) else { return Some(None) };
                let named = compiled.named_server(flow, |key| view.table.service_of(key));
                let pick = compiled.explain(flow, named.as_ref())?;
                let servers = explained_servers(view, roster, (record, compiled));
                Some(Some(Explanation {
                    service: record.service.key,
                    scheduler: record.service.scheduler,
                    sharing: record.service.sharing,
                    template: named.map(|named| named.pick.address()),
                    pick: pick.map(|(pick, reason)| ExplainedPick {
                        server: pick.server(),
                        address: pick.address(),
                        reason,
                    }),
                    servers,
                }))
            });
            // Repeated only if a newer table was published meanwhile.
            if let Some(explained) = explained {
                return explained;
            }
        }
    }
}

fn explained_servers(
    view: &View<'_>,
    roster: &Roster,
    (record, compiled): (&ServiceRecord, &Service),
) -> Vec<ExplainedServer> {
    let key = record.service.key;
    let ObservedService { servers, panics, .. } = view.observed(record, compiled);
    // In list order, as observed.
    let claims = record.claims.iter().rev();
    let explained = |(position, (claim, mut observed)): (_, (&SlotClaim, ObservedServer))| {
        let RealServer { address, weight, .. } = observed.server;
        let holds = roster.holds(&key, address, observed.health.ejected);
        // Not as observed: state and holds are of the same moment.
        observed.state = roster.state(&key, address, (&holds, panics));
        observed.health.state = observed.state;
        let effective_weight = compiled.servers.weight(position);
        ExplainedServer {
            id: claim.id,
            address,
            weight,
            effective_weight,
            counts: observed.counts,
            state: observed.state,
            holds,
            bar: Bar::of(effective_weight, &observed),
            health: observed.health,
            load: compiled.load(position),
        }
    };
    (0..).zip(claims.zip(servers)).map(explained).collect()
}
