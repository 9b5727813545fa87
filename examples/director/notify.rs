//! Tells the service manager when the director is ready, reloads and stops: systemd's `sd_notify`
//! protocol, one datagram per message to the socket named by `$NOTIFY_SOCKET`.

use std::env;
use std::io::{self, ErrorKind};
use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::time::{ClockId, clock_gettime};

/// Without a service manager it does nothing.
pub(crate) struct Notifier {
    socket: Option<UnixDatagram>,
    /// The service manager waits for signs of life.
    watched: bool,
    /// The latest `STATUS=`.
    status: String,
}

impl Notifier {
    /// # Errors
    /// The variable is set, and names no socket that can be reached.
    pub(crate) fn from_environment() -> (Self, io::Result<()>) {
        let connected = match env::var("NOTIFY_SOCKET") {
            Ok(name) if !name.is_empty() => connect(&name).map(Some),
            _ => Ok(None),
        };
        let (socket, result) = match connected {
            Ok(socket) => (socket, Ok(())),
            Err(error) => (None, Err(error)),
        };
        let watched = env::var_os("WATCHDOG_USEC").is_some();
        (Notifier { socket, watched, status: String::new() }, result)
    }

    /// Start-up or a reload is done.
    pub(crate) fn ready(&mut self, status: &str) {
        status.clone_into(&mut self.status);
        self.send(&format!("READY=1\nSTATUS={status}"));
    }

    /// A reload begins. The service manager compares the time with that of its signal.
    pub(crate) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let microseconds = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"));
    }

    pub(crate) fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=stopping: open connections may finish");
    }

    /// Says that the program is alive, and its status if that has changed.
    pub(crate) fn alive(&mut self, status: &str) {
        if self.watched {
            self.send("WATCHDOG=1");
        }
        if status != self.status {
            status.clone_into(&mut self.status);
            self.send(&format!("STATUS={status}"));
        }
    }

    fn send(&self, message: &str) {
        if let Some(socket) = &self.socket {
            // Never waits: a message that finds no room is lost.
            let _ = socket.send(message.as_bytes());
        }
    }
}

/// A socket in the file system, or with `@` in Linux' abstract namespace.
fn connect(name: &str) -> io::Result<UnixDatagram> {
    let address = match (name.strip_prefix('@'), name.starts_with('/')) {
        (Some(name), _) => abstract_address(name),
        (None, true) => SocketAddr::from_pathname(name),
        (None, false) => Err(ErrorKind::Unsupported.into()),
    };
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{name}: {error}"));
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    address.and_then(|address| socket.connect_addr(&address)).map_err(named)?;
    Ok(socket)
}

#[cfg(target_os = "linux")]
fn abstract_address(name: &str) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt;
    SocketAddr::from_abstract_name(name.as_bytes())
}

#[cfg(not(target_os = "linux"))]
fn abstract_address(_: &str) -> io::Result<SocketAddr> {
    Err(ErrorKind::Unsupported.into())
}
