//! What each host must have for a config to work in the kernel.
//!
//! The rules of a virtual service are half of it. The director must take in the virtual address
//! and, for NAT, pass replies on; real servers must hold the virtual address and keep silent about
//! it, or send their replies back through the director. [`Config::requirements`] lists all that as
//! commands with reasons, and [`Requirements::check_local`] says what holds on this host.
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

/// Who has to fulfil a requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Role {
    /// The host that runs IPVS.
    Director,
    /// The real server with this address, under whatever ports.
    RealServer(IpAddr),
}

/// How much depends on a requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Need {
    /// Without it a client gets no answer, or one that the director did not choose.
    Required,
    /// It works without, until a case comes up that the reason names.
    Advised,
}

/// The part of a config that asks for a requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Origin {
    /// The virtual service.
    pub service: ServiceKey,
    /// Its real server; `None` if the service itself asks.
    pub server: Option<SocketAddr>,
}

/// What to do about a requirement.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Action {
    /// These commands fulfil it, as root, in this order. Running them again changes nothing or is
    /// refused as done already. They last until the next boot.
    Run(Vec<String>),
    /// No command can bring it about, such as a wire; this one shows whether it is so.
    Look(String),
    /// Nothing to run: to be known.
    Know,
}

/// A fact about a host that a program can check.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Check {
    /// A sysctl has one of these values.
    Sysctl {
        /// Its name with dots, such as `net.ipv4.ip_forward`.
        name: String,
        /// The values that will do, the best first.
        accepted: Vec<i32>,
    },
    /// An IPv4 setting of an interface has one of these values, where the greater of the
    /// interface's own and that of `all` counts.
    InterfaceSysctl {
        /// The last part of its name, such as `arp_ignore`.
        name: String,
        /// The interface; `None` is each one that speaks ARP.
        interface: Option<String>,
        /// The values that will do, the best first.
        accepted: Vec<i32>,
    },
    /// A module is loaded, or part of the kernel.
    Module {
        /// Its name, such as `ip_vs_wrr`.
        name: String,
    },
    /// A network interface exists and is up.
    InterfaceUp {
        /// Its name.
        name: String,
    },
    /// An address is this host's own.
    Address {
        /// The address.
        ip: IpAddr,
        /// The interface that must hold it; `None` is any. Of IPv4 addresses the files that are
        /// read here do not tell the interface: there, any will do.
        interface: Option<String>,
    },
    /// The default route leads through this gateway.
    DefaultRoute {
        /// The gateway; `None` if the [`Site`] does not tell.
        via: Option<IpAddr>,
        /// IPv4 or IPv6.
        family: Family,
    },
    /// The default route, if there is one, does not lead through this gateway.
    NoDefaultRoute {
        /// The gateway; `None` if the [`Site`] does not tell.
        via: Option<IpAddr>,
        /// IPv4 or IPv6.
        family: Family,
    },
    /// The route to an address has no gateway in it.
    OnLink {
        /// The address.
        ip: IpAddr,
    },
    /// A socket takes what is sent to this address and port.
    Listening {
        /// TCP, UDP or SCTP.
        protocol: Protocol,
        /// The address; a socket on every address will do.
        address: SocketAddr,
    },
}

/// One thing that a host must or should have.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Requirement {
    /// Who has to fulfil it.
    pub role: Role,
    /// How much depends on it.
    pub need: Need,
    /// Who asks for it, in the order of the config; never empty.
    pub origins: Vec<Origin>,
    /// Why, in one sentence.
    pub reason: String,
    /// What to do.
    pub action: Action,
    /// How a program can tell; `None` if no file does.
    pub check: Option<Check>,
}

/// What each host must and should have: each thing once, the director's first, then those of each
/// real server in the order of the config, in an order in which the commands can be run.
///
/// Displays as a text to read and to paste into a shell, grouped by host: everything in it but the
/// commands of what is required is a comment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct Requirements {
    list: Vec<Requirement>,
}

impl Config {
    /// What each host must and should have for this config to work in the kernel.
    ///
    /// A config does not know everything: the commands say `$DEV` (the interface that takes in the
    /// clients' packets), `$DIP` and `$DIP6` (the director's address on the real servers' side)
    /// and, for firewall marks, `$VIP` and `$PORT`. Set these in the shell, or tell them to
    /// [`requirements_at`](Config::requirements_at), as far as a [`Site`] can. O(n) in the servers.
    /// An invalid config gets requirements too, as far as they make sense.
    pub fn requirements(&self) -> Requirements {
        self.requirements_at(&Site::default())
    }

    /// The same with what is known of the hosts filled in.
    pub fn requirements_at(&self, site: &Site) -> Requirements {
        let mut collector = collect::Collector::new(site);
        director::collect(self, &mut collector);
        advice::collect(self, &mut collector);
        server::collect(self, &mut collector);
        Requirements { list: collector.finish() }
    }
}

impl Requirements {
    /// Each requirement, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Requirement> {
        self.list.iter()
    }

    /// Those of one host.
    #[must_use]
    pub fn of(&self, role: Role) -> Requirements {
        Requirements { list: self.iter().filter(|item| item.role == role).cloned().collect() }
    }

    /// The hosts, in order.
    pub fn roles(&self) -> Vec<Role> {
        let mut roles: Vec<Role> = self.iter().map(|item| item.role).collect();
        roles.dedup();
        roles
    }

    /// The commands that fulfil what is required, without what is advised.
    pub fn commands(&self) -> impl Iterator<Item = &str> {
        let required = self.iter().filter(|item| item.need == Need::Required);
        required.flat_map(|item| item.action.commands()).map(String::as_str)
    }

    /// True if nothing is required or advised, as for a config without services.
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
    /// The commands to run; none for [`Action::Look`] and [`Action::Know`].
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
