//! # Read-out: edit what was read
//!
//! From a snapshot to a description: change a field of the description and pass it to an edit
//! function. Unchanged, it edits nothing.
//!
//! NULL: no pointer may be NULL.

use std::mem::offset_of;
use std::os::raw::c_char;

use crate::ffi::guard;
use crate::ffi::sized::{self, Place};
use crate::ffi::states::{vsched_server_state, vsched_service_state};
use crate::ffi::status::vsched_status;
use crate::ffi::structs::{VSCHED_ZERO, or, vsched_server, vsched_service};
use crate::ffi::text::vsched_text;

/// Describes a service from its snapshot, for vsched_config_edit_service or
/// vsched_director_edit_service. The texts of the description point into `state`, which must stay
/// in place while they are in use.
///
/// Threads: any. No allocation.
///
/// @param state The snapshot.
/// @param state_size sizeof(vsched_service_state).
/// @param[in,out] service Receives the description; set its struct_size before.
/// @return VSCHED_OK; VSCHED_E_STRUCT_SIZE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_service_from_state(
    state: *const vsched_service_state,
    state_size: usize,
    service: *mut vsched_service,
) -> vsched_status {
    guard(|| {
        // SAFETY: the caller promises a struct of `struct_size` bytes.
        let to = unsafe { Place::of(service) }?;
        // SAFETY: the caller promises the length.
        let found = unsafe { sized::element(state, state_size) }?;
        let zero = |number| if found.eject == 0 { number } else { or(number, VSCHED_ZERO) };
        let text = |offset, chars: &[c_char]| text_in(state.cast(), offset, chars);
        to.write(vsched_service {
            struct_size: 0,
            one_packet: found.one_packet,
            key: text(offset_of!(vsched_service_state, key), &found.key),
            scheduler: text(offset_of!(vsched_service_state, scheduler), &found.scheduler),
            flags: text(offset_of!(vsched_service_state, flags), &found.flags),
            persistence_timeout: found.persistence_timeout,
            mh_table_index: found.mh_table_index,
            persistence_netmask: text(
                offset_of!(vsched_service_state, persistence_netmask),
                &found.persistence_netmask,
            ),
            persistence_engine: text(
                offset_of!(vsched_service_state, persistence_engine),
                &found.persistence_engine,
            ),
            affinity_capacity: found.affinity_capacity,
            affinity_expiration: found.affinity_expiration,
            sharing: text(offset_of!(vsched_service_state, sharing), &found.sharing),
            ties: text(offset_of!(vsched_service_state, ties), &found.ties),
            spill_over: found.spill_over,
            panic_threshold: found.panic_threshold,
            slow_start: found.slow_start,
            slow_start_aggression: found.slow_start_aggression,
            slow_start_least: found.slow_start_least,
            eject: found.eject,
            eject_failures: zero(found.eject_failures),
            eject_interval: found.eject_interval,
            eject_base_time: found.eject_base_time,
            eject_max_time: found.eject_max_time,
            eject_max_share: zero(found.eject_max_share),
            eject_trials: found.eject_trials,
            eject_outliers: found.eject_outliers,
            eject_factor: found.eject_factor,
            eject_least_outcomes: found.eject_least_outcomes,
            eject_least_servers: found.eject_least_servers,
            name: text(offset_of!(vsched_service_state, name), &found.name),
        });
        Ok(())
    })
}

/// Describes a server from its snapshot, for vsched_config_edit_server or
/// vsched_director_edit_server. The text of the description points into `state`, which must stay in
/// place while it is in use.
///
/// Threads: any. No allocation.
///
/// @param state The snapshot.
/// @param state_size sizeof(vsched_server_state).
/// @param[in,out] server Receives the description; set its struct_size before.
/// @return VSCHED_OK; VSCHED_E_STRUCT_SIZE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_server_from_state(
    state: *const vsched_server_state,
    state_size: usize,
    server: *mut vsched_server,
) -> vsched_status {
    guard(|| {
        // SAFETY: the caller promises a struct of `struct_size` bytes.
        let to = unsafe { Place::of(server) }?;
        // SAFETY: the caller promises the length.
        let found = unsafe { sized::element(state, state_size) }?;
        let text = |offset, chars: &[c_char]| text_in(state.cast(), offset, chars);
        to.write(vsched_server {
            struct_size: 0,
            weight: found.weight,
            address: text(offset_of!(vsched_server_state, address_text), &found.address_text),
            forwarding: found.forwarding.into(),
            upper_threshold: found.upper_threshold,
            lower_threshold: found.lower_threshold,
            tunnel: found.tunnel,
            tunnel_checksum: found.tunnel_checksum,
            tunnel_port: found.tunnel_port,
            priority: found.priority,
            reserved: 0,
            user_data: found.user_data,
            name: text(offset_of!(vsched_server_state, name), &found.name),
        });
        Ok(())
    })
}

/// The text at this offset of the caller's struct, of which `chars` is a copy. It is empty if the
/// caller's struct ends before it.
fn text_in(from: *const c_char, offset: usize, chars: &[c_char]) -> vsched_text {
    let length = chars.iter().position(|c| *c == 0).unwrap_or(chars.len());
    let data = if length == 0 { std::ptr::null() } else { from.wrapping_add(offset) };
    vsched_text { data, length }
}
