//! What to do with a packet of a known connection: forward it, schedule a new connection, or drop it.

/// What decides besides the packet and the connection's state: two sysctls, and facts from the plane's
/// tables. [`Context::default`] has the kernel's defaults, a server in service, and no control.
///
/// ```
/// use vsched::config::Forwarding;
/// use vsched::protocol::{Context, Direction, TcpConnection, TcpFlags, Verdict};
/// let mut connection = TcpConnection::new(Forwarding::Masq);
/// connection.packet(Direction::Client, TcpFlags::SYN);
/// connection.packet(Direction::Client, TcpFlags::FIN);
/// // The client uses its port again while the old connection waits to expire.
/// let verdict = |context| connection.verdict(TcpFlags::SYN, &context);
/// assert_eq!(verdict(Context::default()), Verdict::Reschedule);
/// assert_eq!(verdict(Context::default().with_conn_reuse_mode(0)), Verdict::Forward);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Context {
    /// `net.ipv4.vs.conn_reuse_mode`, default 1. 0: a tuple is never reused while its connection
    /// exists. Otherwise it is reused once the connection has ended; with bit 2 also in FIN_WAIT under
    /// NOOUTPUT.
    pub conn_reuse_mode: u32,
    /// `net.ipv4.vs.expire_nodest_conn`, default off: a connection ends once its server is removed, or
    /// once its server is quiesced and a packet starts a new connection with the same tuple.
    pub expire_nodest_conn: bool,
    /// Whether another connection or a persistence template controls this one. Then its tuple is not
    /// reused, because the new connection would get the same server again.
    pub controlled: bool,
    /// The connection's server.
    pub server: ServerNow,
}

impl Default for Context {
    fn default() -> Self {
        Context {
            conn_reuse_mode: 1,
            expire_nodest_conn: false,
            controlled: false,
            server: ServerNow::InService,
        }
    }
}

/// The current status of a known connection's server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum ServerNow {
    /// In the config with a weight above 0, overloaded or not.
    #[default]
    InService,
    /// In the config with weight 0.
    Quiesced,
    /// No longer in the config.
    Removed,
}

/// What to do with a packet of a known connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// Send it to the connection's server, and advance the connection's state.
    Forward,
    /// Treat it as a packet of no known connection: if it starts a connection, pick a server for it;
    /// otherwise it does not belong to a service. Close the old connection after the pick, which still
    /// counts it.
    Reschedule,
    /// Drop it silently. The connection stays, and continues if the server is added again.
    Drop,
}

impl Context {
    /// Returns the context with this `conn_reuse_mode`.
    pub const fn with_conn_reuse_mode(mut self, mode: u32) -> Self {
        self.conn_reuse_mode = mode;
        self
    }

    /// Returns the context with this `expire_nodest_conn`.
    pub const fn with_expire_nodest_conn(mut self, on: bool) -> Self {
        self.expire_nodest_conn = on;
        self
    }

    /// Returns the context of a connection that another one or a template controls, or none does.
    pub const fn with_controlled(mut self, controlled: bool) -> Self {
        self.controlled = controlled;
        self
    }

    /// Returns the context with this status of the connection's server.
    pub const fn with_server(mut self, server: ServerNow) -> Self {
        self.server = server;
        self
    }

    /// The rules in the kernel's order. `begins`: the packet is a SYN or INIT; `ended`: the state allows
    /// a new connection to reuse the tuple.
    pub(super) fn verdict(&self, begins: bool, ended: bool) -> Verdict {
        let quiesced = self.expire_nodest_conn && self.server == ServerNow::Quiesced;
        let reused = self.conn_reuse_mode != 0 && !self.controlled && ended;
        let removed = self.server == ServerNow::Removed;
        if begins && (quiesced || reused) || removed && self.expire_nodest_conn {
            Verdict::Reschedule
        } else if removed {
            Verdict::Drop
        } else {
            Verdict::Forward
        }
    }
}
