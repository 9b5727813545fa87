//! The running state as text: the views of `ipvsadm -L -n`, byte for byte.
//!
//! ```
//! use vsched::config::listing::{Listing, View};
//! use vsched::config::{Config, Observed, RealServer, ServiceKey, VirtualService};
//!
//! let service = ServiceKey::tcp("192.168.4.5:80".parse()?);
//! let server = RealServer::new("192.168.5.11:80".parse()?);
//! let config = Config::new().with_service(VirtualService::new(service).with_server(server));
//! let observed = Observed::from(&config);
//! assert_eq!(
//!     Listing::new(&observed).to_string(),
//!     "IP Virtual Server version 1.2.1 (size=4096)\n\
//!      Prot LocalAddress:Port Scheduler Flags\n\
//!      \x20 -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n\
//!      TCP  192.168.4.5:80 wlc\n\
//!      \x20 -> 192.168.5.11:80              Route   1      0          0         \n"
//! );
//! println!("{}", Listing::new(&observed).view(View::Statistics).only(&service));
//! # Ok::<(), std::net::AddrParseError>(())
//! ```

mod cell;
mod line;

use std::fmt;

use crate::config::{Observed, ObservedServer, ObservedService, ServiceKey, order};

/// What a [`Listing`] shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum View {
    /// Forwarding, weight, connections: `-L -n`.
    #[default]
    Plain,
    /// Totals: `-L -n --stats`.
    Statistics,
    /// Rates per second: `-L -n --rate`.
    Rates,
    /// Connection limits: `-L -n --thresholds`.
    Thresholds,
    /// Persistence templates: `-L -n --persistent-conn`.
    PersistentConnections,
    /// Encapsulation of tunneled packets: `-L -n --tun-info`.
    TunnelInfo,
}

/// The text of `ipvsadm -L -n`, to be printed or compared.
///
/// Equals what ipvsadm 1.31 prints, including blanks at the ends of lines, with one difference: ipvsadm
/// truncates a server's counts of connections and packets to 32 bits; here they are complete.
#[derive(Debug, Clone, Copy)]
pub struct Listing<'a> {
    observed: &'a Observed,
    view: View,
    exact: bool,
    unsorted: bool,
    only: Option<ServiceKey>,
    table_size: u32,
}

impl<'a> Listing<'a> {
    /// Returns the plain view of everything, sorted.
    pub fn new(observed: &'a Observed) -> Self {
        Listing {
            observed,
            view: View::Plain,
            exact: false,
            unsorted: false,
            only: None,
            table_size: 4096,
        }
    }

    /// Returns the listing in another view.
    #[must_use]
    pub fn view(mut self, view: View) -> Self {
        self.view = view;
        self
    }

    /// Returns the listing with exact numbers (`--exact`) instead of shortened to K, M, G or T.
    #[must_use]
    pub fn exact(mut self) -> Self {
        self.exact = true;
        self
    }

    /// Returns the listing in list order (`--nosort`): a service's newest server first.
    #[must_use]
    pub fn unsorted(mut self) -> Self {
        self.unsorted = true;
        self
    }

    /// Returns the listing of one service only, without the version line, as `ipvsadm -L -n -t …` prints
    /// it. Prints nothing at all if there is no such service.
    #[must_use]
    pub fn only(mut self, service: &ServiceKey) -> Self {
        self.only = Some(*service);
        self
    }

    /// Returns the listing with this size of the kernel's connection table in the version line; the
    /// default is 4096.
    #[must_use]
    pub fn connection_table_size(mut self, size: u32) -> Self {
        self.table_size = size;
        self
    }

    fn services(&self) -> Vec<&'a ObservedService> {
        let mut services: Vec<_> = self
            .observed
            .services
            .iter()
            .filter(|service| self.only.is_none_or(|only| only == service.settings.key))
            .collect();
        if !self.unsorted {
            order::services(&mut services, |service| service.settings.key);
        }
        services
    }

    fn servers(&self, service: &'a ObservedService) -> Vec<&'a ObservedServer> {
        let mut servers: Vec<_> = service.servers.iter().collect();
        if !self.unsorted {
            order::servers(&mut servers, |server| server.server.address);
        }
        servers
    }
}

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let services = self.services();
        if self.only.is_none() {
            let size = self.table_size;
            writeln!(f, "IP Virtual Server version 1.2.1 (size={size})")?;
        } else if services.is_empty() {
            return Ok(());
        }
        self.write_titles(f)?;
        for service in services {
            self.write_service(f, service)?;
            for server in self.servers(service) {
                self.write_server(f, server)?;
            }
        }
        Ok(())
    }
}
