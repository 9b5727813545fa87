//! What an administrator does, to both sides.

use vsched::SchedulerKind;
use vsched::config::diff::{Change, diff};
use vsched::config::{Command, RealServer, ServiceKey, VirtualService};
use vsched::error::ApplyError;

use super::World;
use crate::script::{SMALL, Spec};

impl World {
    pub(super) fn add_service(&mut self, key: ServiceKey, scheduler: Option<SchedulerKind>) {
        let mut service = self.persistent(VirtualService::new(key)).settings();
        service.affinity.capacity = SMALL;
        service.scheduler = scheduler;
        let change = Change::AddService(service.clone());
        let new = !self.kernel.services().contains_key(&key);
        self.execute(&Command::AddService(service), new.then_some(change));
    }

    pub(super) fn edit_service(&mut self, key: ServiceKey, scheduler: Option<SchedulerKind>) {
        let mut service = self.persistent(VirtualService::new(key)).settings();
        service.affinity.capacity = SMALL;
        service.scheduler = scheduler;
        let change = Change::EditService(service.clone());
        let exists = self.kernel.services().contains_key(&key);
        self.execute(&Command::EditService(service), exists.then_some(change));
    }

    pub(super) fn add_server(&mut self, service: ServiceKey, spec: Spec) {
        let server = spec.server(self.palette);
        let runs = self.kernel.services().contains_key(&service);
        let new = runs && self.kernel.find(&service, server.address).is_none();
        let change = Change::AddServer { service, server: server.clone() };
        self.execute(&Command::AddServer { service, server }, new.then_some(change));
    }

    pub(super) fn edit_server(&mut self, service: ServiceKey, server: RealServer) {
        let known = self.kernel.find(&service, server.address);
        let change = known.map(|name| Change::EditServer {
            service,
            before: self.kernel.object(name).server.clone(),
            server: server.clone(),
        });
        self.execute(&Command::EditServer { service, server }, change);
    }

    /// A command that is possible if it comes with its change.
    pub(super) fn execute(&mut self, command: &Command, change: Option<Change>) {
        let done = self.director.execute(command);
        match change {
            Some(change) => {
                assert!(done.is_ok(), "{command:?}: {done:?}");
                self.kernel.change(&change);
            }
            None => assert!(matches!(done, Err(ApplyError::Command(_))), "{command:?}: {done:?}"),
        }
    }

    /// Returns the number of changes.
    pub(super) fn apply(&mut self, services: Vec<VirtualService>) -> usize {
        let running = self.director.config();
        let config = running.clone().with_services(services);
        let changes = diff(&running, &config);
        let applied = self.director.apply(&config).expect("the config is valid");
        assert_eq!(applied.is_empty(), changes.is_empty());
        changes.iter().for_each(|change| self.kernel.change(change));
        changes.len()
    }
}
