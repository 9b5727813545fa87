//! The operations of a kernel that `apply` needs. A trait, so that the same code runs against a simulated
//! kernel, which tests can make fail at every request.

use crate::config::{ObservedServer, ServiceKey};
use crate::netlink::{Error, Failure, Kernel, Reading, Request, Stopped};

pub(in crate::netlink) trait KernelApi {
    /// As [`Kernel::execute`], with at most so many requests in one system call.
    fn execute(&mut self, requests: &[Request], batch: usize) -> Result<Vec<Failure>, Stopped>;
    /// Reads everything until two readings agree.
    fn read(&mut self) -> Result<Reading, Error>;
    /// Reads a service's servers in one dump, which may be inconsistent if others change them.
    fn servers_once(&mut self, key: &ServiceKey) -> Result<Vec<ObservedServer>, Error>;
    /// Reads a service's servers until two readings agree.
    fn servers(&mut self, key: &ServiceKey) -> Result<Vec<ObservedServer>, Error>;
}

impl KernelApi for Kernel {
    fn execute(&mut self, requests: &[Request], batch: usize) -> Result<Vec<Failure>, Stopped> {
        self.execute_in(requests, batch)
    }

    fn read(&mut self) -> Result<Reading, Error> {
        Kernel::read(self)
    }

    fn servers_once(&mut self, key: &ServiceKey) -> Result<Vec<ObservedServer>, Error> {
        self.known_servers_once(key)
    }

    fn servers(&mut self, key: &ServiceKey) -> Result<Vec<ObservedServer>, Error> {
        self.known_servers(key)
    }
}
