//! Validates a config or command against the running state, and translates a command into changes.

use std::net::SocketAddr;

use crate::config::diff::Change;
use crate::config::{
    Command, Config, Known, RealServer, ServiceKey, ServiceSettings, Setting, Settings,
    VirtualService, also_of,
};
use crate::director::control::Control;
use crate::director::headroom::Headroom;
use crate::error::{ApplyError, CommandError, ConfigError, Problem};

/// Validates a config that these changes lead to. Running services that no change concerns are already
/// valid, unless a setting changes that they depend on.
pub(super) fn validate(
    control: &Control,
    config: &Config,
    changes: &[Change],
) -> Result<(), ConfigError> {
    let Settings { kernel_rules: generation, daemons, .. } = &control.settings;
    if (config.kernel_rules, &config.daemons) != (*generation, daemons) {
        return config.validate_within(&control.budget.limits);
    }
    let concerned: ahash::HashSet<ServiceKey> = changes.iter().map(Change::service).collect();
    config.validate_beside(Some(&control.budget.limits), |service| {
        match control.find(&service.key) {
            None => Known::No,
            Some(_) if !concerned.contains(&service.key) => Known::Same,
            Some(live) => Known::Former(&live.service),
        }
    })
}

/// The memory for comparing this config with the running one: for every service that differs from the
/// one in the same place.
pub(super) fn to_apply(control: &Control, config: &Config) -> Headroom {
    let mut running = control.services.values().map(|live| &live.service);
    let (mut services, mut servers, mut named) = (0, 0, 0);
    for wanted in &config.services {
        named += usize::from(wanted.name.is_some());
        let former = running.next();
        if former != Some(wanted) {
            services += 1;
            servers += wanted.servers.len() + former.map_or(0, |former| former.servers.len());
        }
    }
    for gone in running {
        services += 1;
        servers += gone.servers.len();
    }
    if services == 0 {
        return Headroom::default();
    }
    Headroom::to_change(services, servers).and_validate(config.services.len(), named)
}

/// The memory for computing the changes of a command.
pub(super) fn to_carry_out(control: &Control, command: &Command) -> Headroom {
    let services = control.services.len();
    let key = match command {
        Command::Clear | Command::Set(_) => {
            let servers = control.services.values().map(|live| live.claims.len()).sum();
            return Headroom::to_change(services, servers);
        }
        Command::AddService(service) | Command::EditService(service) => service.key,
        Command::DeleteService(key) => *key,
        Command::AddServer { service, .. }
        | Command::EditServer { service, .. }
        | Command::DeleteServer { service, .. } => *service,
    };
    Headroom::to_change(1, control.find(&key).map_or(0, |live| live.claims.len()))
}

/// The settings of the config, after this setting.
pub(super) fn set(control: &Control, setting: &Setting) -> Result<Settings, ApplyError> {
    let services = control.services.values().map(|live| live.service.clone());
    let mut wanted = control.settings.clone().with_services(services.collect());
    setting.apply_to(&mut wanted)?;
    validate(control, &wanted, &[])?;
    Ok(wanted.settings())
}

/// The changes of a command, validated.
pub(super) fn steps(control: &Control, command: &Command) -> Result<Vec<Change>, ApplyError> {
    let live = |key: &ServiceKey| control.find(key).map(|live| &live.service);
    let existing = |key: &ServiceKey| live(key).ok_or(CommandError::no_service(key));
    let valid = |service: VirtualService| {
        let config = control.settings.clone().with_services(vec![service]);
        // Memory is checked below by `fits`: this config does not have all of the service's servers.
        config.validate_beside(None, |_| Known::No)
    };
    let name_is_free = |service: &ServiceSettings| match &service.name {
        Some(name) => match control.find_name(name.as_str()).map(|live| live.service.key) {
            Some(other) if other != service.key => {
                taken(format!("service {}", service.key), also_of(name, "service", other))
            }
            _ => Ok(()),
        },
        None => Ok(()),
    };
    let weight = |server: &RealServer| server.weight;
    let server_of = |service: &VirtualService, server: SocketAddr| {
        service.servers.iter().find(|known| known.address == server).cloned()
    };
    Ok(vec![match command {
        Command::AddService(service) => {
            if live(&service.key).is_some() {
                return Err(CommandError::service_exists(service.key).into());
            }
            valid(service.clone().with_servers(Vec::new()))?;
            name_is_free(service)?;
            control.fits(service, std::iter::empty())?;
            Change::AddService(service.clone())
        }
        Command::EditService(settings) => {
            let found = existing(&settings.key)?;
            // Each server is valid, but the new settings may allow fewer of them.
            let full = found.servers.len() > settings.max_servers();
            let servers = if full { found.servers.clone() } else { Vec::new() };
            valid(settings.clone().with_servers(servers))?;
            name_is_free(settings)?;
            control.fits(settings, found.servers.iter().map(weight))?;
            Change::EditService(settings.clone())
        }
        Command::DeleteService(key) => {
            existing(key)?;
            Change::DeleteService(*key)
        }
        Command::Clear => {
            let keys = control.services.values().map(|live| live.service.key);
            return Ok(keys.map(Change::DeleteService).collect());
        }
        Command::AddServer { service, server } => {
            let found = existing(service)?;
            if server_of(found, server.address).is_some() {
                return Err(CommandError::server_exists(service, server.address).into());
            }
            // Validated alone, which is enough unless the service is full.
            let full = found.servers.len() >= found.max_servers();
            let mut servers = if full { found.servers.clone() } else { Vec::new() };
            servers.push(server.clone());
            valid(found.settings().with_servers(servers))?;
            is_name_free(found, server)?;
            let weights: Vec<u32> = found.servers.iter().chain([server]).map(weight).collect();
            control.fits(found, weights.iter().copied())?;
            Change::AddServer { service: *service, server: server.clone() }
        }
        Command::EditServer { service, server } => {
            let found = existing(service)?;
            let before = server_of(found, server.address)
                .ok_or(CommandError::no_server(service, server.address))?;
            valid(found.settings().with_servers(vec![server.clone()]))?;
            is_name_free(found, server)?;
            let edited = |known: &RealServer| {
                if known.address == server.address { server.weight } else { known.weight }
            };
            control.fits(found, found.servers.iter().map(edited))?;
            Change::EditServer { service: *service, before, server: server.clone() }
        }
        // Handled by `set`.
        Command::Set(_) => return Ok(Vec::new()),
        Command::DeleteServer { service, server } => {
            let found = existing(service)?;
            server_of(found, *server).ok_or(CommandError::no_server(service, *server))?;
            Change::DeleteServer { service: *service, server: *server }
        }
    }])
}

/// Checks that no other server of the service has the server's name. O(servers).
fn is_name_free(service: &VirtualService, server: &RealServer) -> Result<(), ConfigError> {
    let Some(name) = &server.name else { return Ok(()) };
    let has =
        |known: &&RealServer| known.address != server.address && known.name.as_ref() == Some(name);
    match service.servers.iter().find(has) {
        Some(other) => taken(
            format!("service {}: server {}", service.key, server.address),
            also_of(name, "server", other.address),
        ),
        None => Ok(()),
    }
}

fn taken(path: String, message: String) -> Result<(), ConfigError> {
    ConfigError::from_problems(vec![Problem::new(format!("{path}: name"), message)])
}
