//! Advice for the director: settings that it works without until a certain case occurs.

use super::collect::{Collector, Stage, required};
use super::{Origin, Requirement, Role, tunnel};
use crate::config::{
    Config, Family, Forwarding, Protocol, SchedulerFlags, ServiceSettings, Tunnel, VirtualService,
};

pub(super) fn collect(config: &Config, to: &mut Collector<'_>) {
    for service in &config.services {
        fallback(service, to);
        drains(service, to);
        for server in &service.servers {
            let origin = Origin { service: service.key, server: Some(server.address) };
            match server.forwarding {
                Forwarding::Masq => masquerading(service, origin, to),
                Forwarding::Route => local_clients(origin, to),
                Forwarding::Tunnel(tunnel) => {
                    size(tunnel, server.address.ip(), origin, to);
                    local_clients(origin, to);
                }
                Forwarding::Local | Forwarding::Bypass => {}
            }
        }
    }
}

fn advised(origin: Origin, reason: impl Into<String>) -> Requirement {
    required(Role::Director, origin, reason).advised()
}

fn of(service: &VirtualService) -> Origin {
    Origin { service: service.key, server: None }
}

/// sh and mh look a client up in a table in which a quiesced server keeps its slots.
fn fallback(service: &VirtualService, to: &mut Collector<'_>) {
    let Some(kind) = service.scheduler else {
        return;
    };
    let [name, ..] = kind.flag_names();
    let without = !service.flags.contains(SchedulerFlags::FLAG_1);
    if !(name.ends_with("-fallback") && without) {
        return;
    }
    let flags = service.flags.union(SchedulerFlags::FLAG_1);
    let edited = ServiceSettings { flags, ..service.settings() }.with_servers(Vec::new());
    let config = Config { services: vec![edited], ..Config::default() };
    let rule = config.to_rules().with_thresholds().to_string();
    let Some(options) = rule.trim_end().strip_prefix("-A ") else {
        return;
    };
    let reason = if service.servers.iter().any(|server| server.weight == 0) {
        "A server of this service has weight 0, and without fallback the clients hashed to it are \
         refused."
    } else {
        "Without fallback the clients hashed to a quiesced or overloaded server are refused."
    };
    to.add(Stage::Advice, advised(of(service), reason).run(format!("ipvsadm -E {options}")));
}

/// The sysctls that decide whether weight 0 drains a server, and what removing a server does.
fn drains(service: &VirtualService, to: &mut Collector<'_>) {
    let reason = "A client port that is used again counts as a new connection and is scheduled; \
                  with 0 it goes on to the old server, which then never drains.";
    to.add(Stage::Advice, advised(of(service), reason).sysctl("net.ipv4.vs.conn_reuse_mode", &[1]));
    let reason = "Connections of a removed server end at once and clients connect again; with 0 \
                  their packets vanish until a timeout, but the connections go on if the server \
                  is added again before.";
    to.add(
        Stage::Advice,
        advised(of(service), reason).sysctl("net.ipv4.vs.expire_nodest_conn", &[1]),
    );
    if service.persistence.is_some() {
        let reason = "A persistent client leaves a server of weight 0; with 0 its new connections \
                      go on to that server for as long as it keeps coming.";
        to.add(
            Stage::Advice,
            advised(of(service), reason).sysctl("net.ipv4.vs.expire_quiescent_template", &[1]),
        );
    }
}

fn masquerading(service: &VirtualService, origin: Origin, to: &mut Collector<'_>) {
    let reason = "Only if firewall rules of state or NAT see these connections: without it they \
                  are not tracked, and such rules do not match; it costs time on every packet.";
    to.add(Stage::Advice, advised(origin, reason).sysctl("net.ipv4.vs.conntrack", &[1]));
    let key = service.key;
    if key.protocol() == Some(Protocol::Tcp) && key.port() == Some(21) {
        let reason = "FTP names addresses and ports inside its control connection, and behind \
                      masquerading this module rewrites them.";
        to.add(Stage::Advice, advised(origin, reason).module("ip_vs_ftp"));
    }
}

fn size(tunnel: Tunnel, server: std::net::IpAddr, origin: Origin, to: &mut Collector<'_>) {
    let more = tunnel::overhead(tunnel, server);
    // ping adds the headers of IP and of ICMP to the given size.
    let (family, ping) = match Family::of(server) {
        Family::Inet => ("IPv4", 28),
        Family::Inet6 => ("IPv6", 48),
    };
    let reason = format!(
        "The tunnel adds {more} bytes over {family}, so a full packet of 1500 fits only if the way \
         to the server takes {size}; otherwise clients must heed the director's ICMP messages to \
         send smaller ones, and firewalls often drop these.",
        size = 1500 + more
    );
    to.add(
        Stage::Advice,
        advised(origin, reason).look(format!("ping -M do -s {} {server}", 1500 + more - ping)),
    );
}

fn local_clients(origin: Origin, to: &mut Collector<'_>) {
    let reason = "The director itself is no client of services with direct routing or tunnels: the \
                  answer comes from the virtual address, which it holds, so it drops it; ask from \
                  another host.";
    to.add(Stage::Advice, advised(origin, reason));
}
