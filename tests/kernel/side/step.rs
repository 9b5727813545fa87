//! One step of a script, and its form in a report: commands as ipvsadm lines, packets as in a log.

use std::fmt;
use std::net::SocketAddr;

use vsched::Flow;
use vsched::config::{
    Command, Config, Protocol, RealServer, ServiceKey, ServiceSettings, VirtualService,
};
use vsched::protocol::{SctpChunks, TcpFlags};

use crate::side::packet::Packet;

/// Names a connection, and where its packets come from: all there is on the way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Tuple {
    pub(super) protocol: Protocol,
    pub(super) client: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) mark: u32,
}

/// What a packet says about its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    Tcp(TcpFlags),
    Udp,
    Sctp(SctpChunks),
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Command(Command),
    /// A client's packet.
    Packet(Tuple, Signal),
    /// A real server's packet, if the connection has one that answers this way.
    Reply(Tuple, Signal),
    /// These connections are closed and expire.
    Expire(Vec<Tuple>),
}

/// What is set once for each script.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub(super) conn_reuse_mode: u32,
    pub(super) expire_nodest_conn: bool,
    pub(super) expire_quiescent_template: bool,
}

impl Tuple {
    pub(super) fn flow(&self) -> Flow {
        Flow::new(self.protocol.number(), self.client, self.to).with_fwmark(self.mark)
    }

    pub(super) fn packet(&self, signal: Signal) -> Packet {
        Packet { from: self.client, to: self.to, signal }
    }

    /// What begins a connection.
    pub(super) fn beginning(&self) -> Signal {
        match self.protocol {
            Protocol::Tcp => Signal::Tcp(TcpFlags::SYN),
            Protocol::Udp => Signal::Udp,
            _ => Signal::Sctp(SctpChunks::one(SctpChunks::INIT)),
        }
    }
}

impl Signal {
    pub(super) fn protocol(self) -> Protocol {
        match self {
            Signal::Tcp(_) => Protocol::Tcp,
            Signal::Udp => Protocol::Udp,
            Signal::Sctp(_) => Protocol::Sctp,
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Signal::Tcp(flags) => {
                let names = [(TcpFlags::SYN, "SYN"), (TcpFlags::FIN, "FIN")];
                let more = [(TcpFlags::RST, "RST"), (TcpFlags::ACK, "ACK")];
                let names = names.into_iter().chain(more);
                let set = names.filter(|(flag, _)| flags.has(*flag)).map(|(_, name)| name);
                f.write_str(&set.collect::<Vec<_>>().join("+"))
            }
            Signal::Udp => f.write_str("datagram"),
            Signal::Sctp(SctpChunks { first, second: None, .. }) => write!(f, "chunk {first}"),
            Signal::Sctp(SctpChunks { first, second: Some(second), .. }) => {
                write!(f, "chunks {first}+{second}")
            }
        }
    }
}

impl fmt::Display for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} > {}", self.protocol.name(), self.client, self.to)?;
        if self.mark == 0 { Ok(()) } else { write!(f, " mark {}", self.mark) }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Command(command) => f.write_str(&words(command)),
            Step::Packet(tuple, signal) => write!(f, "{tuple} {signal}"),
            Step::Reply(tuple, signal) => write!(f, "answer to {tuple} {signal}"),
            Step::Expire(tuples) => {
                f.write_str("close and let expire:")?;
                tuples.iter().try_for_each(|tuple| write!(f, " {tuple};"))
            }
        }
    }
}

/// As a line of ipvsadm.
fn words(command: &Command) -> String {
    let rules =
        |service: VirtualService| Config::new().with_service(service).to_rules().to_string();
    let line = |service: VirtualService, option: &str| {
        let rules = rules(service);
        let last = rules.lines().last().unwrap_or_default();
        format!("{option}{}", &last[2..])
    };
    let about = |service: &ServiceKey, server: &RealServer, option: &str| {
        line(VirtualService::new(*service).with_server(server.clone()), option)
    };
    let empty = |service: &ServiceSettings| service.clone().with_servers(Vec::new());
    match command {
        Command::AddService(service) => line(empty(service), "-A"),
        Command::EditService(service) => line(empty(service), "-E"),
        Command::DeleteService(key) => format!("delete service {key}"),
        Command::Clear => "-C".into(),
        Command::AddServer { service, server } => about(service, server, "-a"),
        Command::EditServer { service, server } => about(service, server, "-e"),
        Command::DeleteServer { service, server } => format!("delete {server} from {service}"),
        other => format!("{other:?}"),
    }
}
