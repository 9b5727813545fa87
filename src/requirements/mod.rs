//! The requirements that each host must meet for a config to work in the kernel.
//!
//! The rules of a virtual service are only half of the setup. The director must have the virtual address
//! and, for NAT, forward replies; real servers must have the virtual address without answering ARP for
//! it, or send their replies back through the director. [`Config::requirements`] lists all of this as
//! commands with reasons, and [`Requirements::check_local`] checks what holds on this host.
//! [`crate::lvs`] explains the three forwarding methods.
//!
//! ```
//! use vsched::Config;
//! use vsched::requirements::{Role, Site};
//!
//! let config: Config = "
//!     ipvsadm -A -t 192.168.4.5:80 -s wrr
//!     ipvsadm -a -t 192.168.4.5:80 -r 192.168.5.11 -m
//! ".parse()?;
//! let site = Site::default().with_director("192.168.5.5".parse()?).with_interface("eth0");
//! let all = config.requirements_at(&site);
//! println!("{all}");                                  // to read, or to paste into a shell
//! let server = all.of(Role::RealServer("192.168.5.11".parse()?));
//! assert_eq!(
//!     server.commands().collect::<Vec<_>>(),
//!     ["ip route replace default via 192.168.5.5"]
//! );
//! for finding in all.of(Role::Director).check_local() {
//!     println!("{finding}");                          // holds, missing or unknown, and why
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod advice;
mod check;
mod collect;
mod director;
mod print;
mod server;
mod site;
mod tunnel;

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::config::{Config, Family, Protocol, ServiceKey};

pub use check::{Answer, Finding};
pub use site::Site;

/// The host that has to meet a requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Role {
    /// The host that runs IPVS.
    Director,
    /// The real server with this address, regardless of its ports.
    RealServer(IpAddr),
}

/// How important a requirement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Need {
    /// Without it a client gets no reply, or one from a server that the director did not choose.
    Required,
    /// The service works without it until the case occurs that the reason names.
    Advised,
}

/// The part of a config that causes a requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Origin {
    /// The virtual service.
    pub service: ServiceKey,
    /// Its real server; `None` if the service itself causes it.
    pub server: Option<SocketAddr>,
}

/// How to meet a requirement.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Action {
    /// Run these commands as root, in this order. Running them again changes nothing or is refused as
    /// already done. Their effect lasts until the next boot.
    Run(Vec<String>),
    /// No command can meet it (cabling, for example); this one shows whether it is met.
    Look(String),
    /// Nothing to run: for information.
    Know,
}

/// A fact about a host that a program can check.
///
/// ```
/// use vsched::Config;
/// use vsched::requirements::{Check, Role};
/// let config: Config = "-A -t 10.0.0.1:80 -s wrr\n-a -t 10.0.0.1:80 -r 10.0.1.1 -m".parse()?;
/// let director = config.requirements().of(Role::Director);
/// let modules: Vec<_> = director
///     .iter()
///     .filter_map(|item| match &item.check {
///         Some(Check::Module { name, .. }) => Some(name.as_str()),
///         _ => None,
///     })
///     .collect();
/// assert!(modules.contains(&"ip_vs_wrr"));
/// # Ok::<(), vsched::error::RulesError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Check {
    /// A sysctl has one of these values.
    #[non_exhaustive]
    Sysctl {
        /// Its name with dots, such as `net.ipv4.ip_forward`.
        name: String,
        /// The accepted values, the best first.
        accepted: Vec<i32>,
    },
    /// An IPv4 setting of an interface has one of these values, where the greater of the
    /// interface's value and that of `all` applies.
    #[non_exhaustive]
    InterfaceSysctl {
        /// The last part of its name, such as `arp_ignore`.
        name: String,
        /// The interface; `None` = every interface that uses ARP.
        interface: Option<String>,
        /// The accepted values, the best first.
        accepted: Vec<i32>,
    },
    /// A module is loaded or built into the kernel.
    #[non_exhaustive]
    Module {
        /// Its name, such as `ip_vs_wrr`.
        name: String,
    },
    /// A network interface exists and is up.
    #[non_exhaustive]
    InterfaceUp {
        /// Its name.
        name: String,
    },
    /// This host has an address.
    #[non_exhaustive]
    Address {
        /// The address.
        ip: IpAddr,
        /// The interface that must have it; `None` = any. For IPv4 addresses the files read here do not
        /// contain the interface, so any interface is accepted.
        interface: Option<String>,
    },
    /// The default route goes through this gateway.
    #[non_exhaustive]
    DefaultRoute {
        /// The gateway; `None` if the [`Site`] does not contain it.
        via: Option<IpAddr>,
        /// IPv4 or IPv6.
        family: Family,
    },
    /// The default route, if there is one, does not go through this gateway.
    #[non_exhaustive]
    NoDefaultRoute {
        /// The gateway; `None` if the [`Site`] does not contain it.
        via: Option<IpAddr>,
        /// IPv4 or IPv6.
        family: Family,
    },
    /// The route to an address has no gateway.
    #[non_exhaustive]
    OnLink {
        /// The address.
        ip: IpAddr,
    },
    /// A socket listens on this address and port.
    #[non_exhaustive]
    Listening {
        /// TCP, UDP or SCTP.
        protocol: Protocol,
        /// The address; a socket on the wildcard address is accepted.
        address: SocketAddr,
    },
}

/// One requirement of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Requirement {
    /// The host that has to meet it.
    pub role: Role,
    /// How important it is.
    pub need: Need,
    /// The parts of the config that cause it, in the order of the config; never empty.
    pub origins: Vec<Origin>,
    /// Why, in one sentence.
    pub reason: String,
    /// How to meet it.
    pub action: Action,
    /// How a program can check it; `None` if no file shows it.
    pub check: Option<Check>,
}

/// The requirements of all hosts, each once: the director's first, then those of each real server in the
/// order of the config, in an order in which the commands can be run.
///
/// Displays as a text to read and to paste into a shell, grouped by host: everything except the commands
/// of required items is a comment.
///
/// ```
/// use vsched::Config;
/// use vsched::requirements::{Action, Need};
/// let config: Config = "-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.0.1.1 -m".parse()?;
/// for item in config.requirements().iter().filter(|item| item.need == Need::Required) {
///     match &item.action {
///         Action::Run(commands) => println!("{}: {commands:?}: {}", item.role, item.reason),
///         other => println!("{}: {other:?}: {}", item.role, item.reason),
///     }
/// }
/// # Ok::<(), vsched::error::RulesError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct Requirements {
    list: Vec<Requirement>,
}

impl Config {
    /// Returns the requirements that each host must or should meet for this config to work in the
    /// kernel.
    ///
    /// A config does not contain everything: the commands use `$DEV` (the interface that receives the
    /// clients' packets), `$DIP` and `$DIP6` (the director's address on the real servers' side) and, for
    /// firewall marks, `$VIP` and `$PORT`. Set these in the shell, or pass those that a [`Site`] has to
    /// [`requirements_at`](Config::requirements_at). O(servers). An invalid config also gets
    /// requirements, as far as they make sense.
    pub fn requirements(&self) -> Requirements {
        self.requirements_at(&Site::default())
    }

    /// Like [`requirements`](Self::requirements), with what the site knows of the hosts filled in.
    pub fn requirements_at(&self, site: &Site) -> Requirements {
        let mut collector = collect::Collector::new(site);
        director::collect(self, &mut collector);
        advice::collect(self, &mut collector);
        server::collect(self, &mut collector);
        Requirements { list: collector.finish() }
    }
}

impl Requirements {
    /// Returns the requirements, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Requirement> {
        self.list.iter()
    }

    /// Returns the requirements of one host.
    #[must_use]
    pub fn of(&self, role: Role) -> Requirements {
        Requirements { list: self.iter().filter(|item| item.role == role).cloned().collect() }
    }

    /// Returns the hosts, in order.
    pub fn roles(&self) -> Vec<Role> {
        let mut roles: Vec<Role> = self.iter().map(|item| item.role).collect();
        roles.dedup();
        roles
    }

    /// Returns the commands that meet what is required, without what is advised.
    pub fn commands(&self) -> impl Iterator<Item = &str> {
        let required = self.iter().filter(|item| item.need == Need::Required);
        required.flat_map(|item| item.action.commands()).map(String::as_str)
    }

    /// Returns true if nothing is required or advised, as for a config without services.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl<'a> IntoIterator for &'a Requirements {
    type Item = &'a Requirement;
    type IntoIter = std::slice::Iter<'a, Requirement>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Action {
    /// Returns the commands to run; none for [`Action::Look`] and [`Action::Know`].
    pub fn commands(&self) -> &[String] {
        match self {
            Action::Run(commands) => commands,
            Action::Look(_) | Action::Know => &[],
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Role::Director => f.write_str("director"),
            Role::RealServer(ip) => write!(f, "real server {ip}"),
        }
    }
}
