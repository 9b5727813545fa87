//! Configs applied with a limit on what they may take away.

use crate::config::Guardrails;
use crate::ffi::config::vsched_config;
use crate::ffi::director::{give, place, vsched_director};
use crate::ffi::sized::{self, Grows};
use crate::ffi::status::{VSCHED_E_NULL, vsched_status};
use crate::ffi::structs::{bad, vsched_applied};
use crate::ffi::{Fault, guard};
use crate::{ApplyPolicy, Config};

/// In vsched_apply_policy: no server at all may be removed.
pub const VSCHED_DELETE_NONE: u32 = u32::MAX;

/// What vsched_director_apply_with may take away from what runs. Zeros mean the default, which is for
/// configs that come from a file, or from anything else that can be emptied or cut off by mistake.
///
/// A server counts as removed if it runs and its service, by address and port, is not to have it any
/// more: replaced ones too, and all of a removed service. The share is of the servers of all services
/// together, and small numbers make no difference: 1 of 1 is 100 %, 1 of 2 is 50 %. To replace more
/// than the limit, add first and remove later.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct vsched_apply_policy {
    /// sizeof(vsched_apply_policy).
    pub struct_size: u32,
    /// Not 0: a service that stays and has an eligible server (weight above 0) may be left without
    /// one. To remove a service is not to close it.
    pub may_close_services: u32,
    /// The most servers that may be removed, in percent of those that run, 1 to 100;
    /// VSCHED_DELETE_NONE: none. 0: 50.
    pub most_deleted: u32,
}

// SAFETY: it begins with its size, ends without padding, and holds numbers.
unsafe impl Grows for vsched_apply_policy {
    const LEAST: usize = size_of::<vsched_apply_policy>();
}

/// As vsched_director_apply, unless that takes away more than this policy allows: by default more
/// than half of the servers, or a service's last eligible one.
///
/// NULL: `policy` may be, which is the default one; `applied` may be. Answers: as
/// vsched_director_apply; VSCHED_E_GUARDRAILS (the director's error text names what would be removed,
/// the limit, and the field of the policy that allows it), VSCHED_E_ARGUMENT; nothing has changed
/// then. From any thread. O(services + servers).
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_director_apply_with(
    director: Option<&vsched_director>,
    config: Option<&vsched_config>,
    policy: *const vsched_apply_policy,
    applied: *mut vsched_applied,
) -> vsched_status {
    guard(|| {
        let (director, config) = (director.ok_or(VSCHED_E_NULL)?, config.ok_or(VSCHED_E_NULL)?);
        // SAFETY: the caller promises a struct as long as it says, or NULL, here and below.
        let to = unsafe { place(applied) }?;
        let policy = match policy.is_null() {
            true => Ok(ApplyPolicy::default()),
            // SAFETY: as above.
            false => policy_of(unsafe { sized::read(policy) }?),
        };
        let apply = |config: &Config| Ok(director.director.apply_with(config, &policy?)?);
        give(to, director.error.keep(apply(&config.config))?);
        Ok(())
    })
}

fn policy_of(from: vsched_apply_policy) -> Result<ApplyPolicy, Fault> {
    let default = ApplyPolicy::default();
    let most_deleted = match from.most_deleted {
        0 => default.guardrails.most_deleted,
        VSCHED_DELETE_NONE => 0,
        percent @ 1..=100 => percent as u8,
        other => return Err(bad("most_deleted", other, "1 to 100, or VSCHED_DELETE_NONE")),
    };
    let may_close_services = from.may_close_services != 0;
    Ok(ApplyPolicy::new(Guardrails { may_close_services, most_deleted }))
}
