//! What a config can say and no Linux kernel can do.

use std::fmt;

use crate::config::{Family, Forwarding, RealServer, SchedulerKind, Ties, VirtualService};

/// A setting of a service or a server that Linux does not have. Prints as
/// `slow_start: Linux has no slow start`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotInLinux {
    /// This scheduler ([`SchedulerKind::in_linux`]).
    Scheduler(SchedulerKind),
    /// [`Ties::Rotate`].
    Ties,
    /// [`VirtualService::ejection`].
    Ejection,
    /// [`VirtualService::slow_start`].
    SlowStart,
    /// [`VirtualService::spill_over`].
    SpillOver,
    /// [`VirtualService::panic_threshold`].
    PanicThreshold,
    /// [`RealServer::priority`] other than 0.
    Priority,
    /// [`Forwarding::Masq`] to a server of the other address family than its service's packets.
    MixedFamilies,
}

impl fmt::Display for NotInLinux {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: Linux has no {}", self.field(), self.what())
    }
}

impl NotInLinux {
    /// All of a service's own settings.
    pub(crate) fn of_service<S>(service: &VirtualService<S>) -> impl Iterator<Item = NotInLinux> {
        let scheduler = service.scheduler.filter(|kind| !kind.in_linux());
        let own = [
            (service.ties == Ties::Rotate).then_some(NotInLinux::Ties),
            service.ejection.map(|_| NotInLinux::Ejection),
            service.slow_start.map(|_| NotInLinux::SlowStart),
            service.spill_over.map(|_| NotInLinux::SpillOver),
            (service.panic_threshold != 0).then_some(NotInLinux::PanicThreshold),
        ];
        scheduler.map(NotInLinux::Scheduler).into_iter().chain(own.into_iter().flatten())
    }

    /// All of a server's, in a service of this address family.
    pub(crate) fn of_server(
        family: Family,
        server: &RealServer,
    ) -> impl Iterator<Item = NotInLinux> + use<> {
        let mixed = Family::of(server.address.ip()) != family;
        let own = [
            (server.priority != 0).then_some(NotInLinux::Priority),
            (mixed && server.forwarding == Forwarding::Masq).then_some(NotInLinux::MixedFamilies),
        ];
        own.into_iter().flatten()
    }

    /// The field, as in serde texts.
    pub(crate) const fn field(self) -> &'static str {
        match self {
            NotInLinux::Scheduler(_) => "scheduler",
            NotInLinux::Ties => "ties",
            NotInLinux::Ejection => "ejection",
            NotInLinux::SlowStart => "slow_start",
            NotInLinux::SpillOver => "spill_over",
            NotInLinux::PanicThreshold => "panic_threshold",
            NotInLinux::Priority => "priority",
            NotInLinux::MixedFamilies => "address",
        }
    }

    pub(crate) const fn what(self) -> &'static str {
        match self {
            NotInLinux::Scheduler(kind) => kind.name(),
            NotInLinux::Ties => "rotation of ties",
            NotInLinux::Ejection => "ejection",
            NotInLinux::SlowStart => "slow start",
            NotInLinux::SpillOver => "spill-over",
            NotInLinux::PanicThreshold => "panic threshold",
            NotInLinux::Priority => "priorities",
            NotInLinux::MixedFamilies => "masquerading between IPv4 and IPv6",
        }
    }
}
