//! Which parts of a config written for a kernel a proxy can serve, and which it must leave out.

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};

use vsched::Config;
use vsched::config::{Command, Forwarding, Protocol, RealServer, ServiceKey, VirtualService};

use crate::source::Wanted;

/// A service, or a server of it.
type Item = (ServiceKey, Option<SocketAddr>);

/// Removes what cannot be served. Returns one sentence for each part that was removed, or that is served
/// differently than by a kernel.
pub(crate) fn select(wanted: &mut Wanted) -> Vec<String> {
    let mut notes = unused_settings(&wanted.config);
    let mut out = BTreeSet::new();
    for service in &wanted.config.services {
        let key = service.key;
        if let Some(why) = service_obstacle(&key) {
            notes.push(format!("service {key}: left out: {why}"));
            out.insert((key, None));
            continue;
        }
        for server in &service.servers {
            if let Some(why) = server_obstacle(&key, server) {
                notes.push(format!("service {key}: server {}: left out: {why}", server.address));
                out.insert((key, Some(server.address)));
            }
        }
        notes.extend(deviations(service));
    }
    leave_out(wanted, &out);
    notes
}

/// Removes these services and servers from the config, and from the commands that build it.
pub(crate) fn leave_out(wanted: &mut Wanted, out: &BTreeSet<Item>) {
    let gone =
        |key: ServiceKey, server| out.contains(&(key, None)) || out.contains(&(key, Some(server)));
    let Config { services, .. } = &mut wanted.config;
    services.retain(|service| !out.contains(&(service.key, None)));
    for service in services {
        let key = service.key;
        service.servers.retain(|server| !gone(key, server.address));
    }
    if let Some(commands) = &mut wanted.commands {
        commands.retain(|command| match command {
            Command::AddService(service) | Command::EditService(service) => {
                !out.contains(&(service.key, None))
            }
            Command::DeleteService(key) => !out.contains(&(*key, None)),
            Command::AddServer { service, server } | Command::EditServer { service, server } => {
                !gone(*service, server.address)
            }
            Command::DeleteServer { service, server } => !gone(*service, *server),
            _ => true,
        });
    }
}

/// The address to listen on; `None` if this is no service for a proxy.
pub(crate) fn listening_address(key: &ServiceKey) -> Option<SocketAddr> {
    match key {
        ServiceKey::Address { protocol: Protocol::Tcp | Protocol::Udp, address } => Some(*address),
        _ => None,
    }
}

fn service_obstacle(key: &ServiceKey) -> Option<&'static str> {
    match key {
        ServiceKey::FirewallMark { .. } => {
            Some("a proxy sees connections, not the firewall's marks on packets")
        }
        ServiceKey::Address { protocol: Protocol::Tcp | Protocol::Udp, address }
            if address.port() == 0 =>
        {
            Some("port 0 stands for every port, and a proxy listens on one")
        }
        ServiceKey::Address { protocol: Protocol::Tcp | Protocol::Udp, .. } => None,
        _ => Some("this director relays TCP and UDP only"),
    }
}

fn server_obstacle(key: &ServiceKey, server: &RealServer) -> Option<&'static str> {
    // A server without a port of its own is reached on the service's.
    let port = match server.address.port() {
        0 => key.port().unwrap_or(0),
        port => port,
    };
    let itself = SocketAddr::new(server.address.ip(), port);
    if listening_address(key).is_some_and(|service| reaches(service, itself)) {
        return Some("it is the service itself, and what it gets would come back for ever");
    }
    match server.forwarding {
        Forwarding::Bypass => Some("a proxy cannot let connections pass by"),
        _ => None,
    }
}

/// True if a server's address is where the service listens: on every address, maybe.
fn reaches(service: SocketAddr, server: SocketAddr) -> bool {
    // Only a local address can be bound.
    let is_local = || UdpSocket::bind((server.ip(), 0)).is_ok();
    let every = service.ip().is_unspecified() && service.port() == server.port();
    service == server || every && is_local()
}

fn unused_settings(config: &Config) -> Vec<String> {
    let mut notes = Vec::new();
    if config.timeouts.tcp.is_some() || config.timeouts.tcp_fin.is_some() {
        notes.push(
            "timeouts: those of TCP are not used here: --idle-timeout says when silent connections end"
                .to_owned(),
        );
    }
    if !config.daemons.is_empty() {
        notes.push("daemons: left out: another director cannot take over sockets".to_owned());
    }
    notes
}

/// What is served differently than by a kernel.
fn deviations(service: &VirtualService) -> Vec<String> {
    let key = service.key;
    let mut notes = Vec::new();
    let direct = |server: &RealServer| {
        matches!(server.forwarding, Forwarding::Route | Forwarding::Tunnel(_))
    };
    if service.servers.iter().any(direct) {
        notes.push(format!(
            "service {key}: servers listed as Route or Tunnel are relayed to as if they were Masq: \
             in a proxy both directions pass the director"
        ));
    }
    if service.scheduler.is_none() {
        notes.push(format!("service {key}: it has no scheduler and refuses every connection"));
    }
    notes
}
