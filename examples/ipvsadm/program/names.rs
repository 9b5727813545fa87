//! Names of hosts and services, both ways.
//!
//! Services are those of `/etc/services`. The system's resolver looks hosts up. The
//! standard library has no reverse lookup, so addresses get their names from `/etc/hosts` only: no name
//! server is asked, and unknown addresses print as numbers.

use std::cell::OnceCell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};

/// The names in this host's files, read at first use.
#[derive(Debug, Default)]
pub(crate) struct Names {
    services: OnceCell<Vec<Service>>,
    hosts: OnceCell<Vec<(IpAddr, String)>>,
}

#[derive(Debug)]
struct Service {
    port: u16,
    protocol: String,
    /// The official one first.
    names: Vec<String>,
}

impl Names {
    /// The same `HOST[:PORT]` with numbers instead of names; unchanged if there is nothing to look up or
    /// nothing was found. `protocol` is the port's, if known.
    pub(crate) fn resolve(&self, text: &str, protocol: Option<&str>) -> String {
        let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
            Some((host, port)) => (format!("[{}]", self.host(host)), Some(port)),
            None if text.parse::<IpAddr>().is_ok() || text.starts_with('[') => {
                return text.to_owned();
            }
            None => match text.split_once(':') {
                Some((host, port)) => (self.host(host), Some(port)),
                None => (self.host(text), None),
            },
        };
        match port {
            Some(port) => format!("{host}:{}", self.port(port, protocol)),
            None => host,
        }
    }

    fn host(&self, host: &str) -> String {
        // 0x7f.1 is a number to the C library, and so to the parser.
        let may_be_name = host.contains(|c: char| c.is_ascii_alphabetic())
            && !host.contains(':')
            && !host.starts_with("0x")
            && !host.starts_with("0X");
        let found = may_be_name.then(|| first_ipv4(host)).flatten();
        found.map_or_else(|| host.to_owned(), |ip| ip.to_string())
    }

    fn port(&self, port: &str, protocol: Option<&str>) -> String {
        let named = |service: &&Service| {
            Some(service.protocol.as_str()) == protocol && service.names.iter().any(|n| n == port)
        };
        match self.services().iter().find(named) {
            Some(service) => service.port.to_string(),
            None => port.to_owned(),
        }
    }

    /// An `ADDRESS:PORT` with known names.
    pub(crate) fn name(&self, address: &str, protocol: Option<&str>) -> String {
        let Ok(parsed) = address.parse::<SocketAddr>() else { return address.to_owned() };
        let Some((numeric, _)) = address.rsplit_once(':') else { return address.to_owned() };
        let host = self.hosts().iter().find(|(ip, _)| *ip == parsed.ip()).map(|(_, name)| name);
        let host = match (host, parsed.ip()) {
            (None, _) => numeric.to_owned(),
            (Some(name), IpAddr::V4(_)) => name.clone(),
            (Some(name), IpAddr::V6(_)) => format!("[{name}]"),
        };
        let is_it = |service: &&Service| {
            service.port == parsed.port() && Some(service.protocol.as_str()) == protocol
        };
        match self.services().iter().find(is_it).and_then(|service| service.names.first()) {
            Some(name) => format!("{host}:{name}"),
            None => format!("{host}:{}", parsed.port()),
        }
    }

    fn services(&self) -> &[Service] {
        self.services.get_or_init(|| {
            lines("/etc/services").iter().filter_map(|words| service(words)).collect()
        })
    }

    fn hosts(&self) -> &[(IpAddr, String)] {
        self.hosts.get_or_init(|| {
            let host = |words: &Vec<String>| {
                Some((words.first()?.parse::<IpAddr>().ok()?, words.get(1)?.clone()))
            };
            lines("/etc/hosts").iter().filter_map(host).collect()
        })
    }
}

/// ipvsadm also accepts only IPv4 addresses for names.
fn first_ipv4(host: &str) -> Option<Ipv4Addr> {
    (host, 0).to_socket_addrs().ok()?.find_map(|address| match address.ip() {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    })
}

fn service(words: &[String]) -> Option<Service> {
    let (port, protocol) = words.get(1)?.split_once('/')?;
    let names = words.first().into_iter().chain(words.iter().skip(2)).cloned();
    let protocol = protocol.to_owned();
    Some(Service { port: port.parse().ok()?, protocol, names: names.collect() })
}

/// Lines of words without comments; empty if the file does not exist.
fn lines(path: &str) -> Vec<Vec<String>> {
    let bytes = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let words = |line: &str| {
        let line = line.split('#').next().unwrap_or_default();
        line.split_whitespace().map(str::to_owned).collect()
    };
    text.lines().map(words).collect()
}
