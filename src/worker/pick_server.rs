//! The picks that count nothing.

use std::mem::MaybeUninit;

use crate::arena::id::{ServerId, ServiceId};
use crate::error::Refused;
use crate::flow::Flow;
use crate::pool::endpoint::Pick;
use crate::worker::Worker;

impl Worker {
    /// Chooses a server of the service for this flow: a decision only, nothing is counted.
    ///
    /// `None` if the id is stale, the service has no server or no scheduler, or all its servers are
    /// quiesced or overloaded; [`try_pick_server`](Self::try_pick_server) tells the first from the
    /// rest. Rotations advance by one turn. The cost is the scheduler's; see
    /// [`SchedulerKind::cost`](crate::SchedulerKind::cost).
    ///
    /// A TCP service of port 21 without persistence answers `None` to a flow to another port of its
    /// address, an FTP data connection, and its rotation does not advance: the kernel lets such
    /// packets pass.
    #[inline]
    pub fn pick_server(&self, service: ServiceId, flow: &Flow) -> Option<Pick> {
        self.pick(service, flow, &[], |pick| pick)
    }

    /// Chooses among the servers that were not tried; for the next attempt after one has failed.
    ///
    /// As [`pick_server`](Self::pick_server) if nothing was tried. Otherwise rr and wrr turn a
    /// rotation of their own for retries: these do not decide where the next request begins, and
    /// the load of a dead server spreads over all others.
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
    /// while let Some(pick) = worker.pick_server_excluding(service, &flow, &tried) {
    ///     if reach(pick.address()) || !tried.insert(pick.server()) {
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

    /// As [`pick_server_excluding`](Self::pick_server_excluding), and says why there is no server, by
    /// the same table that the pick went by.
    ///
    /// # Errors
    /// [`NoService`](Refused::NoService) if the id is stale, [`NoServer`](Refused::NoServer) for all
    /// other reasons for which [`pick_server`](Self::pick_server) answers `None`.
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

    /// As [`try_pick_server`](Self::try_pick_server), into memory of the host's, which is written if
    /// the answer is `Ok`. It saves a copy of 48 bytes.
    ///
    /// # Errors
    /// As [`try_pick_server`](Self::try_pick_server); nothing was written then.
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
