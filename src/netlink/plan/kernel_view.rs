//! A service as a kernel sees it.

use crate::config::{
    Affinity, DEFAULT_MH_TABLE_INDEX, Netmask, Persistence, ServiceSettings, Sharing,
    VirtualService,
};

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
        ..service.settings()
    }
}
