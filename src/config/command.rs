//! One administrative command, and what it does to a [`Config`].

use std::net::SocketAddr;

use ahash::HashMap;

use crate::config::{Config, RealServer, ServiceKey, Setting, VirtualService, steps};
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
    /// `--set`, `--start-daemon`, `--vsched-seed` and others: a setting that is not a service's.
    Set(Setting),
}

impl Config {
    /// Does to this config what the command does to a kernel.
    ///
    /// # Errors
    /// What the kernel would refuse: a service, server or daemon that exists already or does not exist.
    /// Nothing is changed then. Limits are the affair of [`Config::validate`].
    pub fn execute(&mut self, command: &Command) -> Result<(), CommandError> {
        Editor::new(self).execute(command)
    }
}

/// Commands on one config, each in O(1): what is deleted keeps its place, empty, until the editor is
/// dropped.
pub(crate) struct Editor<'c> {
    config: &'c mut Config,
    /// Place of each service in the config.
    places: HashMap<ServiceKey, usize>,
    /// Beside the config's services.
    services: Vec<Edited>,
}

/// What an editor knows of a service.
#[derive(Default)]
struct Edited {
    deleted: bool,
    /// Made by the first command on a server of this service.
    servers: Option<EditedServers>,
}

/// What an editor knows of a service's servers.
struct EditedServers {
    /// Place of each server in the service's list.
    places: HashMap<SocketAddr, usize>,
    /// Beside the list: false for deleted servers.
    kept: Vec<bool>,
}

impl<'c> Editor<'c> {
    /// O(services).
    pub(crate) fn new(config: &'c mut Config) -> Self {
        let services = config.services.iter().zip(0..);
        steps::take(config.services.len());
        Editor {
            places: services.map(|(service, place)| (service.key, place)).collect(),
            services: config.services.iter().map(|_| Edited::default()).collect(),
            config,
        }
    }

    /// O(1); for the first server of a service O(servers).
    pub(crate) fn execute(&mut self, command: &Command) -> Result<(), CommandError> {
        match command {
            Command::AddService(service) => {
                if self.places.contains_key(&service.key) {
                    return Err(CommandError::service_exists(service.key));
                }
                self.places.insert(service.key, self.services.len());
                self.services.push(Edited::default());
                self.config.services.push(service.settings());
            }
            Command::EditService(settings) => {
                let (service, _) = self.existing(&settings.key)?;
                let servers = std::mem::take(&mut service.servers);
                *service = VirtualService { servers, ..settings.settings() };
            }
            Command::DeleteService(key) => {
                let (service, edited) = self.existing(key)?;
                service.servers = Vec::new();
                *edited = Edited { deleted: true, servers: None };
                self.places.remove(key);
            }
            Command::Clear => {
                self.config.services.clear();
                self.services.clear();
                // Not `clear`, which costs the capacity each time.
                self.places = HashMap::default();
            }
            Command::AddServer { service: key, server } => {
                let (service, servers) = self.servers(key)?;
                if servers.places.contains_key(&server.address) {
                    return Err(CommandError::server_exists(key, server.address));
                }
                servers.places.insert(server.address, servers.kept.len());
                servers.kept.push(true);
                service.servers.push(*server);
            }
            Command::EditServer { service: key, server } => {
                let (service, servers) = self.servers(key)?;
                let place = servers.places.get(&server.address);
                let known = place.and_then(|place| service.servers.get_mut(*place));
                *known.ok_or_else(|| CommandError::no_server(key, server.address))? = *server;
            }
            Command::DeleteServer { service: key, server } => {
                let (_, servers) = self.servers(key)?;
                let place = servers.places.remove(server);
                let kept = place.and_then(|place| servers.kept.get_mut(place));
                *kept.ok_or_else(|| CommandError::no_server(key, *server))? = false;
            }
            Command::Set(setting) => setting.apply_to(self.config)?,
        }
        Ok(())
    }

    fn existing(
        &mut self,
        key: &ServiceKey,
    ) -> Result<(&mut VirtualService, &mut Edited), CommandError> {
        let found = self.places.get(key).and_then(|place| {
            Some((self.config.services.get_mut(*place)?, self.services.get_mut(*place)?))
        });
        found.ok_or_else(|| CommandError::no_service(key))
    }

    fn servers(
        &mut self,
        key: &ServiceKey,
    ) -> Result<(&mut VirtualService, &mut EditedServers), CommandError> {
        let (service, edited) = self.existing(key)?;
        let servers = edited.servers.get_or_insert_with(|| EditedServers::of(service));
        Ok((service, servers))
    }
}

impl EditedServers {
    fn of(service: &VirtualService) -> Self {
        let servers = service.servers.iter().zip(0..);
        steps::take(service.servers.len());
        EditedServers {
            places: servers.map(|(server, place)| (server.address, place)).collect(),
            kept: vec![true; service.servers.len()],
        }
    }
}

impl Drop for Editor<'_> {
    /// Closes the gaps. O(services), and O(servers) for each service that lost one.
    fn drop(&mut self) {
        for (service, edited) in self.config.services.iter_mut().zip(&self.services) {
            steps::take(1);
            let Some(EditedServers { kept, .. }) = &edited.servers else { continue };
            if !kept.iter().all(|kept| *kept) {
                steps::take(kept.len());
                let mut kept = kept.iter().copied();
                service.servers.retain(|_| kept.next().unwrap_or(true));
            }
        }
        let mut deleted = self.services.iter().map(|edited| edited.deleted);
        self.config.services.retain(|_| !deleted.next().unwrap_or(false));
    }
}
