//! Facts about the hosts that a config does not contain.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::Family;

/// Facts about the hosts that a config does not contain and some commands need. Facts that are not set
/// appear in the commands as shell variables.
///
/// ```
/// use vsched::requirements::Site;
/// let site = Site::default()
///     .with_director("192.168.5.5".parse()?)
///     .with_director("2001:db8:5::5".parse()?)
///     .with_interface("eth0");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Site {
    interface: Option<String>,
    director: Option<Ipv4Addr>,
    director6: Option<Ipv6Addr>,
}

impl Site {
    /// Returns the site with this address of the director on the real servers' side, also called the
    /// DIP; one per address family.
    #[must_use]
    pub fn with_director(mut self, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(ip) => self.director = Some(ip),
            IpAddr::V6(ip) => self.director6 = Some(ip),
        }
        self
    }

    /// Returns the site with this name of the director's interface on the clients' side.
    #[must_use]
    pub fn with_interface(mut self, name: impl Into<String>) -> Self {
        self.interface = Some(name.into());
        self
    }

    pub(super) fn director(&self, family: Family) -> Option<IpAddr> {
        match family {
            Family::Inet => self.director.map(IpAddr::V4),
            Family::Inet6 => self.director6.map(IpAddr::V6),
        }
    }

    /// The director's address as a word of a command.
    pub(super) fn director_word(&self, family: Family) -> String {
        let variable = match family {
            Family::Inet => "$DIP",
            Family::Inet6 => "$DIP6",
        };
        self.director(family).map_or_else(|| variable.to_owned(), |ip| ip.to_string())
    }

    /// The interface as a word of a command. A name may contain anything except blanks and slashes; one
    /// that is not safe for a terminal or a log becomes a call of `printf`.
    pub(super) fn interface_word(&self) -> Cow<'_, str> {
        let Some(name) = &self.interface else {
            return "$DEV".into();
        };
        if name.chars().all(|c| c.is_ascii_alphanumeric() || "._-@:".contains(c)) {
            return name.into();
        }
        if name.chars().any(|c| !(c.is_ascii_graphic() || c == ' ')) {
            let bytes = name.bytes().map(|byte| format!("\\{byte:03o}"));
            return format!("\"$(printf '{}')\"", bytes.collect::<String>()).into();
        }
        format!("'{}'", name.replace('\'', r"'\''")).into()
    }
}

#[cfg(test)]
#[path = "site_tests.rs"]
mod tests;
