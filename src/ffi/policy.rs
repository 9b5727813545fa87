//! # Director: apply with guardrails
//!
//! Guardrails protect against a config that is empty or cut off by mistake, for example because its
//! file was being written.
//!
//! NULL: no pointer may be NULL, except `policy`, which means the default policy, and `applied`.

use crate::config::Guardrails;
use crate::ffi::config::vsched_config;
use crate::ffi::director::{give, place, vsched_applied, vsched_director};
use crate::ffi::sized::{self, Grows};
use crate::ffi::status::{VSCHED_E_NULL, vsched_status};
use crate::ffi::structs::bad;
use crate::ffi::{Fault, guard};
use crate::{ApplyPolicy, Config};

/// For vsched_apply_policy: no server may be removed.
pub const VSCHED_DELETE_NONE: u32 = u32::MAX;

/// What vsched_director_apply_with may remove from the running config. Zeros mean the default.
///
/// A server counts as removed if it runs and the new config does not have it at the same service,
/// by address and port: servers that are replaced count, and all servers of a removed service. The
/// share refers to the servers of all services together, without exception for small numbers: 1 of
/// 1 is 100 percent, 1 of 2 is 50. To replace more than the limit, add first and remove later.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct vsched_apply_policy {
    /// sizeof(vsched_apply_policy).
    pub struct_size: u32,
    /// Not 0: a service that stays and has an eligible server (weight above 0) may lose its last
    /// eligible server. Removing a service does not count as closing it.
    pub may_close_services: u32,
    /// Maximum of servers to remove, in percent of the running servers, 1 to 100;
    /// VSCHED_DELETE_NONE: none. Default: 50.
    pub most_deleted: u32,
}

// SAFETY: it begins with its size, ends without padding, and holds numbers.
unsafe impl Grows for vsched_apply_policy {
    const LEAST: usize = size_of::<vsched_apply_policy>();
}

/// Applies a config like vsched_director_apply, unless that removes more than a policy allows: by
/// default more than half of the servers, or the last eligible server of a service.
///
/// Threads: control. Cost: O(services + servers).
///
/// @param director The director; after an error nothing has changed.
/// @param config The new config; it stays yours.
/// @param policy The policy, or NULL.
/// @param[in,out] applied What changed, or NULL; set its struct_size before.
/// @return VSCHED_OK; VSCHED_E_GUARDRAILS: the error text names what would be removed, the limit,
///   and the field that allows it; VSCHED_E_INVALID; VSCHED_E_CAPACITY; VSCHED_E_ARGUMENT: the
///   policy; VSCHED_E_STRUCT_SIZE.
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
        // SAFETY: the caller promises a struct of `struct_size` bytes, or NULL, here and below.
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
