//! A plan as text: one step per line.

use std::fmt::{self, Display, Formatter};

use super::{Action, Phase, Plan, Risk, Step};
use crate::config::SchedulerKind;
use crate::config::{Forwarding, RealServer, SchedulerFlags, ServiceSettings, SyncRole, Tunnel};
use crate::error::Quoted;

impl Display for Plan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.steps().iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

impl Display for Step {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({}", self.phase, self.action, self.reason)?;
        match self.risk {
            Some(risk) => write!(f, "; {risk})"),
            None => f.write_str(")"),
        }
    }
}

impl Display for Phase {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Settings => "settings",
            Phase::NewServices => "new services",
            Phase::EditServices => "edit services",
            Phase::Grow => "grow",
            Phase::Modify => "modify",
            Phase::Shrink => "shrink",
            Phase::Drain => "drain",
            Phase::DeleteServers => "delete servers",
            Phase::Restore => "restore",
            Phase::DeleteServices => "delete services",
        })
    }
}

impl Display for Risk {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Risk::RefusesForAMoment => f.write_str("refuses new connections for a moment"),
            Risk::Stalls(count) => write!(f, "{count} connections stall"),
            Risk::Resets(count) => write!(f, "{count} connections are reset"),
            Risk::RefusesItsClients => f.write_str("refuses the clients hashed to it"),
        }
    }
}

impl Display for Action {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Action::SetTimeouts { timeouts, .. } => {
                f.write_str("set timeouts")?;
                for (name, value) in
                    [("tcp", timeouts.tcp), ("tcp_fin", timeouts.tcp_fin), ("udp", timeouts.udp)]
                {
                    if let Some(value) = value {
                        write!(f, " {name} {value} s")?;
                    }
                }
                Ok(())
            }
            Action::StartDaemon(daemon) => {
                let (role, interface) = (role(daemon.role), Quoted(&daemon.interface));
                write!(f, "start {role} daemon on {interface}, id {}", daemon.sync_id)
            }
            Action::StopDaemon(daemon) => write!(f, "stop {} daemon", role(daemon.role)),
            Action::AddService(service) => write!(f, "add service {}", service.key),
            Action::EditService { before, service } => edit_service(f, before, service),
            Action::DeleteService(key) => write!(f, "delete service {key}"),
            Action::AddServer { service, server } => {
                write!(f, "add server {} ", server.address)?;
                forwarding(f, server.forwarding)?;
                write!(f, " weight {}", server.weight)?;
                thresholds(f, server)?;
                write!(f, " to {service}")
            }
            Action::EditServer { service, before, server } => {
                if *server == before.clone().with_weight(0) {
                    return write!(f, "quiesce server {} of {service}", server.address);
                }
                write!(f, "edit server {} of {service}:", server.address)?;
                edit_server(f, before, server)
            }
            Action::AwaitDrain { service, server, drain } => {
                let most = drain.deadline.as_secs_f64();
                write!(f, "wait for server {server} of {service}, at most {most} s")
            }
            Action::DeleteServer { service, server } => {
                write!(f, "delete server {server} of {service}")
            }
        }
    }
}

fn role(role: SyncRole) -> &'static str {
    match role {
        SyncRole::Master => "master",
        SyncRole::Backup => "backup",
    }
}

fn edit_service(
    f: &mut Formatter<'_>,
    before: &ServiceSettings,
    service: &ServiceSettings,
) -> fmt::Result {
    write!(f, "edit service {}:", service.key)?;
    if before.scheduler != service.scheduler {
        let name = |kind: Option<SchedulerKind>| kind.map_or("none", SchedulerKind::name);
        write!(f, " scheduler {} -> {}", name(before.scheduler), name(service.scheduler))?;
    }
    if before.flags != service.flags {
        let names = |flags: SchedulerFlags| {
            let names: Vec<_> = flags.names(service.scheduler).collect();
            if names.is_empty() { "none".to_owned() } else { names.join(",") }
        };
        write!(f, " flags {} -> {}", names(before.flags), names(service.flags))?;
    }
    if before.persistence != service.persistence {
        match service.persistence {
            Some(persistence) => write!(f, " persistence {} s", persistence.timeout)?,
            None => f.write_str(" no persistence")?,
        }
    }
    if before.persistence_engine != service.persistence_engine {
        let engine = service.persistence_engine.as_deref().unwrap_or("none");
        write!(f, " persistence engine {}", Quoted(engine))?;
    }
    if before.one_packet != service.one_packet {
        write!(f, " one-packet {}", if service.one_packet { "on" } else { "off" })?;
    }
    Ok(())
}

fn edit_server(f: &mut Formatter<'_>, before: &RealServer, server: &RealServer) -> fmt::Result {
    if before.forwarding != server.forwarding {
        f.write_str(" ")?;
        forwarding(f, before.forwarding)?;
        f.write_str(" -> ")?;
        forwarding(f, server.forwarding)?;
    }
    if before.weight != server.weight {
        write!(f, " weight {} -> {}", before.weight, server.weight)?;
    }
    if before.thresholds != server.thresholds {
        let (was, is) = (before.thresholds, server.thresholds);
        write!(f, " thresholds {}/{} -> {}/{}", was.upper, was.lower, is.upper, is.lower)?;
    }
    Ok(())
}

fn thresholds(f: &mut Formatter<'_>, server: &RealServer) -> fmt::Result {
    let limits = server.thresholds;
    if limits == crate::config::Thresholds::default() {
        return Ok(());
    }
    write!(f, " thresholds {}/{}", limits.upper, limits.lower)
}

fn forwarding(f: &mut Formatter<'_>, forwarding: Forwarding) -> fmt::Result {
    f.write_str(match forwarding {
        Forwarding::Masq => "masq",
        Forwarding::Route => "route",
        Forwarding::Tunnel(Tunnel::Ipip {}) => "tunnel ipip",
        Forwarding::Tunnel(Tunnel::Gre { .. }) => "tunnel gre",
        Forwarding::Tunnel(Tunnel::Gue { port, .. }) => return write!(f, "tunnel gue port {port}"),
        Forwarding::Local => "local",
        Forwarding::Bypass => "bypass",
    })
}
