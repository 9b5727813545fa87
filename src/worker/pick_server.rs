//! Picks that open no connection.

#[cfg(feature = "capi")]
use std::mem::MaybeUninit;

use crate::arena::id::{ServerId, ServiceId};
use crate::error::Refused;
use crate::flow::Flow;
use crate::pool::endpoint::Pick;
use crate::worker::Worker;

impl Worker {
    /// Picks a server of the service for this flow: a decision only, no connection is counted.
    ///
    /// A rotation advances by one step. The cost is the scheduler's; see
    /// [`SchedulerKind::cost`](crate::SchedulerKind::cost). A refusal costs O(servers) more: it says which
    /// step left no server, as of the config that the pick used.
    ///
    /// A TCP service of port 21 without persistence refuses a flow to another port of its address (an FTP
    /// data connection), and its rotation does not advance: the kernel lets such packets pass.
    ///
    /// # Errors
    /// [`NoService`](Refused::NoService) if the id is stale; the other reasons if the service has no
    /// server or no scheduler, or if all its servers are quiesced, down or overloaded.
    ///
    /// ```
    /// # use vsched::{Config, Director, Flow, Refused};
    /// # let config: Config = "-A -t 10.0.0.1:80".parse()?;
    /// # let director = Director::new(&config)?;
    /// # let (worker, service) = (director.worker(), director.service("tcp 10.0.0.1:80")?);
    /// # let flow = Flow::default();
    /// assert_eq!(worker.pick_server(service, &flow), Err(Refused::NoServer));
    /// director.apply(&Config::default())?;
    /// assert_eq!(worker.pick_server(service, &flow), Err(Refused::NoService));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn pick_server(&self, service: ServiceId, flow: &Flow) -> Result<Pick, Refused> {
        self.pick(service, flow, &[], |pick| pick)
    }

    /// Picks among the servers that are not in `tried`: for the next attempt after one has failed.
    ///
    /// If `tried` is empty, this is [`pick_server`](Self::pick_server). Otherwise rr and wrr use a
    /// separate rotation for retries, so that a retry does not move the start of the next request and
    /// the load of a failed server spreads over all others. The cost grows with the length of `tried`.
    ///
    /// # Errors
    /// As for [`pick_server`](Self::pick_server), and [`AllTried`](Refused::AllTried) if all available
    /// servers are in `tried`.
    ///
    /// ```
    /// # use vsched::{Config, Director, Flow, Refused, Tried};
    /// # let config: Config =
    /// #     "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.1.1\n-a -t 10.0.0.1:80 -r 10.0.1.2"
    /// #         .parse()?;
    /// # let director = Director::new(&config)?;
    /// # let (worker, service) = (director.worker(), director.service("tcp 10.0.0.1:80")?);
    /// # let flow = Flow::default();
    /// # let reach = |_: std::net::SocketAddr| false;
    /// // At most as many attempts as `Tried` has room for, and none to a server twice.
    /// let mut tried = Tried::<3>::new();
    /// let end = loop {
    ///     match worker.pick_server_excluding(service, &flow, tried.as_slice()) {
    ///         Ok(pick) if reach(pick.address()) || tried.try_push(pick.server()).is_err() => break Ok(pick),
    ///         Ok(_) => {}
    ///         Err(refused) => break Err(refused),
    ///     }
    /// };
    /// assert_eq!(end, Err(Refused::AllTried));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pick_server_excluding(
        &self,
        service: ServiceId,
        flow: &Flow,
        tried: &[ServerId],
    ) -> Result<Pick, Refused> {
        self.pick(service, flow, tried, |pick| pick)
    }

    /// Like [`pick_server_excluding`](Self::pick_server_excluding), but writes the pick to `to`, which is
    /// initialized if the result is `Ok`. This saves one copy of the pick.
    #[cfg(feature = "capi")]
    #[inline(always)]
    pub(crate) fn pick_into(
        &self,
        service: ServiceId,
        flow: &Flow,
        tried: &[ServerId],
        to: &mut MaybeUninit<Pick>,
    ) -> Result<(), Refused> {
        self.pick(service, flow, tried, |pick| _ = to.write(pick))
    }
}
