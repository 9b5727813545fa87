//! A config becomes the text that `ipvsadm --save --numeric` prints for it.

use std::fmt::{self, Display, Formatter};
use std::net::Ipv4Addr;

use crate::config::inet::Address;
use crate::config::{
    Config, Family, Forwarding, GENERIC_FLAG_NAMES, Netmask, Protocol, RealServer, SchedulerFlags,
    ServiceKey, Tunnel, TunnelChecksum, VirtualService, order,
};
use crate::sched::SchedulerKind;

/// The rules text of a config, made by [`Config::to_rules`].
#[derive(Debug, Clone, Copy)]
pub struct RulesText<'c> {
    config: &'c Config,
    complete: bool,
    sorted: bool,
}

impl Config {
    /// The rules text of this config: byte for byte what `ipvsadm --save --numeric` prints.
    ///
    /// So it is sorted, says nothing of thresholds, prints firewall marks above 2147483647 as
    /// negative numbers and leaves out the third flag of schedulers that name their flags.
    /// [`RulesText::with_thresholds`] and [`RulesText::unsorted`] print what loses nothing. Servers
    /// that ipvsadm cannot ask for ([`Forwarding::Local`], [`Forwarding::Bypass`]) print as `-g`, and
    /// What it has no option for is not printed: [`VirtualService::mh_table_index`], `affinity`, `sharing`.
    ///
    /// ```
    /// use vsched::config::Config;
    /// let text = "-A -t 192.168.4.5:80 -s rr\n\
    ///             -a -t 192.168.4.5:80 -r 192.168.5.12:80 -m -w 1 -x 100 -y 50\n\
    ///             -a -t 192.168.4.5:80 -r 192.168.5.11:80 -m -w 1\n";
    /// let config: Config = text.parse()?;
    /// assert_eq!(config.to_rules().with_thresholds().unsorted().to_string(), text);
    /// # Ok::<(), vsched::error::RulesError>(())
    /// ```
    pub fn to_rules(&self) -> RulesText<'_> {
        RulesText { config: self, complete: false, sorted: true }
    }
}

impl RulesText<'_> {
    /// The same with ` -x N -y N` on servers that have thresholds, and with whatever else
    /// ipvsadm's own text loses or spoils. ipvsadm reads it.
    #[must_use]
    pub fn with_thresholds(self) -> Self {
        RulesText { complete: true, ..self }
    }

    /// The same in the config's own order, so that reading it gives servers of the same age.
    #[must_use]
    pub fn unsorted(self) -> Self {
        RulesText { sorted: false, ..self }
    }

    fn service(&self, f: &mut Formatter<'_>, service: &VirtualService) -> fmt::Result {
        let key = Key(&service.service, self.complete);
        let scheduler = service.scheduler.map_or("none", SchedulerKind::name);
        write!(f, "-A {key} -s {scheduler}")?;
        if let Some(persistence) = service.persistence {
            write!(f, " -p {}", persistence.timeout)?;
            match persistence.netmask {
                Some(Netmask::Inet(mask)) if mask != Ipv4Addr::BROADCAST => {
                    write!(f, " -M {mask}")?;
                }
                Some(Netmask::Inet6(length)) if length != 128 => write!(f, " -M {length}")?,
                _ => {}
            }
        }
        if let Some(engine) = &service.persistence_engine {
            write!(f, " --pe {engine}")?;
        }
        if service.one_packet {
            f.write_str(" -o")?;
        }
        if !service.flags.is_empty() {
            write!(f, " -b {}", self.flags(service).join(","))?;
        }
        f.write_str("\n")?;
        let mut servers: Vec<&RealServer> = service.servers.iter().collect();
        if self.sorted {
            // ipvsadm sorts what the kernel lists, and that is newest first.
            servers.reverse();
            order::servers(&mut servers, |server| server.address);
        }
        servers.into_iter().try_for_each(|server| self.server(f, key, server))
    }

    /// For a scheduler that names its flags ipvsadm prints only those that it names, be it none.
    fn flags(&self, service: &VirtualService) -> Vec<&'static str> {
        let all = self.complete || SchedulerFlags::own_names(service.scheduler).next().is_none();
        service
            .flags
            .names(service.scheduler)
            .filter(|name| all || !GENERIC_FLAG_NAMES.contains(name))
            .collect()
    }

    fn server(&self, f: &mut Formatter<'_>, key: Key<'_>, server: &RealServer) -> fmt::Result {
        let method = match server.forwarding {
            Forwarding::Masq => "-m",
            Forwarding::Tunnel(_) => "-i",
            Forwarding::Route | Forwarding::Local | Forwarding::Bypass => "-g",
        };
        let address = Address(server.address);
        write!(f, "-a {key} -r {address} {method} -w {}", server.weight)?;
        match server.forwarding {
            Forwarding::Tunnel(Tunnel::Ipip {}) => f.write_str(" --tun-type ipip")?,
            Forwarding::Tunnel(Tunnel::Gue { port, checksum }) => {
                write!(f, " --tun-type gue --tun-port {port} {}", checksum_option(checksum))?
            }
            Forwarding::Tunnel(Tunnel::Gre { checksum }) => {
                write!(f, " --tun-type gre {}", checksum_option(checksum))?;
            }
            _ => {}
        }
        let limits = server.thresholds;
        if self.complete && (limits.upper, limits.lower) != (0, 0) {
            write!(f, " -x {} -y {}", limits.upper, limits.lower)?;
        }
        f.write_str("\n")
    }
}

impl Display for RulesText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut services: Vec<&VirtualService> = self.config.services.iter().collect();
        if self.sorted {
            order::services(&mut services, |service| service.service);
        }
        services.into_iter().try_for_each(|service| self.service(f, service))
    }
}

fn checksum_option(checksum: TunnelChecksum) -> &'static str {
    match checksum {
        TunnelChecksum::None => "--tun-nocsum",
        TunnelChecksum::Full => "--tun-csum",
        TunnelChecksum::Remote => "--tun-remcsum",
    }
}

/// A service as options; true for marks as they are.
#[derive(Clone, Copy)]
struct Key<'c>(&'c ServiceKey, bool);

impl Display for Key<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self.0 {
            ServiceKey::Address { protocol, address } => {
                let option = match protocol {
                    Protocol::Tcp => "-t",
                    Protocol::Udp => "-u",
                    Protocol::Sctp => "--sctp-service",
                };
                write!(f, "{option} {}", Address(address))
            }
            ServiceKey::FirewallMark { mark, family } => {
                if self.1 {
                    write!(f, "-f {mark}")?;
                } else {
                    write!(f, "-f {}", mark as i32)?;
                }
                f.write_str(match family {
                    Family::Inet => "",
                    Family::Inet6 => " -6",
                })
            }
        }
    }
}
