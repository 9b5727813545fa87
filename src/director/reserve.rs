//! The memory of a change that can be too large to be had, before anything of what runs is touched.

use ahash::HashMap;

use crate::config::diff::Change;
use crate::config::{ServiceKey, VirtualService};
use crate::director::control::Live;
use crate::error::ApplyError;
use crate::pool::Maps;
use crate::state::Arena;
use crate::sync::Arc;

/// A service as the changes leave it.
struct Wanted<'a> {
    settings: &'a VirtualService,
    live: Option<&'a Live>,
    /// Its scheduler goes, with what that remembers.
    bound: bool,
    deleted: bool,
}

impl<'a> Wanted<'a> {
    fn of(live: &'a Live) -> Self {
        Wanted { settings: &live.service, live: Some(live), bound: false, deleted: false }
    }

    fn change(&mut self, change: &'a Change) {
        match change {
            Change::EditService(settings) => {
                self.bound |= settings.scheduler != self.settings.scheduler;
                self.settings = settings;
            }
            Change::DeleteService(_) => self.deleted = true,
            _ => {}
        }
    }
}

/// The maps of every service that the changes concern, and of those that are compiled anew beside.
pub(super) fn maps<'a>(
    arena: &Arc<Arena>,
    changes: &'a [Change],
    compiled: impl Iterator<Item = &'a Live>,
    find: impl Fn(&ServiceKey) -> Option<&'a Live>,
) -> Result<HashMap<ServiceKey, Maps>, ApplyError> {
    let mut services: Vec<Wanted<'a>> = compiled.map(Wanted::of).collect();
    let keys = services.iter().map(|wanted| wanted.settings.service);
    let mut places: HashMap<ServiceKey, usize> = keys.zip(0..).collect();
    let mut latest = None;
    for change in changes {
        let key = change.service();
        let at = match latest {
            // Many changes of one service stand together.
            Some((latest, at)) if latest == key => at,
            _ => *places.entry(key).or_insert_with(|| {
                let live = find(&key).map(Wanted::of);
                services.extend(match change {
                    Change::AddService(settings) => {
                        Some(Wanted { settings, live: None, bound: true, deleted: false })
                    }
                    _ => live,
                });
                services.len().wrapping_sub(1)
            }),
        };
        latest = Some((key, at));
        if let Some(wanted) = services.get_mut(at).filter(|it| it.settings.service == key) {
            wanted.change(change);
        }
    }
    let wanted = services.into_iter().filter(|wanted| !wanted.deleted);
    let reserved = wanted.map(|Wanted { settings, live, bound, .. }| {
        let former = live.map(|live| live.pool.as_ref());
        let maps = Maps::reserve(arena, settings, former, bound);
        maps.map(|maps| (settings.service, maps)).map_err(|error| ApplyError::OutOfMemory {
            what: format!("service {}: affinity: capacity", settings.service),
            bytes: error.bytes,
        })
    });
    reserved.collect()
}
