//! What becomes of a connection that a packet was found to belong to.

/// What decides besides the packet and the connection's own state: two sysctls and what the plane's
/// tables say. [`Context::default`] is the kernel's defaults, a server in service, no control.
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
/// assert_eq!(verdict(Context { conn_reuse_mode: 0, ..Context::default() }), Verdict::Forward);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Context {
    /// `net.ipv4.vs.conn_reuse_mode`, default 1. 0: a tuple is never reused while its connection
    /// exists. Otherwise it is once that has ended; with bit 2 also in FIN_WAIT under NOOUTPUT.
    pub conn_reuse_mode: u32,
    /// `net.ipv4.vs.expire_nodest_conn`, default off: connections end with their server's service.
    pub expire_nodest_conn: bool,
    /// Whether another connection or a persistence template controls this one: then its tuple is
    /// not reused, since the new connection would belong to the same server again.
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

/// How the server of a known connection stands now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
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
pub enum Verdict {
    /// Send it to the connection's server, and move the connection's state.
    Forward,
    /// Treat it as a packet of no connection: if it schedules, a server is picked for it, otherwise
    /// it is not ours. The old connection ends after the pick, which still counts it.
    Reschedule,
    /// Drop it silently. The connection stays and goes on if the server is added again.
    Drop,
}

impl Context {
    /// The rules in the kernel's order: `begins` says that the packet is a SYN or INIT, `ended`
    /// that the state lets a new connection take the tuple.
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
