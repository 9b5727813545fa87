//! The lines of each view: titles, services, servers.

use std::fmt;
use std::net::Ipv4Addr;

use super::cell::{Figure, service_name};
use super::{Listing, View};
use crate::config::inet::Address;
use crate::config::{
    Forwarding, GENERIC_FLAG_NAMES, Netmask, ObservedServer, ObservedService, Persistence, Rates,
    SchedulerFlags, Statistics, Tunnel, TunnelChecksum,
};
use crate::config::{SchedulerKind, ServiceSettings};
use crate::error::Escaped;

impl Listing<'_> {
    pub(super) fn write_titles(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LOCAL: &str = "Prot LocalAddress:Port";
        const REMOTE: &str = "  -> RemoteAddress:Port";
        const CONNECTIONS: &str = "ActiveConn InActConn";
        match self.view {
            View::Plain => {
                writeln!(f, "{LOCAL} Scheduler Flags")?;
                writeln!(f, "{REMOTE:<33} Forward Weight {CONNECTIONS}")
            }
            View::TunnelInfo => {
                writeln!(f, "{LOCAL} Scheduler Flags")?;
                writeln!(f, "{REMOTE:<33} Forward TunnelInfo    Weight {CONNECTIONS}")
            }
            View::Statistics => {
                writeln!(f, "{LOCAL:<33}    Conns   InPkts  OutPkts  InBytes OutBytes")?;
                writeln!(f, "{REMOTE}")
            }
            View::Rates => {
                writeln!(f, "{LOCAL:<33}      CPS    InPPS   OutPPS    InBPS   OutBPS")?;
                writeln!(f, "{REMOTE}")
            }
            View::Thresholds => {
                writeln!(f, "{LOCAL:<33} Uthreshold Lthreshold {CONNECTIONS} ")?;
                writeln!(f, "{REMOTE}")
            }
            View::PersistentConnections => {
                writeln!(f, "{LOCAL:<33} Weight    PersistConn {CONNECTIONS} ")?;
                writeln!(f, "{REMOTE}")
            }
        }
    }

    pub(super) fn write_service(
        &self,
        f: &mut fmt::Formatter<'_>,
        service: &ObservedService,
    ) -> fmt::Result {
        let name = service_name(&service.settings.key);
        match self.view {
            View::Statistics => {
                write!(f, "{name:<33}")?;
                self.write_figures(f, totals(&service.statistics))
            }
            View::Rates => {
                write!(f, "{name:<33}")?;
                self.write_figures(f, rates(&service.rates))
            }
            View::Plain | View::Thresholds | View::PersistentConnections | View::TunnelInfo => {
                write!(f, "{name} ")?;
                write_settings(f, &service.settings)
            }
        }
    }

    pub(super) fn write_server(
        &self,
        f: &mut fmt::Formatter<'_>,
        observed: &ObservedServer,
    ) -> fmt::Result {
        let ObservedServer { server, counts, .. } = observed;
        write!(f, "  -> {:<28}", Address(server.address).to_string())?;
        let weight = server.weight;
        let connections = format!("{:<10} {:<10}", counts.active, counts.inactive);
        match self.view {
            View::Plain => {
                let method = method_name(server.forwarding);
                writeln!(f, " {method:<7} {weight:<6} {connections}")
            }
            View::TunnelInfo => {
                let method = method_name(server.forwarding);
                let tunnel = tunnel_info(server.forwarding);
                writeln!(f, " {method:<7} {tunnel:<13} {weight:<6} {connections}")
            }
            View::Thresholds => {
                let limits = server.thresholds;
                writeln!(f, " {:<10} {:<10} {connections}", limits.upper, limits.lower)
            }
            View::PersistentConnections => {
                writeln!(f, " {weight:<9} {:<11} {connections}", counts.persistent)
            }
            View::Statistics => self.write_figures(f, totals(&observed.statistics)),
            View::Rates => {
                // A server's first three rates are never shortened, unlike its service's.
                let [connections, packets_in, packets_out, bytes @ ..] = rates(&observed.rates);
                write!(f, " {connections:>8} {packets_in:>8} {packets_out:>8}")?;
                self.write_figures(f, bytes)
            }
        }
    }

    fn write_figures<const N: usize>(
        &self,
        f: &mut fmt::Formatter<'_>,
        figures: [u64; N],
    ) -> fmt::Result {
        for value in figures {
            let exact = self.exact;
            write!(f, "{}", Figure { value, exact })?;
        }
        f.write_str("\n")
    }
}

/// Scheduler, flags, persistence with mask and engine, one-packet flag.
fn write_settings(f: &mut fmt::Formatter<'_>, settings: &ServiceSettings) -> fmt::Result {
    f.write_str(settings.scheduler.map_or("none", SchedulerKind::name))?;
    if !settings.flags.is_empty() {
        let names = flag_names(settings.flags, settings.scheduler);
        write!(f, " ({names})")?;
    }
    if let Some(Persistence { timeout, netmask }) = settings.persistence {
        write!(f, " persistent {timeout}")?;
        match netmask {
            None | Some(Netmask::Inet(Ipv4Addr::BROADCAST) | Netmask::Inet6(128)) => {}
            Some(Netmask::Inet(mask)) => write!(f, " mask {mask}")?,
            Some(Netmask::Inet6(prefix)) => write!(f, " mask {prefix}")?,
        }
        if let Some(engine) = &settings.persistence_engine {
            write!(f, " pe {}", Escaped(engine))?;
        }
    }
    f.write_str(if settings.one_packet { " ops\n" } else { "\n" })
}

/// For a scheduler that names its flags, shows only those, even if that leaves `()`.
fn flag_names(flags: SchedulerFlags, scheduler: Option<SchedulerKind>) -> String {
    let generic = scheduler.is_none_or(|kind| kind.flag_names() == GENERIC_FLAG_NAMES);
    let names: Vec<_> = flags
        .names(scheduler)
        .filter(|name| generic || !GENERIC_FLAG_NAMES.contains(name))
        .collect();
    names.join(",")
}

fn totals(from: &Statistics) -> [u64; 5] {
    [from.connections, from.packets_in, from.packets_out, from.bytes_in, from.bytes_out]
}

fn rates(from: &Rates) -> [u64; 5] {
    [from.connections, from.packets_in, from.packets_out, from.bytes_in, from.bytes_out]
}

fn method_name(forwarding: Forwarding) -> &'static str {
    match forwarding {
        Forwarding::Masq => "Masq",
        Forwarding::Route => "Route",
        Forwarding::Tunnel(_) => "Tunnel",
        Forwarding::Local => "Local",
        // ipvsadm has no name for it either.
        Forwarding::Bypass => "(null)",
    }
}

fn tunnel_info(forwarding: Forwarding) -> String {
    let Forwarding::Tunnel(tunnel) = forwarding else {
        return "n/a".to_owned();
    };
    match tunnel {
        Tunnel::Ipip {} => "ipip".to_owned(),
        Tunnel::Gue { port, checksum } => format!("gue:{port}:{}", checksum_mark(checksum)),
        Tunnel::Gre { checksum } => format!("gre:{}", checksum_mark(checksum)),
    }
}

fn checksum_mark(checksum: TunnelChecksum) -> &'static str {
    match checksum {
        TunnelChecksum::None => "-c",
        TunnelChecksum::Full => "+c",
        TunnelChecksum::Remote => "r+c",
    }
}
