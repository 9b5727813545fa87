//! One administrative command, and what it does to a [`Config`].

use std::net::SocketAddr;

use crate::config::{Config, RealServer, ServiceKey, VirtualService};
use crate::error::CommandError;

/// One administrative command, as an `ipvsadm` command line gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `-A`: a new virtual service, without servers.
    AddService(VirtualService),
    /// `-E`: new settings for a service; its servers stay.
    EditService(VirtualService),
    /// `-D`: a service goes, with its servers.
    DeleteService(ServiceKey),
    /// `-C`: all services go.
    Clear,
    /// `-a`: a new server, at the head of the service's list.
    AddServer {
        /// The service.
        service: ServiceKey,
        /// The server.
        server: RealServer,
    },
    /// `-e`: a new description of a server; its counts and its place in the list stay.
    EditServer {
        /// The service.
        service: ServiceKey,
        /// The server.
        server: RealServer,
    },
    /// `-d`: a server goes; its connections stay counted until they close.
    DeleteServer {
        /// The service.
        service: ServiceKey,
        /// The server.
        server: SocketAddr,
    },
}

impl Config {
    /// Does to this config what the command does to a kernel.
    ///
    /// # Errors
    /// What the kernel would refuse: a service or server that exists already or does not exist.
    /// Nothing is changed then. Limits are the affair of [`Config::validate`].
    pub fn execute(&mut self, command: &Command) -> Result<(), CommandError> {
        match command {
            Command::AddService(service) => {
                if self.service(&service.service).is_some() {
                    return Err(CommandError::ServiceExists(service.service));
                }
                self.services.push(service.settings());
            }
            Command::EditService(settings) => {
                let service = self.existing(&settings.service)?;
                let servers = std::mem::take(&mut service.servers);
                *service = VirtualService {
                    servers,
                    ..settings.settings()
                };
            }
            Command::DeleteService(key) => {
                self.existing(key)?;
                self.services.retain(|service| service.service != *key);
            }
            Command::Clear => self.services.clear(),
            Command::AddServer { service, server } => {
                let found = self.existing(service)?;
                if found
                    .servers
                    .iter()
                    .any(|known| known.address == server.address)
                {
                    return Err(CommandError::ServerExists(*service, server.address));
                }
                found.servers.push(*server);
            }
            Command::EditServer { service, server } => {
                let found = self.existing(service)?;
                let known = found
                    .servers
                    .iter_mut()
                    .find(|known| known.address == server.address)
                    .ok_or(CommandError::NoServer(*service, server.address))?;
                *known = *server;
            }
            Command::DeleteServer { service, server } => {
                let found = self.existing(service)?;
                let at = found
                    .servers
                    .iter()
                    .position(|known| known.address == *server)
                    .ok_or(CommandError::NoServer(*service, *server))?;
                found.servers.remove(at);
            }
        }
        Ok(())
    }

    fn existing(&mut self, key: &ServiceKey) -> Result<&mut VirtualService, CommandError> {
        self.service_mut(key).ok_or(CommandError::NoService(*key))
    }
}
