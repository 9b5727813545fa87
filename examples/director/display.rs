//! What the operator sees. Only the main thread writes, so lines and the live table never mix.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use vsched::config::listing::Listing;
use vsched::config::{ObservedService, ServiceKey};
use vsched::{Director, Flow, RemovedServer, ServiceId};

use crate::log::{Entry, Log};
use crate::snapshot::{ServerRow, ServiceRow, Snapshot};

/// A live table that is taller than the terminal could not be erased.
const LIVE_LINES: usize = 20;

/// Columns of a terminal that does not say how many it has.
const COLUMNS: usize = 80;

pub(crate) struct Screen {
    terminal: bool,
    /// The live table at the end of the screen.
    live: String,
    pub(crate) log: Log,
}

impl Screen {
    pub(crate) fn new() -> Self {
        Screen { terminal: io::stdout().is_terminal(), live: String::new(), log: Log::new() }
    }

    /// Prints permanent text. If the reader is gone, the director still relays.
    pub(crate) fn print(&mut self, text: &str) {
        self.erase();
        let mut stdout = io::stdout().lock();
        let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    }

    /// Writes an entry of the log.
    pub(crate) fn log(&mut self, entry: Entry) {
        self.erase();
        let _ = writeln!(io::stderr(), "{}", self.log.add(entry));
    }

    /// Updates the live table, on a terminal.
    pub(crate) fn refresh(&mut self, table: &str) {
        if !self.terminal {
            return;
        }
        let columns = columns();
        // A line that wraps could not be erased.
        let cut = |line: &str| line.chars().take(columns).chain(['\n']).collect::<String>();
        let mut live: String = table.lines().take(LIVE_LINES).map(cut).collect();
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

fn columns() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stdout());
    size.ok().map(|size| size.ws_col.into()).filter(|columns| *columns > 0).unwrap_or(COLUMNS)
}

/// What has happened so far: connections, the share of them that each server should have and had in the
/// last minute, failed attempts, states.
pub(crate) fn progress(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    for service in &snapshot.services {
        // Writing to a string cannot fail.
        let _ = progress_of(&mut text, service);
    }
    text
}

fn progress_of(out: &mut String, service: &ServiceRow) -> std::fmt::Result {
    let ServiceRow { key, connections, unanswered, .. } = service;
    let scheduler = service.scheduler.unwrap_or("no scheduler");
    write!(out, "{key} {scheduler}: {connections} connections")?;
    if *unanswered > 0 {
        write!(out, ", {unanswered} unanswered")?;
    }
    let panics = if service.panics { ", panics: all servers take part" } else { "" };
    writeln!(out, "{panics}\n  {HEADER}")?;
    let percent = |share: Option<f64>| match share {
        Some(share) => format!("{:.0} %", share * 100.0),
        None => "-".to_owned(),
    };
    for server in &service.servers {
        let ServerRow { address, weight, active, inactive, connections, failed, .. } = server;
        let (wanted, had) = (percent(server.wanted), percent(server.had));
        let address = address.to_string();
        write!(
            out,
            "  {address:<21} {weight:>6} {active:>6} {inactive:>5} {connections:>8} {wanted:>6} \
             {had:>5} {failed:>6} {}",
            server.state
        )?;
        match (server.note, server.progress) {
            (_, Some(progress)) => write!(out, ", slow start {progress} %")?,
            (Some(note), None) => write!(out, ", {note}")?,
            (None, None) => {}
        }
        for hold in &server.holds {
            write!(out, ", {hold}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

const HEADER: &str = "server                weight active inact    total wanted   had failed state";

/// Which server a new client would get of each service, and why.
pub(crate) fn explanations(director: &Director) -> String {
    let explain = |(id, observed): (ServiceId, ObservedService)| {
        let ServiceKey::Address { address, .. } = observed.settings.key else { return None };
        let client: IpAddr = match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        director.explain(id, &Flow::tcp(SocketAddr::new(client, 0), address))
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
