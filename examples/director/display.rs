//! What the operator sees. Only the main thread writes, so lines and the live table never mix.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use vsched::config::listing::Listing;
use vsched::config::{ObservedService, Protocol, ServiceKey};
use vsched::{Director, Flow, RemovedServer, ServiceId};

/// A live table that is taller than the terminal could not be erased.
const LIVE_LINES: usize = 20;

pub(crate) struct Screen {
    terminal: bool,
    /// The live table at the end of the screen.
    live: String,
}

impl Screen {
    pub(crate) fn new() -> Self {
        Screen { terminal: io::stdout().is_terminal(), live: String::new() }
    }

    /// Prints permanent text. If the reader is gone, the director still relays.
    pub(crate) fn print(&mut self, text: &str) {
        self.erase();
        let mut stdout = io::stdout().lock();
        let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    }

    /// Prints a line of the log.
    pub(crate) fn note(&mut self, text: &str) {
        self.erase();
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// Updates the live table, on a terminal.
    pub(crate) fn refresh(&mut self, table: &str) {
        if !self.terminal {
            return;
        }
        let mut live: String = table.lines().take(LIVE_LINES).flat_map(|l| [l, "\n"]).collect();
        if table.lines().count() > LIVE_LINES {
            live.push_str("  ... (signal USR1 prints the whole table)\n");
        }
        if live != self.live {
            self.print(&live);
            self.live = live;
        }
    }

    fn erase(&mut self) {
        let lines = self.live.lines().count();
        if lines > 0 {
            // Move up to the table's first line, and erase everything below.
            let _ = write!(io::stdout(), "\x1b[{lines}F\x1b[J");
            self.live.clear();
        }
    }
}

/// Which server a new client would get of each service, and why.
pub(crate) fn explanations(director: &Director) -> String {
    let explain = |(id, observed): (ServiceId, ObservedService)| {
        let ServiceKey::Address { address, .. } = observed.settings.key else { return None };
        let client: IpAddr = match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        let flow = match observed.settings.key.protocol() {
            Some(Protocol::Udp) => Flow::udp,
            _ => Flow::tcp,
        };
        director.explain(id, &flow(SocketAddr::new(client, 0), address))
    };
    let explained = director.services().into_iter().filter_map(explain);
    explained.fold(String::new(), |text, explanation| format!("{text}\n{explanation}"))
}

/// The table as `ipvsadm -L -n` prints it, and removed servers that still have connections.
pub(crate) fn table(director: &Director) -> String {
    let mut table = Listing::new(&director.observe()).to_string();
    let removed = director.removed_with_connections();
    if !removed.is_empty() {
        let _ = writeln!(table, "Removed servers with open connections: {}", removed.len());
    }
    for RemovedServer { service, server, active, inactive, .. } in removed {
        let _ = writeln!(
            table,
            "  {server} of service {service}: {active} active, {inactive} inactive"
        );
    }
    table
}
