//! Whether what is wanted runs.
//!
//! The services are read before and after their servers, cut at different places, and must be the same
//! both times. The servers of a service are read once. That is enough where [`Kernel::read`] has to
//! read twice, because what is expected is known: every server that a dump shows is there, so one that
//! shows exactly the wanted ones proves them all. What it could still hide is a server that nobody
//! wants: the dump goes on by counting from the head of the list, so it passes one over only if one of
//! those it has shown already, a wanted one, was deleted by somebody else at that very moment. Then what
//! is wanted did not run, and as little could be said of the moment after two dumps. A dump that shows
//! anything else proves nothing, and decides nothing: the caller reads properly.

use super::error::Error;
use super::kernel::Kernel;
use super::plan::{Plan, Policy, oldest_first};
use crate::config::diff;
use crate::config::{Config, Observed, ObservedService, RealServer, VirtualService};

impl Kernel {
    /// True if what is wanted runs; false if that is not so, or cannot be told by so little reading.
    ///
    /// # Errors
    /// A failed exchange.
    pub(super) fn runs(&mut self, wanted: &Config, policy: &Policy) -> Result<bool, Error> {
        let Some(before) = self.overview(0)? else { return Ok(false) };
        let mut services = wanted.services.iter().map(VirtualService::settings).collect();
        let mut empty = wanted.settings();
        std::mem::swap(&mut empty.services, &mut services);
        let same = Plan::of_valid(&empty.into(), &before, policy);
        if !same.is_ok_and(|plan| plan.is_empty()) {
            return Ok(false);
        }
        let mut found = Vec::new();
        for service in &wanted.services {
            if !self.has_servers(service, &mut found)? {
                return Ok(false);
            }
        }
        let after = self.overview(1)?;
        let settings = |observed: &Observed| {
            let of = |service: &ObservedService| service.settings.clone();
            (observed.settings.clone(), observed.services.iter().map(of).collect::<Vec<_>>())
        };
        Ok(after.is_some_and(|after| settings(&after) == settings(&before)))
    }

    fn has_servers(
        &mut self,
        wanted: &VirtualService,
        found: &mut Vec<RealServer>,
    ) -> Result<bool, Error> {
        match self.plain_servers(&wanted.service, found) {
            Ok(true) if found.len() == wanted.servers.len() => {}
            Ok(_) | Err(Error::Lost | Error::Wire(_)) => return Ok(false),
            Err(error) => return Err(error),
        }
        let mut same = true;
        let found = oldest_first(found.iter().copied(), wanted);
        diff::servers(&found, &wanted.servers, |_, _| same = false);
        Ok(same)
    }
}
