//! Brings the kernel's IPVS to what a config wants.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use super::apply::{Progress, Report, Rollout, Status};
use super::error::Error;
use super::plan::{Drain, Ownership, Plan, PlanError, Policy, Removal, for_kernel, without_labels};
use super::wire::Info;
use super::{Kernel, Namespace, Options, Reading, Request};
use crate::config::{Config, ServiceKey};

/// How often [`Ipvs::sync`] plans before it reports that other programs interfere.
const ROUNDS: u32 = 5;

/// The IPVS of one network namespace: reads it, compares it with configs, and changes it accordingly.
///
/// Synchronous; `Send`, for one thread at a time. Dropping it leaves the kernel as it is.
///
/// ```no_run
/// use vsched::config::Config;
/// use vsched::netlink::Ipvs;
/// use vsched::netlink::plan::Policy;
/// let wanted: Config = "-A -t 10.0.0.1:80 -s wlc\n-a -t 10.0.0.1:80 -r 10.0.1.1 -m".parse()?;
/// let mut ipvs = Ipvs::open()?;
/// print!("{}", ipvs.plan(wanted.clone(), &Policy::default())?); // what would be done
/// print!("{}", ipvs.sync(wanted, &Policy::default())?); // what was done
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Ipvs {
    pub(super) kernel: Kernel,
}

impl Rollout {
    /// Continues as far as possible without waiting for connections to end. Errors are in the
    /// [report](Self::into_report).
    pub fn poll(&mut self, ipvs: &mut Ipvs) -> Progress {
        self.poll_on(ipvs.kernel())
    }
}

impl Ipvs {
    /// Connects to the IPVS of the calling thread's network namespace.
    ///
    /// # Errors
    /// [`Error::Absent`] if the kernel has no IPVS, else a system call that failed.
    pub fn open() -> Result<Self, Error> {
        Ok(Ipvs { kernel: Kernel::open()? })
    }

    /// Connects to the IPVS of another network namespace.
    ///
    /// # Errors
    /// [`Error::Namespace`] if it cannot be entered; as for [`open`](Self::open).
    pub fn open_in(namespace: Namespace) -> Result<Self, Error> {
        Ok(Ipvs { kernel: Kernel::open_in(namespace)? })
    }

    /// Connects as the options say.
    ///
    /// # Errors
    /// As for [`open_in`](Self::open_in).
    pub fn with_options(options: &Options) -> Result<Self, Error> {
        Ok(Ipvs { kernel: Kernel::with_options(options)? })
    }

    /// The connection itself, for single requests.
    pub fn kernel(&mut self) -> &mut Kernel {
        &mut self.kernel
    }

    /// Version and size of the connection table.
    ///
    /// # Errors
    /// A failed exchange; [`Cause::Permission`](super::Cause::Permission) without CAP_NET_ADMIN.
    pub fn info(&mut self) -> Result<Info, Error> {
        self.kernel.info()
    }

    /// What runs, with its figures.
    ///
    /// # Errors
    /// As for [`Kernel::read`].
    pub fn read(&mut self) -> Result<Reading, Error> {
        self.kernel.read()
    }

    /// Plans the steps from what runs to this config, and changes nothing. An empty plan means that the
    /// config runs; any other plan is the drift.
    ///
    /// # Errors
    /// [`SyncError::Kernel`] from reading; [`SyncError::Plan`] if the config breaks limits, says
    /// something that Linux does not have, or the plan would break a guardrail.
    pub fn plan(
        &mut self,
        wanted: impl Into<Arc<Config>>,
        policy: &Policy,
    ) -> Result<Plan, SyncError> {
        let wanted = for_kernel(wanted.into()).map_err(PlanError::from)?;
        let found = self.read()?.observed;
        Ok(Plan::of_valid(&wanted, &found, policy)?)
    }

    /// True if the config runs, our services have nothing else, and nothing drains: the same as an empty
    /// [`plan`](Self::plan), with a fraction of the reading. Stops at the first difference.
    ///
    /// # Errors
    /// As for [`read`](Self::read), without `Unsettled`.
    pub fn runs(&mut self, wanted: &Config, policy: &Policy) -> Result<bool, Error> {
        self.kernel.runs(&without_labels(wanted), policy)
    }

    /// Carries out a plan, and waits while servers drain; [`Rollout`] is the same without waiting.
    ///
    /// # Errors
    /// [`SyncError::Incomplete`] with the report: a step was refused or the exchange failed.
    pub fn apply(&mut self, plan: &Plan) -> Result<Report, SyncError> {
        self.carry_out(plan.clone())
    }

    fn carry_out(&mut self, plan: Plan) -> Result<Report, SyncError> {
        let mut rollout = Rollout::new(plan);
        while let Progress::Wait(time) = rollout.poll(self) {
            thread::sleep(time);
        }
        checked(rollout.into_report())
    }

    /// Reads, plans, carries out, and reads again, until the config runs. Waits while servers drain. If the
    /// config runs already, nothing is sent.
    ///
    /// If the process is killed at any moment, the next call continues from there: servers of weight 0
    /// that are not wanted drain, whichever program quiesced them.
    ///
    /// # Errors
    /// As for [`plan`](Self::plan) and [`apply`](Self::apply). If other programs interfere, it
    /// retries, five attempts in total; then it returns [`SyncError::Differs`].
    ///
    /// ```no_run
    /// use vsched::netlink::plan::Policy;
    /// use vsched::netlink::{Ipvs, SyncError};
    /// # let wanted = vsched::config::Config::default();
    /// match Ipvs::open()?.sync(wanted, &Policy::default()) {
    ///     Ok(report) => println!("{} requests", report.requests()),
    ///     Err(SyncError::Incomplete(report)) => eprint!("{report}"), // step by step
    ///     Err(error) => eprintln!("{error}"),
    /// }
    /// # Ok::<(), vsched::netlink::Error>(())
    /// ```
    pub fn sync(
        &mut self,
        wanted: impl Into<Arc<Config>>,
        policy: &Policy,
    ) -> Result<Report, SyncError> {
        let wanted = for_kernel(wanted.into()).map_err(PlanError::from)?;
        let mut whole = Report::default();
        let mut round = 0;
        loop {
            if self.kernel.runs(&wanted, policy)? {
                return Ok(whole);
            }
            round += 1;
            let found = match self.read() {
                Ok(reading) => reading.observed,
                Err(Error::Unsettled { .. }) if round <= ROUNDS => continue,
                Err(error) => return Err(error.into()),
            };
            let rest = Plan::of_valid(&wanted, &found, policy)?;
            if rest.is_empty() {
                return Ok(whole);
            }
            if round > ROUNDS {
                return Err(SyncError::Differs(Box::new(rest)));
            }
            whole = match self.carry_out(rest) {
                Ok(report) => whole.then(report),
                Err(SyncError::Incomplete(report)) if is_interference(&report) => {
                    whole.then(*report)
                }
                Err(SyncError::Incomplete(report)) => {
                    return Err(SyncError::Incomplete(Box::new(whole.then(*report))));
                }
                Err(error) => return Err(error),
            };
        }
    }

    /// Plans the removal of one server from a service: no new connections first; then, once its connections
    /// have ended or the deadline has passed, its deletion. The rest of the service stays as it is.
    ///
    /// # Errors
    /// As for [`plan`](Self::plan); also [`SyncError::Plan`] if it is the last eligible server. A server
    /// that does not exist yields an empty plan.
    pub fn plan_drain(
        &mut self,
        service: &ServiceKey,
        server: SocketAddr,
        drain: Drain,
    ) -> Result<Plan, SyncError> {
        let found = self.read()?.observed;
        let mut wanted = Config { services: found.config().services, ..Config::default() };
        wanted.services.retain(|found| found.key == *service);
        for service in &mut wanted.services {
            service.servers.retain(|found| found.address != server);
        }
        let removal = Removal::Drain(drain);
        let policy = Policy { ownership: Ownership::Wanted, removal, ..Policy::default() };
        Ok(Plan::new(wanted, &found, &policy)?)
    }

    /// Removes one server from a service: carries out [`plan_drain`](Self::plan_drain).
    ///
    /// # Errors
    /// As for [`plan_drain`](Self::plan_drain) and [`apply`](Self::apply).
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use vsched::netlink::plan::{Drain, Ended};
    /// let drain = Drain::default().with_deadline(Duration::from_secs(60)).with_until(Ended::Active);
    /// let service = "tcp 10.0.0.1:80".parse()?;
    /// print!("{}", vsched::netlink::Ipvs::open()?.drain(&service, "10.0.1.1:80".parse()?, drain)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn drain(
        &mut self,
        service: &ServiceKey,
        server: SocketAddr,
        drain: Drain,
    ) -> Result<Report, SyncError> {
        let plan = self.plan_drain(service, server, drain)?;
        self.carry_out(plan)
    }

    /// Sets the statistics of one service and its servers, or of all, to zero.
    ///
    /// # Errors
    /// [`Error::Refused`], such as for a service that does not exist; a failed exchange.
    pub fn zero(&mut self, service: Option<&ServiceKey>) -> Result<(), Error> {
        self.kernel.execute_one(&service.map_or_else(Request::zero, Request::zero_service))
    }
}

fn checked(report: Report) -> Result<Report, SyncError> {
    if report.is_complete() { Ok(report) } else { Err(SyncError::Incomplete(Box::new(report))) }
}

/// True if a retry from a new reading may succeed: the only failures are objects that other programs
/// added, edited or deleted in between. A server to which another program gave weight again is left alone.
fn is_interference(report: &Report) -> bool {
    use super::Cause::{Exists, NoDaemon, NoServer, NoService};
    report.error().is_none()
        && report.statuses().all(|status| status != Status::Kept)
        && report
            .refusals()
            .all(|refused| matches!(refused.cause(), Exists | NoDaemon | NoServer | NoService))
}

/// Why the config does not run.
#[derive(Debug)]
#[non_exhaustive]
pub enum SyncError {
    /// There is no plan: the config breaks limits, or the plan would break a guardrail. Nothing was sent.
    Plan(PlanError),
    /// Reading failed.
    Kernel(Error),
    /// A step was refused or an exchange failed: the report says which, and what was rolled back.
    Incomplete(Box<Report>),
    /// Other programs keep changing the same objects: this plan is what is missing now.
    Differs(Box<Plan>),
}

impl SyncError {
    /// The kernel's refusal that caused it, if there is one.
    pub fn refused(&self) -> Option<super::Refused> {
        match self {
            SyncError::Incomplete(report) => report.refusals().next(),
            SyncError::Kernel(Error::Refused(refused)) => Some(*refused),
            _ => None,
        }
    }
}

impl fmt::Display for SyncError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SyncError::Plan(error) => error.fmt(f),
            SyncError::Kernel(error) => error.fmt(f),
            SyncError::Incomplete(report) => {
                match (report.error(), report.refusals().next()) {
                    (Some(error), _) => error.fmt(f)?,
                    (None, Some(refused)) => refused.fmt(f)?,
                    (None, None) => f.write_str("others changed what was to be changed")?,
                }
                let left = report.left().count();
                match (report.is_rolled_back(), left) {
                    (true, 0) => f.write_str("; all that was done is taken back"),
                    (true, left) => write!(f, "; {left} steps could not be taken back"),
                    (false, _) => Ok(()),
                }
            }
            SyncError::Differs(plan) => {
                let steps = plan.steps().len();
                write!(f, "others change the same services: {steps} steps are still to be done")
            }
        }
    }
}

impl std::error::Error for SyncError {}

impl From<PlanError> for SyncError {
    fn from(error: PlanError) -> Self {
        SyncError::Plan(error)
    }
}

impl From<Error> for SyncError {
    fn from(error: Error) -> Self {
        SyncError::Kernel(error)
    }
}
