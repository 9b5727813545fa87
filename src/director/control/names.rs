//! Names of services.

use crate::arena::id::ServiceId;
use crate::config::Name;
use crate::director::control::{Control, RunningService};
use crate::director::service_edit::ServiceEdit;
use crate::service::Service;
use crate::sync::Arc;

impl Control {
    pub(in crate::director) fn find_name(&self, name: &str) -> Option<&RunningService> {
        let id = self.snapshot.read(|table| table.index().by_name(name));
        self.find_id(id?)
    }

    /// Number of services that have a name.
    pub(super) fn named(&self) -> usize {
        self.snapshot.read(|table| table.index().named())
    }

    /// The names that services lose, and those that they get.
    pub(super) fn renamed(
        &self,
        service_edits: &[ServiceEdit],
        fresh: &[(ServiceId, Arc<Service>)],
    ) -> (Vec<Name>, Vec<(Name, ServiceId)>) {
        let (mut gone, mut come) = (Vec::new(), Vec::new());
        for (edit, (id, _)) in service_edits.iter().zip(fresh) {
            let live = edit.live.and_then(|number| self.services.get(&number));
            let before = live.and_then(|live| live.service.name.as_ref());
            let after = edit.settings.name.as_ref().filter(|_| !edit.deleted);
            if before != after {
                gone.extend(before.cloned());
                come.extend(after.map(|name| (name.clone(), *id)));
            }
        }
        (gone, come)
    }
}
