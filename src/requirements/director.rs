//! The requirements of the director.

use super::collect::{Collector, Stage, required};
use super::{Check, Origin, Role};
use crate::config::{Config, Family, Forwarding, NotInLinux, ServiceKey, VirtualService};

pub(super) fn collect(config: &Config, to: &mut Collector<'_>) {
    for service in &config.services {
        modules(service, to);
        match service.key {
            ServiceKey::Address { .. } => address(service, to),
            ServiceKey::FirewallMark { mark, family } => marks(service, mark, family, to),
        }
        for server in &service.servers {
            let origin = Origin { service: service.key, server: Some(server.address) };
            let family = service.key.family();
            for setting in NotInLinux::of_server(family, server) {
                to.add(Stage::Modules, required(Role::Director, origin, without(setting)));
            }
            match server.forwarding {
                // Between families no kernel forwards; the requirement above says so.
                Forwarding::Masq if Family::of(server.address.ip()) != family => {}
                Forwarding::Masq => forwarding(family, origin, to),
                Forwarding::Route => on_link(server.address.ip(), origin, to),
                // IPVS encapsulates by itself; the packet then takes any route.
                Forwarding::Tunnel(_) | Forwarding::Local | Forwarding::Bypass => {}
            }
        }
    }
}

fn of(service: &VirtualService) -> Origin {
    Origin { service: service.key, server: None }
}

fn without(setting: NotInLinux) -> String {
    let (what, advice) = match setting {
        NotInLinux::Scheduler(kind) => (format!("scheduler {}", kind.name()), "choose another one"),
        NotInLinux::MixedFamilies => {
            (setting.what().to_owned(), "use a tunnel, or a server of the service's own family")
        }
        other => (format!("{} ({})", other.what(), other.field()), "leave it out"),
    };
    format!("Linux has no {what}, so no kernel can run the service: {advice}.")
}

fn modules(service: &VirtualService, to: &mut Collector<'_>) {
    let reason = "IPVS is a module of the kernel, and its sysctls appear with it.";
    to.add(Stage::Modules, required(Role::Director, of(service), reason).module("ip_vs"));
    for setting in NotInLinux::of_service(service) {
        to.add(Stage::Modules, required(Role::Director, of(service), without(setting)));
    }
    if let Some(kind) = service.scheduler.filter(|kind| kind.in_linux()) {
        let reason = format!(
            "The scheduler {kind} is a module of its own; where the kernel cannot load it, as in a \
             container, the service is refused.",
            kind = kind.name()
        );
        let requirement = required(Role::Director, of(service), reason);
        to.add(Stage::Modules, requirement.module(&format!("ip_vs_{}", kind.name())));
    }
    if let Some(engine) = service.persistence_engine.as_deref().filter(|name| is_word(name)) {
        let reason = format!("The persistence engine {engine} is a module of its own.");
        let requirement = required(Role::Director, of(service), reason);
        to.add(Stage::Modules, requirement.module(&format!("ip_vs_pe_{engine}")));
    }
}

/// True if the name needs no quoting in a command, and is no longer than the kernel's names.
fn is_word(name: &str) -> bool {
    (1..=15).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn address(service: &VirtualService, to: &mut Collector<'_>) {
    let ServiceKey::Address { address, .. } = service.key else {
        return;
    };
    let (ip, device) = (address.ip(), to.site.interface_word());
    // A lone IPv6 address would be preferred as the source of the director's own packets, including
    // those it encapsulates: a real server that has it too would consider these its own and drop them.
    let command = match Family::of(ip) {
        Family::Inet => format!("ip address replace {ip}/32 dev {device}"),
        Family::Inet6 => format!("ip -6 address replace {ip}/128 dev {device} preferred_lft 0"),
    };
    let reason = "IPVS sees only what the director takes in for itself, so the virtual address is \
                  one of its own.";
    let requirement = required(Role::Director, of(service), reason).run(command);
    to.add(Stage::Addresses, requirement.check(Check::Address { ip, interface: None }));
}

fn marks(service: &VirtualService, mark: u32, family: Family, to: &mut Collector<'_>) {
    let device = to.site.interface_word();
    let (tables, command) = match family {
        Family::Inet => ("iptables", format!("ip address replace $VIP/32 dev {device}")),
        Family::Inet6 => {
            ("ip6tables", format!("ip -6 address replace $VIP/128 dev {device} preferred_lft 0"))
        }
    };
    let reason = "IPVS sees only what the director takes in for itself, so each address whose \
                  packets are marked is one of its own.";
    to.add(Stage::Addresses, required(Role::Director, of(service), reason).run(command));
    let command = format!(
        "{tables} -t mangle -A PREROUTING -d $VIP -p tcp --dport $PORT -j MARK --set-mark {mark}"
    );
    let reason = format!("The service is those packets that a firewall rule marks with {mark}.");
    to.add(Stage::Marks, required(Role::Director, of(service), reason).run(command));
}

fn forwarding(family: Family, origin: Origin, to: &mut Collector<'_>) {
    let (name, reason) = match family {
        Family::Inet => (
            "net.ipv4.ip_forward",
            "Replies of masqueraded servers pass the director on their way to the client, and a \
             host passes packets on only if it forwards.",
        ),
        Family::Inet6 => (
            "net.ipv6.conf.all.forwarding",
            "Replies of masqueraded servers pass the director on their way to the client, and a \
             host passes packets on only if it forwards; it then heeds router advertisements only \
             where accept_ra is 2.",
        ),
    };
    to.add(Stage::Settings, required(Role::Director, origin, reason).sysctl(name, &[1]));
}

fn on_link(ip: std::net::IpAddr, origin: Origin, to: &mut Collector<'_>) {
    let reason = format!(
        "Direct routing changes nothing but the frame's destination, so {ip} is on a wire of the \
         director, with no gateway between."
    );
    let requirement = required(Role::Director, origin, reason).look(format!("ip route get {ip}"));
    to.add(Stage::Routes, requirement.check(Check::OnLink { ip }));
}
