//! Sockets in another network namespace.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use super::error::Error;
use super::socket::{OptionSocket, Socket, enter_network_namespace};

/// A network namespace. Each one has its own IPVS.
///
/// ```
/// use vsched::netlink::Namespace;
/// assert_eq!(Namespace::of_process(7), Namespace::at("/proc/7/ns/net"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Namespace {
    path: PathBuf,
}

/// The sockets of a connection, all in one network namespace.
pub(super) struct Sockets {
    pub(super) netlink: [Socket; 2],
    /// `None` where the kernel lacks it; reading works without.
    pub(super) options: Option<OptionSocket>,
}

impl Sockets {
    /// Opens the sockets in the thread's namespace.
    pub(super) fn open() -> io::Result<Self> {
        let netlink = [Socket::open()?, Socket::open()?];
        Ok(Sockets { netlink, options: OptionSocket::open().ok() })
    }
}

impl Namespace {
    /// The namespace that is mounted at a path, such as `/run/netns/blue`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Namespace { path: path.into() }
    }

    /// The namespace of a process.
    pub fn of_process(id: u32) -> Self {
        Namespace::at(format!("/proc/{id}/ns/net"))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the sockets there: a socket stays in the namespace where it was created.
    pub(super) fn open(&self) -> Result<Sockets, Error> {
        self.within(Sockets::open)
    }

    /// Runs `work` there, on a temporary thread: the caller's thread never leaves its own namespace.
    pub(super) fn within<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let path = self.path.clone();
        let working = thread::Builder::new().name("netns".into()).spawn(move || {
            enter_network_namespace(&File::open(path)?)?;
            work()
        });
        let done = working.and_then(|thread| {
            thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread there panicked")))
        });
        done.map_err(|source| Error::Namespace { path: self.path.clone(), source })
    }
}
