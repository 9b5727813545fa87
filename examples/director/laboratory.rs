//! The classic laboratory on loopback addresses: a director and two real servers.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use crate::http::{self, Limits, Response, Site};

const DIRECTOR: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
const SERVERS: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 0, 0, 11), Ipv4Addr::new(127, 0, 0, 12)];

const FIRST_PORT: u16 = 8080;
/// Above it, the system assigns ports to outgoing connections.
const LAST_PORT: u16 = 32767;

/// For loads from this machine: no less than the director itself may have.
const LIMITS: Limits = Limits { connections: usize::MAX, time: Duration::from_secs(900) };

pub(crate) struct Laboratory {
    /// The virtual service's address, and the socket that holds it.
    pub(crate) address: SocketAddr,
    pub(crate) listener: TcpListener,
    /// The rules that an administrator would type.
    pub(crate) rules: String,
    /// True if the default port was in use.
    pub(crate) moved: bool,
}

impl Laboratory {
    /// Starts the web servers, all on one port: this one, or the first free one.
    pub(crate) fn start(port: Option<u16>) -> io::Result<Self> {
        let candidates = match port {
            Some(port) => port..=port,
            None => FIRST_PORT..=LAST_PORT,
        };
        let mut taken = io::Error::from(ErrorKind::AddrInUse);
        for port in candidates {
            match bind(port) {
                Ok((listener, servers)) => return Self::on(port, listener, servers),
                Err(error) if error.kind() == ErrorKind::AddrInUse => taken = error,
                Err(error) => return Err(error),
            }
        }
        Err(taken)
    }

    fn on(port: u16, listener: TcpListener, servers: Vec<TcpListener>) -> io::Result<Self> {
        let sites: io::Result<Vec<Site>> = servers.into_iter().map(web_server).collect();
        http::start("web-servers", sites?, LIMITS)?;
        let [first, second] = SERVERS;
        Ok(Laboratory {
            address: (DIRECTOR, port).into(),
            listener,
            rules: format!(
                "ipvsadm -A -t {DIRECTOR}:{port} -s wrr\n\
                 ipvsadm -a -t {DIRECTOR}:{port} -r {first}:{port} -m -w 2\n\
                 ipvsadm -a -t {DIRECTOR}:{port} -r {second}:{port} -m -w 1\n"
            ),
            moved: port != FIRST_PORT,
        })
    }
}

/// A tiny web server: it responds with its own address.
fn web_server(listener: TcpListener) -> io::Result<Site> {
    let body = format!("{}\n", listener.local_addr()?);
    let respond = move |_: &http::Request<'_>| Response::text("200 OK", body.as_str());
    Ok(Site { listener, headers: "", respond: Box::new(respond) })
}

fn bind(port: u16) -> io::Result<(TcpListener, Vec<TcpListener>)> {
    let bind = |ip: Ipv4Addr| {
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("{ip}:{port}: {error}"));
        TcpListener::bind((ip, port)).map_err(named)
    };
    let servers: io::Result<Vec<TcpListener>> = SERVERS.into_iter().map(bind).collect();
    Ok((bind(DIRECTOR)?, servers?))
}
