//! What a refusal means for a step. Often it only means that the kernel has already changed, or no longer
//! is as the plan assumed.

use super::outcome::Status;
use crate::config::{Observed, RealServer, ServiceKey, ServiceSettings, SyncDaemon};
use crate::netlink::plan::{Action, kernel_view};
use crate::netlink::wire::Command;
use crate::netlink::{Cause, Refused, Request};

/// What to do after a refusal.
pub(super) enum Reaction {
    /// The step ends with this status.
    Settled(Status),
    /// Reach the same result with another request.
    Instead(Box<Request>),
    /// The cause may disappear: retry.
    Again,
}

/// What the plan's other steps say about this one.
#[derive(Clone, Copy)]
pub(super) struct Context {
    /// The server leaves: it need not exist.
    pub(super) leaves: bool,
    /// A later step gives the service its settings.
    pub(super) bound_later: bool,
}

/// The request of a step; `None` if it is not one for the kernel.
pub(super) fn request(action: &Action) -> Option<Request> {
    Some(match action {
        Action::SetTimeouts { timeouts, .. } => Request::set_timeouts(*timeouts),
        Action::StartDaemon(daemon) => Request::start_daemon(daemon),
        Action::StopDaemon(daemon) => Request::stop_daemon(daemon.role),
        Action::AddService(service) => Request::add_service(service),
        Action::EditService { service, .. } => Request::edit_service(service),
        Action::DeleteService(key) => Request::delete_service(key),
        Action::AddServer { service, server } => Request::add_server(service, server),
        Action::EditServer { service, server, .. } => Request::edit_server(service, server),
        Action::DeleteServer { service, server } => Request::delete_server(service, *server),
        Action::AwaitDrain { .. } => return None,
    })
}

pub(super) fn react(action: &Action, refused: Refused, context: Context) -> Reaction {
    let gone = matches!(refused.cause(), Cause::NoServer | Cause::NoService);
    match (action, refused.cause()) {
        (_, Cause::Memory) => Reaction::Again,
        (Action::EditServer { .. }, _) if gone && context.leaves => {
            Reaction::Settled(Status::AlreadyDone)
        }
        (
            Action::AddServer { service, server } | Action::EditServer { service, server, .. },
            cause,
        ) => match (refused.command(), cause) {
            (Command::NewDest, Cause::Exists) => {
                Reaction::Instead(Box::new(Request::edit_server(service, server)))
            }
            (Command::SetDest, Cause::NoServer) => {
                Reaction::Instead(Box::new(Request::add_server(service, server)))
            }
            _ => Reaction::Settled(Status::Refused(refused)),
        },
        (Action::AddService(service), cause) => match (refused.command(), cause) {
            // It may already serve clients, so do not unbind it: the step that binds it does the rest.
            (Command::NewService, Cause::Exists) if context.bound_later => {
                Reaction::Settled(Status::AlreadyDone)
            }
            (Command::NewService, Cause::Exists) => {
                Reaction::Instead(Box::new(Request::edit_service(service)))
            }
            (Command::SetService, Cause::NoService) => {
                Reaction::Instead(Box::new(Request::add_service(service)))
            }
            _ => Reaction::Settled(Status::Refused(refused)),
        },
        (Action::DeleteServer { .. } | Action::DeleteService(_), _) if gone => {
            Reaction::Settled(Status::AlreadyDone)
        }
        (Action::StopDaemon(_), Cause::NoDaemon) => Reaction::Settled(Status::AlreadyDone),
        _ => Reaction::Settled(Status::Refused(refused)),
    }
}

/// True if the reading shows that the step is done. False if it cannot show that: then the step is carried
/// out again, which changes nothing.
pub(super) fn is_visible(action: &Action, found: &Observed, context: Context) -> bool {
    let service =
        |key: &ServiceKey| found.services.iter().find(|service| service.settings.key == *key);
    let shows = |key: &ServiceKey, server: &RealServer| {
        let servers = service(key).into_iter().flat_map(|service| &service.servers);
        servers.into_iter().any(|observed| observed.server == *server)
    };
    let has_settings = |wanted: &ServiceSettings| {
        service(&wanted.key)
            .is_some_and(|found| kernel_view(&found.settings) == kernel_view(wanted))
    };
    let runs = |daemon: &SyncDaemon| {
        found.settings.daemons.iter().any(|running| {
            (running.role, &running.interface, running.sync_id)
                == (daemon.role, &daemon.interface, daemon.sync_id)
        })
    };
    match action {
        Action::SetTimeouts { .. } | Action::AwaitDrain { .. } => false,
        Action::StartDaemon(daemon) => runs(daemon),
        Action::StopDaemon(daemon) => {
            !found.settings.daemons.iter().any(|running| running.role == daemon.role)
        }
        Action::AddService(wanted) if context.bound_later => service(&wanted.key).is_some(),
        Action::AddService(wanted) => has_settings(wanted),
        Action::EditService { service: wanted, .. } => has_settings(wanted),
        Action::DeleteService(key) => service(key).is_none(),
        Action::AddServer { service, server } | Action::EditServer { service, server, .. } => {
            shows(service, server)
        }
        Action::DeleteServer { service: key, server } => {
            let servers = service(key).into_iter().flat_map(|service| &service.servers);
            !servers.into_iter().any(|observed| observed.server.address == *server)
        }
    }
}
