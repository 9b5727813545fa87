//! One administrative command, and what it does to a [`Config`].

use std::net::SocketAddr;

use ahash::HashMap;

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
        Editor::new(self).execute(command)
    }
}

/// Commands on one config, each in O(1) unless it deletes.
pub(crate) struct Editor<'c> {
    config: &'c mut Config,
    /// Place of each service, and of each of its servers once it was asked for one.
    places: HashMap<ServiceKey, (usize, Option<HashMap<SocketAddr, usize>>)>,
}

impl<'c> Editor<'c> {
    pub(crate) fn new(config: &'c mut Config) -> Self {
        let mut editor = Editor { config, places: HashMap::default() };
        editor.find_services();
        editor
    }

    fn find_services(&mut self) {
        let services = self.config.services.iter().enumerate();
        self.places = services.map(|(place, service)| (service.service, (place, None))).collect();
    }

    pub(crate) fn execute(&mut self, command: &Command) -> Result<(), CommandError> {
        match command {
            Command::AddService(service) => {
                if self.places.contains_key(&service.service) {
                    return Err(CommandError::service_exists(service.service));
                }
                self.places.insert(service.service, (self.config.services.len(), None));
                self.config.services.push(service.settings());
            }
            Command::EditService(settings) => {
                let (service, _) = self.existing(&settings.service)?;
                let servers = std::mem::take(&mut service.servers);
                *service = VirtualService { servers, ..settings.settings() };
            }
            Command::DeleteService(key) => {
                self.existing(key)?;
                self.config.services.retain(|service| service.service != *key);
                self.find_services();
            }
            Command::Clear => {
                self.config.services.clear();
                self.places.clear();
            }
            Command::AddServer { service: key, server } => {
                let (service, places) = self.existing(key)?;
                if places.contains_key(&server.address) {
                    return Err(CommandError::server_exists(key, server.address));
                }
                places.insert(server.address, service.servers.len());
                service.servers.push(*server);
            }
            Command::EditServer { service: key, server } => {
                let (service, places) = self.existing(key)?;
                let place = places.get(&server.address);
                let known = place.and_then(|place| service.servers.get_mut(*place));
                *known.ok_or_else(|| CommandError::no_server(key, server.address))? = *server;
            }
            Command::DeleteServer { service: key, server } => {
                let (service, places) = self.existing(key)?;
                if places.remove(server).is_none() {
                    return Err(CommandError::no_server(key, *server));
                }
                service.servers.retain(|known| known.address != *server);
                *places = find_servers(service);
            }
        }
        Ok(())
    }

    fn existing(
        &mut self,
        key: &ServiceKey,
    ) -> Result<(&mut VirtualService, &mut HashMap<SocketAddr, usize>), CommandError> {
        let found = self.places.get_mut(key);
        let found = found.and_then(|(place, servers)| {
            let service = self.config.services.get_mut(*place)?;
            let servers = servers.get_or_insert_with(|| find_servers(service));
            Some((service, servers))
        });
        found.ok_or_else(|| CommandError::no_service(key))
    }
}

fn find_servers(service: &VirtualService) -> HashMap<SocketAddr, usize> {
    let servers = service.servers.iter().enumerate();
    servers.map(|(place, server)| (server.address, place)).collect()
}
