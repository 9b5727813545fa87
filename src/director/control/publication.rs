//! What the next publication contains.

use std::mem;

use super::Control;
use crate::arena::id::ServiceId;
use crate::config::Settings;
use crate::director::record::ServiceRecord;
use crate::director::service_edit::ServiceEdit;
use crate::director::table::ServiceTable;
use crate::service::Service;
use crate::sync::Arc;

impl Control {
    /// What of the edited services can be read: parallel to the edits; `None` for one that is deleted.
    pub(super) fn new_records(
        &self,
        service_edits: &mut [ServiceEdit],
        fresh: &[(ServiceId, Arc<Service>)],
    ) -> Vec<Option<Arc<ServiceRecord>>> {
        let mut numbers = self.next_number..;
        let record = |(edit, (id, _)): (&mut ServiceEdit, &(ServiceId, _))| {
            if edit.deleted {
                return None;
            }
            let running = edit.live.and_then(|number| self.services.get(&number));
            let (number, base) = match running {
                Some(live) => (live.number, live.base),
                None => {
                    let base = self.shards.service_total(id.slot);
                    if let Some(attached) = self.arena.attached() {
                        attached.totals.begin_service(id.slot, base);
                    }
                    (numbers.next()?, base)
                }
            };
            let (mut servers, mut claims) =
                (mem::take(&mut edit.servers), mem::take(&mut edit.claims));
            servers.shrink_to_fit();
            claims.shrink_to_fit();
            let service = edit.settings.clone().with_servers(servers);
            Some(Arc::new(ServiceRecord { number, id: *id, service, claims, base }))
        };
        service_edits.iter_mut().zip(fresh).map(record).collect()
    }

    /// The table with all changes.
    pub(super) fn next_table(
        &self,
        service_edits: &[ServiceEdit],
        fresh: &[(ServiceId, Arc<Service>)],
        records: &[Option<Arc<ServiceRecord>>],
        sequence: u64,
        settings: &Settings,
    ) -> Arc<ServiceTable> {
        let (_, high_water) = self.allocator.high_water();
        let (mut services, mut listed, index) = self.snapshot.read(|table| {
            (table.services.to_vec(), table.records.to_vec(), Arc::clone(&table.index))
        });
        services.resize(high_water as usize, None);
        listed.resize(high_water as usize, None);
        for ((id, compiled), record) in fresh.iter().zip(records) {
            services[id.slot as usize] = record.is_some().then(|| Arc::clone(compiled));
            listed[id.slot as usize] = record.clone();
        }
        let gone = service_edits.iter().filter(|edit| edit.deleted);
        let gone = gone.map(|edit| &edit.settings.key);
        let come = service_edits.iter().zip(fresh);
        let come = come.filter(|(edit, _)| edit.live.is_none() && !edit.deleted);
        let come = come.map(|(edit, (id, _))| (&edit.settings.key, *id));
        let (old_names, new_names) = self.renamed(service_edits, fresh);
        let renamed = !(old_names.is_empty() && new_names.is_empty());
        let index = if renamed || gone.clone().next().is_some() || come.clone().next().is_some() {
            let mut index = index.edited(gone, come);
            index.rename(&old_names, new_names);
            Arc::new(index)
        } else {
            index
        };
        Arc::new(ServiceTable {
            sequence,
            services: services.into(),
            index,
            records: listed.into(),
            settings: settings.clone(),
        })
    }
}
