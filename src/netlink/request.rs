//! A request to the kernel.

use std::net::SocketAddr;

use super::error::{Error, Object};
use super::wire::{
    Command as Wire, DaemonAttributes, DestAttributes, Header, Message, ServiceAttributes,
    WireError,
};
use crate::config::{
    Command, NotInLinux, RealServer, ServiceKey, ServiceSettings, Setting, SyncDaemon, SyncRole,
    Timeouts, VirtualService,
};

/// One change for [`Kernel::execute`](super::Kernel::execute).
///
/// ```
/// use vsched::config::{RealServer, ServiceKey, VirtualService};
/// use vsched::netlink::Request;
/// let key: ServiceKey = "tcp 192.168.4.5:80".parse()?;
/// let server = RealServer::new("192.168.5.11:80".parse()?);
/// let requests = [
///     Request::add_service(&VirtualService::new(key)),
///     Request::add_server(&key, &server),
/// ];
/// assert_eq!(requests[1].object().to_string(), "service tcp 192.168.4.5:80: server 192.168.5.11:80");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    what: What,
}

/// The minimum that the message can be built from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    /// With all settings.
    Service(Wire, Box<ServiceSettings>),
    Key(Wire, ServiceKey),
    /// With its whole description.
    Server(Wire, ServiceKey, RealServer),
    Address(Wire, ServiceKey, SocketAddr),
    Everything(Wire),
    Raw(Box<(Message, Object)>),
}

impl Request {
    /// Adds a virtual service. Its servers are separate requests.
    pub fn add_service<S>(service: &VirtualService<S>) -> Self {
        Request { what: What::Service(Wire::NewService, Box::new(service.settings())) }
    }

    /// Changes a virtual service's settings; its servers and connections stay.
    pub fn edit_service<S>(service: &VirtualService<S>) -> Self {
        Request { what: What::Service(Wire::SetService, Box::new(service.settings())) }
    }

    /// Deletes a virtual service with its servers.
    pub fn delete_service(key: &ServiceKey) -> Self {
        Request { what: What::Key(Wire::DelService, *key) }
    }

    /// Deletes every virtual service of the namespace.
    pub fn flush() -> Self {
        Request { what: What::Everything(Wire::Flush) }
    }

    /// Adds a real server at the head of the service's list.
    pub fn add_server(key: &ServiceKey, server: &RealServer) -> Self {
        Request { what: What::Server(Wire::NewDest, *key, server.clone()) }
    }

    /// Changes a real server's description; its connections and its place in the list stay.
    pub fn edit_server(key: &ServiceKey, server: &RealServer) -> Self {
        Request { what: What::Server(Wire::SetDest, *key, server.clone()) }
    }

    /// Deletes a real server; packets of its connections are dropped from then on.
    pub fn delete_server(key: &ServiceKey, server: SocketAddr) -> Self {
        Request { what: What::Address(Wire::DelDest, *key, server) }
    }

    /// Sets the statistics of a service and its servers to zero.
    pub fn zero_service(key: &ServiceKey) -> Self {
        Request { what: What::Key(Wire::Zero, *key) }
    }

    /// Sets all statistics to zero.
    pub fn zero() -> Self {
        Request { what: What::Everything(Wire::Zero) }
    }

    /// Sets the connection timeouts that are given; 0 also leaves a timeout unchanged.
    pub fn set_timeouts(timeouts: Timeouts) -> Self {
        let message = Message { timeouts, ..Message::new(Wire::SetConfig) };
        Request::raw(message, Object::Timeouts)
    }

    /// Starts a synchronization daemon.
    pub fn start_daemon(daemon: &SyncDaemon) -> Self {
        let attributes = DaemonAttributes::of_daemon(daemon);
        Request::about_daemon(Wire::NewDaemon, attributes, daemon.role)
    }

    /// Stops a synchronization daemon.
    pub fn stop_daemon(role: SyncRole) -> Self {
        Request::about_daemon(Wire::DelDaemon, DaemonAttributes::of_role(role), role)
    }

    /// Any message, with the object that it is about; for what the other constructors do not cover.
    pub fn raw(message: Message, object: Object) -> Self {
        Request { what: What::Raw(Box::new((message, object))) }
    }

    /// The object that it is about.
    pub fn object(&self) -> Object {
        match &self.what {
            What::Service(_, service) => Object::Service(service.key),
            What::Key(_, key) => Object::Service(*key),
            What::Server(_, key, server) => Object::Server(*key, server.address),
            What::Address(_, key, server) => Object::Server(*key, *server),
            What::Everything(_) => Object::Everything,
            What::Raw(raw) => raw.1,
        }
    }

    /// The command.
    pub fn command(&self) -> Wire {
        match &self.what {
            What::Service(command, _)
            | What::Key(command, _)
            | What::Server(command, ..)
            | What::Address(command, ..)
            | What::Everything(command) => *command,
            What::Raw(raw) => raw.0.command,
        }
    }

    /// Fails if it says something that Linux does not have.
    pub(super) fn check(&self) -> Result<(), Error> {
        let setting = match &self.what {
            What::Service(_, service) => NotInLinux::of_service(service).next(),
            What::Server(_, key, server) => NotInLinux::of_server(key.family(), server).next(),
            What::Key(..) | What::Address(..) | What::Everything(_) | What::Raw(_) => None,
        };
        match setting {
            Some(setting) => Err(Error::NotInLinux { object: self.object(), setting }),
            None => Ok(()),
        }
    }

    /// The message to send.
    pub fn message(&self) -> Message {
        let (service, dest) = match &self.what {
            What::Service(_, service) => (Some(ServiceAttributes::of_settings(service)), None),
            What::Key(_, key) => (Some(ServiceAttributes::of_key(key)), None),
            What::Server(_, key, server) => {
                (Some(ServiceAttributes::of_key(key)), Some(DestAttributes::of_server(server)))
            }
            What::Address(_, key, server) => {
                (Some(ServiceAttributes::of_key(key)), Some(DestAttributes::of_address(*server)))
            }
            What::Everything(_) => (None, None),
            What::Raw(raw) => return raw.0.clone(),
        };
        Message { service, dest, ..Message::new(self.command()) }
    }

    fn about_daemon(command: Wire, daemon: DaemonAttributes, role: SyncRole) -> Self {
        let message = Message { daemon: Some(daemon), ..Message::new(command) };
        Request::raw(message, Object::Daemon(role))
    }
}

/// Encodes requests as their [`message`](Request::message)s would be, but faster: it encodes a service
/// once for consecutive servers.
#[derive(Default)]
pub(super) struct Encoder {
    last: Option<(ServiceKey, ServiceAttributes)>,
}

impl Encoder {
    pub(super) fn encode(
        &mut self,
        request: &Request,
        header: Header,
        bytes: &mut Vec<u8>,
    ) -> Result<(), WireError> {
        let (command, key, dest) = match &request.what {
            What::Server(command, key, server) => (command, key, DestAttributes::of_server(server)),
            What::Address(command, key, server) => {
                (command, key, DestAttributes::of_address(*server))
            }
            _ => return request.message().encode(header, bytes),
        };
        let service = match &mut self.last {
            Some((last, service)) if last == key => service,
            last => &mut last.insert((*key, ServiceAttributes::of_key(key))).1,
        };
        Message::encode_server(*command, service, &dest, header, bytes)
    }
}

impl Request {
    /// The command of an `ipvsadm` line; `None` for a setting that the kernel has no request for.
    pub fn from_command(command: &Command) -> Option<Self> {
        Some(match command {
            Command::AddService(service) => Request::add_service(service),
            Command::EditService(service) => Request::edit_service(service),
            Command::DeleteService(key) => Request::delete_service(key),
            Command::Clear => Request::flush(),
            Command::AddServer { service, server } => Request::add_server(service, server),
            Command::EditServer { service, server } => Request::edit_server(service, server),
            Command::DeleteServer { service, server } => Request::delete_server(service, *server),
            Command::Set(Setting::Timeouts(timeouts)) => Request::set_timeouts(*timeouts),
            Command::Set(Setting::StartDaemon(daemon)) => Request::start_daemon(daemon),
            Command::Set(Setting::StopDaemon(role)) => Request::stop_daemon(*role),
            // Settings of this crate's decisions, and a sysctl.
            Command::Set(
                Setting::KernelRules(_) | Setting::Seed(_) | Setting::ExpireQuiescentTemplate(_),
            ) => return None,
        })
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
