//! A config and a service as a kernel sees them.

use std::borrow::Cow;
use std::sync::Arc;

use crate::config::{
    Affinity, Config, DEFAULT_MH_TABLE_INDEX, Netmask, Persistence, RealServer, ServiceSettings,
    Sharing, VirtualService,
};
use crate::error::ConfigError;

/// The settings of a service that a kernel can store and report.
pub(in crate::netlink) fn kernel_view<S>(service: &VirtualService<S>) -> ServiceSettings {
    let persistence = service.persistence.map(|persistence| Persistence {
        netmask: persistence.netmask.filter(|mask| match mask {
            Netmask::Inet(mask) => mask.to_bits() != u32::MAX,
            Netmask::Inet6(prefix) => *prefix != 128,
        }),
        ..persistence
    });
    ServiceSettings {
        persistence,
        mh_table_index: DEFAULT_MH_TABLE_INDEX,
        affinity: Affinity::default(),
        sharing: Sharing::Exact,
        name: None,
        ..service.settings()
    }
}

/// A config that a kernel can run, without what is for the host alone: names and user data of servers.
///
/// # Errors
/// It breaks limits, or says something that Linux does not have.
pub(in crate::netlink) fn for_kernel(config: Arc<Config>) -> Result<Arc<Config>, ConfigError> {
    config.validate_for_kernel()?;
    Ok(match without_labels(&config) {
        Cow::Borrowed(_) => config,
        Cow::Owned(bare) => bare.into(),
    })
}

/// The config without names and user data of servers.
pub(in crate::netlink) fn without_labels(config: &Config) -> Cow<'_, Config> {
    let labeled = |server: &RealServer| server.name.is_some() || server.user_data != 0;
    if !config.services.iter().flat_map(|service| &service.servers).any(labeled) {
        return Cow::Borrowed(config);
    }
    let mut config = config.clone();
    for server in config.services.iter_mut().flat_map(|service| &mut service.servers) {
        (server.name, server.user_data) = (None, 0);
    }
    Cow::Owned(config)
}
