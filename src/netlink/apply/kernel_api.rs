//! What carrying out needs of a kernel; behind a trait, so that the same code runs against a
//! simulated one, which can be made to fail at every single moment.

use crate::config::{ObservedServer, ServiceKey};
use crate::netlink::{Error, Failure, Kernel, Reading, Request, Stopped};

pub(in crate::netlink) trait KernelApi {
    /// As [`Kernel::execute`], with at most so many requests in one system call.
    fn execute(&mut self, requests: &[Request], batch: usize) -> Result<Vec<Failure>, Stopped>;
    /// Everything, read until it agrees with itself.
    fn read(&mut self) -> Result<Reading, Error>;
    /// A service's servers in one dump, which others' changes may have torn.
    fn servers_once(&mut self, key: &ServiceKey) -> Result<Vec<ObservedServer>, Error>;
    /// A service's servers, read until it agrees with itself.
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
