//! What a new config may remove.

use std::collections::BTreeMap;

use ahash::HashSet;

use crate::config::diff::Change;
use crate::config::guardrails::is_open;
use crate::config::{Config, Guardrails, RealServer, ServiceKey, VirtualService};
use crate::director::control::Control;
use crate::error::{GuardrailError, ServiceLoss};

/// What a config passed to [`Director::apply_with`](crate::Director::apply_with) may remove.
///
/// The default is for configs from a file, or from any other source that can be emptied or truncated
/// by mistake: it refuses to remove more than half of the servers, or to leave a service without an
/// eligible server. [`Guardrails`] defines the rules.
///
/// ```
/// use vsched::config::Guardrails;
/// use vsched::{ApplyPolicy, Config, Director};
/// let rules = "-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.0.1.1\n-a -t 10.0.0.1:80 -r 10.0.1.2";
/// let director = Director::new(&rules.parse()?)?;
///
/// let emptied: Config = "".parse()?;
/// let refusal = director.apply_with(&emptied, &ApplyPolicy::default()).unwrap_err();
/// assert_eq!(
///     refusal.to_string(),
///     "2 of 2 servers (100 %) would be removed, at most 50 % may be; most_deleted 100 would \
///      allow it: service tcp 10.0.0.1:80 as a whole: 10.0.1.1:80, 10.0.1.2:80"
/// );
/// assert_eq!(director.config().services.len(), 1);
///
/// // Removing everything is intended: without guardrails, as in `Director::apply`.
/// director.apply_with(&emptied, &ApplyPolicy::new(Guardrails::OFF))?;
/// assert!(director.config().services.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApplyPolicy {
    /// How much the change may remove.
    pub guardrails: Guardrails,
}

impl ApplyPolicy {
    /// Returns a policy with these guardrails.
    pub const fn new(guardrails: Guardrails) -> Self {
        ApplyPolicy { guardrails }
    }
}

impl Default for ApplyPolicy {
    /// At most half of the servers may be removed, and no service may lose its last eligible server.
    fn default() -> Self {
        ApplyPolicy::new(Guardrails { may_close_services: false, most_deleted: 50 })
    }
}

/// Checks what these changes, which lead to `wanted`, remove. O(services + servers of changed
/// services), unless the guardrails are off.
pub(super) fn check(
    policy: &ApplyPolicy,
    control: &Control,
    wanted: &Config,
    changes: &[Change],
) -> Result<(), GuardrailError> {
    if policy.guardrails == Guardrails::OFF {
        return Ok(());
    }
    let (mut servers, mut shrunk) = (0, HashSet::default());
    for change in changes {
        match change {
            Change::DeleteServer { service, .. } => {
                servers += 1;
                shrunk.insert(*service);
            }
            Change::DeleteService(service) => servers += running(control, service).len(),
            Change::EditServer { service, server, .. } if server.weight == 0 => {
                shrunk.insert(*service);
            }
            _ => {}
        }
    }
    let closes = |service: &&VirtualService| {
        let key = &service.key;
        shrunk.contains(key) && !is_open(&service.servers) && is_open(running(control, key))
    };
    let closed = wanted.services.iter().filter(closes).map(|service| service.key);
    let of = control.services.values().map(|live| live.service.servers.len()).sum();
    policy.guardrails.check(closed, servers, of, || losses(control, changes))
}

fn running<'a>(control: &'a Control, service: &ServiceKey) -> &'a [RealServer] {
    control.find(service).map_or(&[], |live| &live.service.servers)
}

fn losses(control: &Control, changes: &[Change]) -> Vec<ServiceLoss> {
    let mut losses: BTreeMap<ServiceKey, ServiceLoss> = BTreeMap::new();
    for change in changes {
        let key = change.service();
        let new = || ServiceLoss { service: key.to_string(), servers: Vec::new(), removed: false };
        match change {
            Change::DeleteServer { server, .. } => {
                losses.entry(key).or_insert_with(new).servers.push(*server);
            }
            Change::DeleteService(_) => {
                let servers = running(control, &key).iter().map(|server| server.address);
                let loss = ServiceLoss { servers: servers.collect(), removed: true, ..new() };
                losses.insert(key, loss);
            }
            _ => {}
        }
    }
    losses.into_values().filter(|loss| !loss.servers.is_empty()).collect()
}
