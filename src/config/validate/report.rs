//! Collects problems as they are found.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};

use crate::config::ServiceKey;
use crate::error::Problem;

/// Problems so far, in the order of the config.
#[derive(Default)]
pub(super) struct Problems {
    pub(super) problems: Vec<Problem>,
}

impl Problems {
    pub(super) fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.problems.push(Problem::new(path, message));
    }

    /// Problems of one item. Its path is formatted only if there are any.
    pub(super) fn item(&mut self, path: Path) -> Subject<'_> {
        Subject { report: self, path }
    }
}

/// The location of an item in the config.
#[derive(Clone, Copy)]
pub(super) enum Path {
    Daemon(&'static str),
    Service(ServiceKey),
    Server(ServiceKey, SocketAddr),
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Daemon(role) => write!(f, "daemon {role}"),
            Path::Service(key) => write!(f, "service {key}"),
            Path::Server(key, address) => write!(f, "service {key}: server {address}"),
        }
    }
}

/// Problems of one item of a config.
pub(super) struct Subject<'a> {
    report: &'a mut Problems,
    path: Path,
}

impl Subject<'_> {
    /// Adds a problem of one field.
    pub(super) fn add(&mut self, field: &str, message: impl Into<String>) {
        self.report.add(format!("{}: {field}", self.path), message);
    }

    /// Adds a problem of the item itself.
    pub(super) fn add_whole(&mut self, message: impl Into<String>) {
        self.report.add(self.path.to_string(), message);
    }

    /// Refuses parts of an IPv6 address (scope, flow label) that would give one address two identities.
    pub(super) fn check_identity(&mut self, address: SocketAddr) {
        let SocketAddr::V6(address) = address else {
            return;
        };
        if address.scope_id() != 0 {
            let scope = address.scope_id();
            self.add("address", format!("scope id {scope} is not 0; addresses here have no scope"));
        }
        if address.flowinfo() != 0 {
            let flow = address.flowinfo();
            self.add("address", format!("flow info {flow} is not 0; addresses here have no flow"));
        }
        if let Some(message) = mapped(*address.ip()) {
            self.add("address", message);
        }
    }
}

// The kernel refuses an IPv4-mapped server unless the address is on one of its interfaces. It accepts
// such a service, which then gets no IPv4 packets: those belong to IPv4 services.
fn mapped(ip: Ipv6Addr) -> Option<String> {
    let inner = ip.to_ipv4_mapped()?;
    Some(format!("{ip} is an IPv4 address in IPv6 form; write {inner}"))
}

/// `0 is outside 1 to 65507`.
pub(super) fn outside(
    value: impl fmt::Display,
    low: impl fmt::Display,
    high: impl fmt::Display,
) -> String {
    format!("{value} is outside {low} to {high}")
}
