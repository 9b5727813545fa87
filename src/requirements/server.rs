//! The requirements of real servers.

use std::net::{IpAddr, SocketAddr};

use super::collect::{Collector, Stage, required};
use super::tunnel::{Endpoint, endpoint};
use super::{Check, Origin, Requirement, Role};
use crate::config::{Config, Family, Forwarding, Protocol, RealServer, ServiceKey, Tunnel};

pub(super) fn collect(config: &Config, to: &mut Collector<'_>) {
    let direct = |server: &RealServer| {
        matches!(server.forwarding, Forwarding::Route | Forwarding::Tunnel(_))
    };
    let all = || config.services.iter().flat_map(|service| &service.servers);
    let answering_directly: std::collections::HashSet<IpAddr> =
        all().filter(|server| direct(server)).map(|server| server.address.ip()).collect();
    for service in &config.services {
        for server in &service.servers {
            let ip = server.address.ip();
            let side = Side {
                role: Role::RealServer(ip),
                origin: Origin { service: service.key, server: Some(server.address) },
                family: service.key.family(),
            };
            match server.forwarding {
                // A proxy's connection is its own, so replies find it by themselves.
                Forwarding::Masq if Family::of(ip) != side.family => {}
                Forwarding::Masq => side.masqueraded(answering_directly.contains(&ip), to),
                Forwarding::Route => side.direct("lo", to),
                Forwarding::Tunnel(tunnel) => side.tunnelled(tunnel, ip, to),
                Forwarding::Local | Forwarding::Bypass => continue,
            }
            side.socket(server, to);
        }
    }
}

/// One real server in one service.
struct Side {
    role: Role,
    origin: Origin,
    /// Address family of the packets that clients send.
    family: Family,
}

impl Side {
    fn required(&self, reason: impl Into<String>) -> Requirement {
        required(self.role, self.origin, reason)
    }

    fn ip(&self) -> &'static str {
        match self.family {
            Family::Inet => "ip",
            Family::Inet6 => "ip -6",
        }
    }

    fn masqueraded(&self, also_direct: bool, to: &mut Collector<'_>) {
        let (ip, director) = (self.ip(), to.site.director_word(self.family));
        let via = to.site.director(self.family);
        if also_direct {
            // One default route cannot serve both methods: replies are distinguished by their source.
            let Role::RealServer(own) = self.role else {
                return;
            };
            let requirement = self
                .required(
                    "Replies to masqueraded connections go back through the director and those to \
                     direct or tunnelled ones must not, so what leaves from the server's own \
                     address has a routing table of its own.",
                )
                .run(format!("{ip} route replace default via {director} table 100"))
                .run(format!("{ip} rule add from {own} lookup 100"));
            return to.add(Stage::Routes, requirement);
        }
        let requirement = self
            .required(
                "Replies go back through the director, which puts the virtual address back into \
                 them; so clients are not in the server's own subnet, where it would answer them \
                 past the director.",
            )
            .run(format!("{ip} route replace default via {director}"))
            .check(Check::DefaultRoute { via, family: self.family });
        to.add(Stage::Routes, requirement);
    }

    /// The server receives packets for the virtual address and replies to clients directly.
    fn direct(&self, device: &'static str, to: &mut Collector<'_>) {
        if self.family == Family::Inet {
            self.silence(to);
        }
        self.address(device, to);
        let ip = self.ip();
        let director = to.site.director(self.family);
        let requirement = self
            .required(
                "Replies leave from the virtual address and must not pass the director, which \
                 holds that address too and drops them; servers on the clients' wire need no \
                 default route at all.",
            )
            .look(format!("{ip} route show default"))
            .check(Check::NoDefaultRoute { via: director, family: self.family });
        to.add(Stage::Routes, requirement);
    }

    fn silence(&self, to: &mut Collector<'_>) {
        for (name, accepted, reason) in [
            (
                "arp_ignore",
                vec![1, 2],
                "The server does not answer ARP requests for the virtual address, or clients and \
                 routers find it instead of the director; addresses of the interface asked are \
                 still answered for.",
            ),
            (
                "arp_announce",
                vec![2],
                "The server does not name the virtual address as the source of ARP requests of its \
                 own, from which the neighbors would learn the wrong place.",
            ),
        ] {
            let requirement = self
                .required(reason)
                .run(format!("sysctl -w net.ipv4.conf.all.{name}={}", accepted[0]))
                .check(Check::InterfaceSysctl { name: name.to_owned(), interface: None, accepted });
            to.add(Stage::Settings, requirement);
        }
    }

    fn address(&self, device: &str, to: &mut Collector<'_>) {
        let ip = match self.origin.service {
            ServiceKey::Address { address, .. } => Some(address.ip()),
            ServiceKey::FirewallMark { .. } => None,
        };
        let word = ip.map_or_else(|| "$VIP".to_owned(), |ip| ip.to_string());
        let (reason, command) = match self.family {
            Family::Inet => (
                "The packet arrives with the virtual address as its destination, so it is one of \
                 the server's own, as a single address and on no interface to a wire.",
                format!("ip address replace {word}/32 dev {device}"),
            ),
            Family::Inet6 => (
                "The packet arrives with the virtual address as its destination, so it is one of \
                 the server's own; on an interface without a wire no request for it is answered, and no \
                 duplicate is looked for.",
                format!("ip -6 address replace {word}/128 dev {device} nodad preferred_lft 0"),
            ),
        };
        let mut requirement = self.required(reason).run(command);
        if let Some(ip) = ip {
            let interface = Some(device.to_owned());
            requirement = requirement.check(Check::Address { ip, interface });
        }
        to.add(Stage::Addresses, requirement);
    }

    fn tunnelled(&self, tunnel: Tunnel, server: IpAddr, to: &mut Collector<'_>) {
        let Endpoint { modules, device, create, port } = endpoint(tunnel, self.family, server);
        for module in modules {
            let reason = "The server unpacks what the director packed, by a module of the kernel.";
            to.add(Stage::Modules, self.required(reason).module(module));
        }
        if let Some(port) = port {
            self.gue(port, server, to);
        }
        let requirement = self
            .required(format!("Unpacked packets come out of the device {device}, once it is up."));
        let requirement = create.into_iter().fold(requirement, Requirement::run);
        to.add(
            Stage::Interfaces,
            requirement
                .run(format!("ip link set {device} up"))
                .check(Check::InterfaceUp { name: device.to_owned() }),
        );
        if self.family == Family::Inet {
            self.reverse_path(device, to);
        }
        self.direct(device, to);
    }

    fn gue(&self, port: u16, server: IpAddr, to: &mut Collector<'_>) {
        let (ip, any): (_, IpAddr) = match server {
            IpAddr::V4(_) => ("ip", std::net::Ipv4Addr::UNSPECIFIED.into()),
            IpAddr::V6(_) => ("ip -6", std::net::Ipv6Addr::UNSPECIFIED.into()),
        };
        let address = SocketAddr::new(any, port);
        let requirement = self
            .required(format!("UDP port {port} is unpacked as GUE; this takes the port."))
            .run(format!("{ip} fou add port {port} gue"))
            .check(Check::Listening { protocol: Protocol::Udp, address });
        to.add(Stage::Interfaces, requirement);
    }

    fn reverse_path(&self, device: &str, to: &mut Collector<'_>) {
        let name = "rp_filter";
        let requirement = self
            .required(format!(
                "Clients' packets come out of {device} and the way back to them is another one, \
                 which the strict filter of reverse paths (1) takes for forged; loose (2) here is \
                 enough, whatever other interfaces have."
            ))
            .run(format!("sysctl -w net.ipv4.conf.{device}.{name}=2"))
            .check(Check::InterfaceSysctl {
                name: name.to_owned(),
                interface: Some(device.to_owned()),
                accepted: vec![2, 0],
            });
        to.add(Stage::Settings, requirement);
    }

    /// The server program itself.
    fn socket(&self, server: &RealServer, to: &mut Collector<'_>) {
        let ServiceKey::Address { protocol, address } = self.origin.service else {
            return;
        };
        let direct = server.forwarding != Forwarding::Masq;
        // Persistence on every port leaves the client's port unchanged.
        let port = match server.address.port() {
            own if own != 0 && !direct && address.port() != 0 => own,
            _ => address.port(),
        };
        if port == 0 {
            return;
        }
        let (at, reason) = if direct {
            let reason = "The packet arrives unchanged, so the server program takes it at the \
                          virtual address and the service's own port, whatever port the rule says.";
            (SocketAddr::new(address.ip(), port), reason)
        } else {
            let reason = "The server program takes connections at the server's own address.";
            (SocketAddr::new(server.address.ip(), port), reason)
        };
        let option = match protocol {
            Protocol::Tcp => "-ltn",
            Protocol::Udp => "-lun",
            Protocol::Sctp => "-lSn",
        };
        let requirement = self
            .required(reason)
            .look(format!("ss {option} 'sport = :{port}'"))
            .check(Check::Listening { protocol, address: at });
        to.add(Stage::Sockets, requirement);
    }
}
