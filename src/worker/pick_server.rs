//! Picks that open no connection.

use std::mem::MaybeUninit;

use crate::arena::id::{ServerId, ServiceId};
use crate::error::Refused;
use crate::flow::Flow;
use crate::pool::endpoint::Pick;
use crate::worker::Worker;

impl Worker {
    /// Picks a server of the service for this flow: a decision only, no connection is counted.
    ///
    /// Returns `None` if the id is stale, the service has no server or no scheduler, or all its servers
    /// are quiesced or overloaded; [`try_pick_server`](Self::try_pick_server) tells the first case from
    /// the others. A rotation advances by one step. The cost is the scheduler's; see
    /// [`SchedulerKind::cost`](crate::SchedulerKind::cost).
    ///
    /// A TCP service of port 21 without persistence returns `None` for a flow to another port of its
    /// address (an FTP data connection), and its rotation does not advance: the kernel lets such
    /// packets pass.
    #[inline]
    pub fn pick_server(&self, service: ServiceId, flow: &Flow) -> Option<Pick> {
        self.pick(service, flow, &[], |pick| pick)
    }

    /// Picks among the servers that are not in `tried`: for the next attempt after one has failed.
    ///
    /// If `tried` is empty, this is [`pick_server`](Self::pick_server). Otherwise rr and wrr use a
    /// separate rotation for retries, so that a retry does not move the start of the next request and
    /// the load of a failed server spreads over all others. Returns `None` also if all available
    /// servers are in `tried`. The cost grows with the length of `tried`.
    ///
    /// ```
    /// # use vsched::{Config, Director, Flow, Tried};
    /// # let config: Config =
    /// #     "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.1.1\n-a -t 10.0.0.1:80 -r 10.0.1.2"
    /// #         .parse()?;
    /// # let director = Director::new(&config)?;
    /// # let (worker, service) = (director.worker(), director.service("tcp 10.0.0.1:80")?);
    /// # let flow = Flow::default();
    /// # let reach = |_: std::net::SocketAddr| false;
    /// // At most as many attempts as `Tried` has room for, and none to a server twice.
    /// let mut tried = Tried::<3>::new();
    /// while let Some(pick) = worker.pick_server_excluding(service, &flow, tried.as_slice()) {
    ///     if reach(pick.address()) || tried.try_push(pick.server()).is_err() {
    ///         break;
    ///     }
    /// }
    /// assert_eq!(tried.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pick_server_excluding(
        &self,
        service: ServiceId,
        flow: &Flow,
        tried: &[ServerId],
    ) -> Option<Pick> {
        self.pick(service, flow, tried, |pick| pick)
    }

    /// Like [`pick_server_excluding`](Self::pick_server_excluding), but returns the reason if there
    /// is no server, as of the same config that the pick used.
    ///
    /// # Errors
    /// [`NoService`](Refused::NoService) if the id is stale, [`NoServer`](Refused::NoServer) in all
    /// other cases in which [`pick_server_excluding`](Self::pick_server_excluding) returns `None`.
    ///
    /// ```
    /// # use vsched::{Config, Director, Flow, Refused};
    /// # let config: Config = "-A -t 10.0.0.1:80".parse()?;
    /// # let director = Director::new(&config)?;
    /// # let (worker, service) = (director.worker(), director.service("tcp 10.0.0.1:80")?);
    /// # let flow = Flow::default();
    /// assert_eq!(worker.try_pick_server(service, &flow, &[]), Err(Refused::NoServer));
    /// director.apply(&Config::default())?;
    /// assert_eq!(worker.try_pick_server(service, &flow, &[]), Err(Refused::NoService));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_pick_server(
        &self,
        service: ServiceId,
        flow: &Flow,
        tried: &[ServerId],
    ) -> Result<Pick, Refused> {
        self.pick(service, flow, tried, |pick| pick)
    }

    /// Like [`try_pick_server`](Self::try_pick_server), but writes the pick to `to`, which is
    /// initialized if the result is `Ok`. This saves one copy of the pick.
    ///
    /// # Errors
    /// As for [`try_pick_server`](Self::try_pick_server); nothing is written then.
    #[inline(always)]
    pub fn pick_into(
        &self,
        service: ServiceId,
        flow: &Flow,
        tried: &[ServerId],
        to: &mut MaybeUninit<Pick>,
    ) -> Result<(), Refused> {
        self.pick(service, flow, tried, |pick| _ = to.write(pick))
    }
}
