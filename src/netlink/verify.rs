//! Checks whether a config runs.
//!
//! The services are read before and after their servers, split at different places, and must be the same
//! both times. The servers of a service are read once. That suffices where [`Kernel::read`] has to read
//! twice, because the expected result is known.
//!
//! IPv4 servers are listed through socket options, where the kernel has them: one call per service, each
//! consistent. Such a list cannot show servers of another family; the total number of servers, read once
//! everything is listed, reveals them. All other services are dumped over netlink, in several steps. Every
//! server that a dump shows exists, so a dump that shows exactly the wanted servers proves them all.
//!
//! One race remains: another program deletes a wanted server during the check, after it was shown, and adds
//! it again. Then an unwanted server may stay hidden until the next check: a dump continues by counting from
//! the head of the list and skips it, and in the total it takes the place of the deleted server. At that
//! moment the config did not run either. Two dumps would miss it too, if this happened during both.
//!
//! Any other result proves nothing and decides nothing: then the caller reads everything.

use super::error::Error;
use super::kernel::Kernel;
use super::plan::{Plan, Policy, oldest_first};
use super::sockopt::Lists;
use crate::config::{
    Config, Observed, RealServer, ServiceKey, ServiceSettings, Settings, VirtualService, diff,
};

impl Kernel {
    /// True if the config runs; false if it does not, or if this check cannot tell.
    ///
    /// # Errors
    /// A failed exchange.
    pub(super) fn runs(&mut self, wanted: &Config, policy: &Policy) -> Result<bool, Error> {
        let Some(before) = self.overview(0)? else { return Ok(false) };
        if before.services.len() < wanted.services.len() {
            return Ok(false);
        }
        let empty = |service: &VirtualService| service.settings().with_servers(Vec::new());
        let services = wanted.services.iter().map(empty).collect();
        let same =
            Plan::of_valid(&wanted.settings().with_services(services).into(), &before, policy);
        if !same.is_ok_and(|plan| plan.is_empty()) {
            return Ok(false);
        }
        let before = settings(before);
        let (mut found, mut listed) = (Vec::new(), Vec::new());
        for service in &wanted.services {
            let whole = match self.list_servers(service, &mut found) {
                Some(whole) => {
                    listed.push((service.key, service.servers.len()));
                    whole
                }
                None => self.dump_plainly(&service.key, &mut found)?,
            };
            if !whole || !same_servers(&found, service) {
                return Ok(false);
            }
        }
        match self.are_all(listed, before.1.len()) {
            Some(true) => {}
            Some(false) => return Ok(false),
            // From now on, use only dumps.
            None => return self.runs(wanted, policy),
        }
        let after = self.overview(1)?.map(settings);
        Ok(after.is_some_and(|after| after == before))
    }

    /// Lists the servers, unless there are more than wanted. `None` if they cannot be listed.
    fn list_servers(
        &mut self,
        wanted: &VirtualService,
        found: &mut Vec<RealServer>,
    ) -> Option<bool> {
        let lists = self.lists.as_mut().filter(|_| Lists::know(wanted))?;
        match lists.servers(&wanted.key, wanted.servers.len(), found) {
            Ok(whole) => Some(whole),
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Some(false),
            Err(_) => {
                self.lists = None;
                None
            }
        }
    }

    fn dump_plainly(
        &mut self,
        key: &ServiceKey,
        found: &mut Vec<RealServer>,
    ) -> Result<bool, Error> {
        match self.plain_servers(key, found) {
            Err(Error::Lost | Error::Wire(_)) => Ok(false),
            dumped => dumped,
        }
    }

    /// True if these services have exactly this many servers; `services` is the number of services. `None`
    /// if that cannot be read.
    fn are_all(&mut self, mut listed: Vec<(ServiceKey, usize)>, services: usize) -> Option<bool> {
        if listed.is_empty() {
            return Some(true);
        }
        let Some(Ok(mut numbers)) = self.lists.as_mut().map(|lists| lists.numbers(services)) else {
            self.lists = None;
            return None;
        };
        numbers.sort_unstable();
        listed.sort_unstable();
        Some(listed.iter().all(|service| numbers.binary_search(service).is_ok()))
    }
}

/// Everything except the statistics.
fn settings(observed: Observed) -> (Settings, Vec<ServiceSettings>) {
    let services = observed.services.into_iter().map(|service| service.settings);
    (observed.settings, services.collect())
}

fn same_servers(found: &[RealServer], wanted: &VirtualService) -> bool {
    if found.len() != wanted.servers.len() {
        return false;
    }
    let mut same = true;
    let found = oldest_first(found.iter().cloned(), wanted);
    diff::servers(&found, &wanted.servers, |_, _| same = false);
    same
}
