//! Something that the kernel shall do.

use std::net::SocketAddr;

use super::error::Object;
use super::wire::{Command as Wire, DaemonAttributes, DestAttributes, Message, ServiceAttributes};
use crate::config::{
    Command, RealServer, ServiceKey, SyncDaemon, SyncRole, Timeouts, VirtualService,
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
    object: Object,
    message: Message,
}

impl Request {
    /// Adds a virtual service. Its servers are requests of their own.
    pub fn add_service(service: &VirtualService) -> Self {
        Request::about_service(Wire::NewService, service)
    }

    /// Gives a virtual service new settings; its servers and connections stay.
    pub fn edit_service(service: &VirtualService) -> Self {
        Request::about_service(Wire::SetService, service)
    }

    /// Deletes a virtual service with its servers.
    pub fn delete_service(key: &ServiceKey) -> Self {
        Request::about_key(Wire::DelService, key)
    }

    /// Deletes every virtual service of the namespace.
    pub fn flush() -> Self {
        Request { object: Object::Everything, message: Message::new(Wire::Flush) }
    }

    /// Adds a real server at the head of the service's list.
    pub fn add_server(key: &ServiceKey, server: &RealServer) -> Self {
        Request::about_server(Wire::NewDest, key, DestAttributes::of_server(server), server.address)
    }

    /// Gives a real server a new description; its connections and its place in the list stay.
    pub fn edit_server(key: &ServiceKey, server: &RealServer) -> Self {
        Request::about_server(Wire::SetDest, key, DestAttributes::of_server(server), server.address)
    }

    /// Deletes a real server; packets of its connections are dropped from then on.
    pub fn delete_server(key: &ServiceKey, server: SocketAddr) -> Self {
        Request::about_server(Wire::DelDest, key, DestAttributes::of_address(server), server)
    }

    /// Sets the statistics of a service and its servers to zero.
    pub fn zero_service(key: &ServiceKey) -> Self {
        Request::about_key(Wire::Zero, key)
    }

    /// Sets all statistics to zero.
    pub fn zero() -> Self {
        Request { object: Object::Everything, message: Message::new(Wire::Zero) }
    }

    /// Sets those connection timeouts that are given; 0, too, leaves one as it is.
    pub fn set_timeouts(timeouts: Timeouts) -> Self {
        let message = Message { timeouts, ..Message::new(Wire::SetConfig) };
        Request { object: Object::Timeouts, message }
    }

    /// Starts a synchronisation daemon.
    pub fn start_daemon(daemon: &SyncDaemon) -> Self {
        let attributes = DaemonAttributes::of_daemon(daemon);
        Request::about_daemon(Wire::NewDaemon, attributes, daemon.role)
    }

    /// Stops a synchronisation daemon.
    pub fn stop_daemon(role: SyncRole) -> Self {
        Request::about_daemon(Wire::DelDaemon, DaemonAttributes::of_role(role), role)
    }

    /// Any message, said to be about this object: what the other constructors cannot say.
    pub fn raw(message: Message, object: Object) -> Self {
        Request { object, message }
    }

    /// What it is about.
    pub fn object(&self) -> Object {
        self.object
    }

    /// What is sent.
    pub fn message(&self) -> &Message {
        &self.message
    }

    fn about_service(command: Wire, service: &VirtualService) -> Self {
        let attributes = Some(ServiceAttributes::of_settings(service));
        let message = Message { service: attributes, ..Message::new(command) };
        Request { object: Object::Service(service.service), message }
    }

    fn about_key(command: Wire, key: &ServiceKey) -> Self {
        let attributes = Some(ServiceAttributes::of_key(key));
        let message = Message { service: attributes, ..Message::new(command) };
        Request { object: Object::Service(*key), message }
    }

    fn about_server(
        command: Wire,
        key: &ServiceKey,
        dest: DestAttributes,
        server: SocketAddr,
    ) -> Self {
        let service = Some(ServiceAttributes::of_key(key));
        let message = Message { service, dest: Some(dest), ..Message::new(command) };
        Request { object: Object::Server(*key, server), message }
    }

    fn about_daemon(command: Wire, daemon: DaemonAttributes, role: SyncRole) -> Self {
        let message = Message { daemon: Some(daemon), ..Message::new(command) };
        Request { object: Object::Daemon(role), message }
    }
}

impl From<&Command> for Request {
    /// The command of an `ipvsadm` line.
    fn from(command: &Command) -> Self {
        match command {
            Command::AddService(service) => Request::add_service(service),
            Command::EditService(service) => Request::edit_service(service),
            Command::DeleteService(key) => Request::delete_service(key),
            Command::Clear => Request::flush(),
            Command::AddServer { service, server } => Request::add_server(service, server),
            Command::EditServer { service, server } => Request::edit_server(service, server),
            Command::DeleteServer { service, server } => Request::delete_server(service, *server),
        }
    }
}
