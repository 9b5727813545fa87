//! Administrative commands, and their effect on a [`Config`].

use std::net::SocketAddr;

use ahash::HashMap;

use crate::config::{
    Config, RealServer, ServiceKey, ServiceSettings, Setting, VirtualService, steps,
};
use crate::error::CommandError;

/// One administrative command, as given by an `ipvsadm` command line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// `-A`: adds a virtual service, without servers.
    AddService(ServiceSettings),
    /// `-E`: replaces a service's settings; its servers stay.
    EditService(ServiceSettings),
    /// `-D`: deletes a service with its servers.
    DeleteService(ServiceKey),
    /// `-C`: deletes all services.
    Clear,
    /// `-a`: adds a server at the head of the service's list.
    AddServer {
        /// The service.
        service: ServiceKey,
        /// The server.
        server: RealServer,
    },
    /// `-e`: replaces a server's description; its counts and its position in the list stay.
    EditServer {
        /// The service.
        service: ServiceKey,
        /// The server.
        server: RealServer,
    },
    /// `-d`: deletes a server; its connections stay counted until they close.
    DeleteServer {
        /// The service.
        service: ServiceKey,
        /// The server.
        server: SocketAddr,
    },
    /// `--set`, `--start-daemon`, `--vsched-seed` and others: changes a setting that belongs to no
    /// service.
    Set(Setting),
}

impl Config {
    /// Applies the command to this config as a kernel would.
    ///
    /// ```
    /// use vsched::config::{Command, Config, ServiceKey, VirtualService};
    /// use vsched::error::Refusal;
    /// let add = Command::AddService(VirtualService::new("fwmark 7".parse()?).settings());
    /// let mut config = Config::new();
    /// config.execute(&add)?;
    /// assert_eq!(config.execute(&add).unwrap_err().refusal(), Refusal::ServiceExists);
    /// config.execute(&Command::DeleteService("fwmark 7".parse()?))?;
    /// assert_eq!(config, Config::new());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// What the kernel would refuse: a service, server or daemon that already exists or does not exist.
    /// The config is then unchanged. Limits are left to [`Config::validate`].
    pub fn execute(&mut self, command: &Command) -> Result<(), CommandError> {
        Editor::new(self).execute(command)
    }
}

/// Executes commands on one config in O(1) each: deleted items keep an empty place until the editor is
/// dropped.
pub(crate) struct Editor<'c> {
    config: &'c mut Config,
    /// Index of each service in the config.
    places: HashMap<ServiceKey, usize>,
    /// Parallel to the config's services.
    services: Vec<Edited>,
}

/// An editor's state of a service.
#[derive(Default)]
struct Edited {
    deleted: bool,
    /// Created by the first command on a server of this service.
    servers: Option<EditedServers>,
}

/// An editor's state of a service's servers.
struct EditedServers {
    /// Index of each server in the service's list.
    places: HashMap<SocketAddr, usize>,
    /// Parallel to the list: false for deleted servers.
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

    /// O(1); O(servers) for the first command on a service's servers.
    pub(crate) fn execute(&mut self, command: &Command) -> Result<(), CommandError> {
        match command {
            Command::AddService(service) => {
                if self.places.contains_key(&service.key) {
                    return Err(CommandError::service_exists(service.key));
                }
                self.places.insert(service.key, self.services.len());
                self.services.push(Edited::default());
                self.config.services.push(service.clone().with_servers(Vec::new()));
            }
            Command::EditService(settings) => {
                let (service, _) = self.existing(&settings.key)?;
                let servers = std::mem::take(&mut service.servers);
                *service = settings.clone().with_servers(servers);
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
                // Not `clear`, which takes time in proportion to the capacity.
                self.places = HashMap::default();
            }
            Command::AddServer { service: key, server } => {
                let (service, servers) = self.servers(key)?;
                if servers.places.contains_key(&server.address) {
                    return Err(CommandError::server_exists(key, server.address));
                }
                servers.places.insert(server.address, servers.kept.len());
                servers.kept.push(true);
                service.servers.push(server.clone());
            }
            Command::EditServer { service: key, server } => {
                let (service, servers) = self.servers(key)?;
                let place = servers.places.get(&server.address);
                let known = place.and_then(|place| service.servers.get_mut(*place));
                *known.ok_or_else(|| CommandError::no_server(key, server.address))? =
                    server.clone();
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
    /// Closes the gaps. O(services), plus O(servers) per service that lost a server.
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
