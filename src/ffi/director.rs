//! Directors: made from a config, kept current, asked.

use std::mem::MaybeUninit;
use std::os::raw::c_char;
use std::time::Duration;

use crate::Director;
use crate::config::ResourceLimits;
use crate::error::Quoted;
use crate::ffi::config::vsched_config;
use crate::ffi::data::{vsched_flow, vsched_pick, vsched_server_id, vsched_service_id};
use crate::ffi::sized::{self, Place};
use crate::ffi::status::{
    VSCHED_E_NULL, VSCHED_E_PARSE, VSCHED_NO_SERVICE, VSCHED_STALE, vsched_status,
};
use crate::ffi::structs::{self, vsched_applied, vsched_limits};
use crate::ffi::{Fault, LastError, config_edit, guard, status, text};

/// Runs a config and keeps its state across changes: counts, rotations, affinity and statistics
/// outlive every reload.
///
/// Every function may be called from any thread at any time; all of them belong to the control plane
/// (they take a lock and allocate). Threads that pick servers do so through a vsched_worker each.
/// Make one with vsched_director_new, free it with vsched_director_free; workers may outlive it.
pub struct vsched_director {
    pub(super) director: Director,
    pub(super) error: LastError,
}

/// Makes a director that runs this config, with the default limits. The config stays yours.
///
/// NULL: none may be. Answers: VSCHED_E_INVALID (all problems are in the config's error text),
/// VSCHED_E_CAPACITY (the system has no memory for it; likewise). From any thread.
/// O(services + servers).
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn vsched_director_new(
    config: Option<&vsched_config>,
    director: Option<&mut MaybeUninit<*mut vsched_director>>,
) -> vsched_status {
    guard(|| make(config, director, || Ok(ResourceLimits::default())))
}

/// Makes a director that runs this config, and never one that takes more than these limits allow: a
/// config or a command that would is VSCHED_E_INVALID, with the total, the limit and the service that
/// takes the most in the error text, and changes nothing.
///
/// NULL: none may be. Answers: as vsched_director_new; VSCHED_E_STRUCT_SIZE, VSCHED_E_ARGUMENT (see
/// the config's error text). From any thread. O(services + servers).
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_director_new_with_limits(
    config: Option<&vsched_config>,
    limits: *const vsched_limits,
    director: Option<&mut MaybeUninit<*mut vsched_director>>,
) -> vsched_status {
    guard(|| {
        make(config, director, || {
            // SAFETY: the caller promises a struct as long as it says.
            structs::limits(unsafe { sized::read(limits) }?)
        })
    })
}

fn make(
    config: Option<&vsched_config>,
    to: Option<&mut MaybeUninit<*mut vsched_director>>,
    limits: impl FnOnce() -> Result<ResourceLimits, Fault>,
) -> Result<(), vsched_status> {
    let (config, to) = (config.ok_or(VSCHED_E_NULL)?, to.ok_or(VSCHED_E_NULL)?);
    let made = limits().and_then(|limits| Ok(Director::with_limits(&config.config, limits)?));
    let director = config.error.keep(made)?;
    let made = vsched_director { director, error: LastError::default() };
    to.write(Box::into_raw(Box::new(made)));
    Ok(())
}

/// Frees a director. NULL does nothing. Not while another thread uses this handle; workers go on
/// with what ran last, and leases can still be closed through them.
#[unsafe(no_mangle)]
pub extern "C" fn vsched_director_free(director: Option<Box<vsched_director>>) {
    guard(|| {
        drop(director);
        Ok(())
    });
}

/// Makes this config the one that runs, whatever that removes, in one step: a pick that begins
/// afterwards sees all of it, one under way all of the old or all of the new. What the configs have in
/// common keeps its state; a config that wants the same changes nothing. An empty config removes
/// everything: where it comes from a file, use vsched_director_apply_with.
///
/// NULL: `applied` may be; else set applied->struct_size before. Answers: VSCHED_E_INVALID,
/// VSCHED_E_CAPACITY (see the director's error text for both), VSCHED_E_STRUCT_SIZE; nothing has
/// changed then.
/// From any thread. O(services + servers).
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_director_apply(
    director: Option<&vsched_director>,
    config: Option<&vsched_config>,
    applied: *mut vsched_applied,
) -> vsched_status {
    guard(|| {
        let (director, config) = (director.ok_or(VSCHED_E_NULL)?, config.ok_or(VSCHED_E_NULL)?);
        // SAFETY: the caller promises a struct as long as it says, or NULL.
        let to = unsafe { place(applied) }?;
        let result = director.director.apply(&config.config).map_err(Fault::from);
        give(to, director.error.keep(result)?);
        Ok(())
    })
}

/// Tells the time and does what is due: frees what reloads have left, forgets addresses. Call it
/// about once a second. `now_ms` are milliseconds since any fixed moment, such as CLOCK_MONOTONIC; a
/// clock that jumps back is ignored.
///
/// NULL: `director` may not be. From any thread.
#[unsafe(no_mangle)]
pub extern "C" fn vsched_director_tick(
    director: Option<&vsched_director>,
    now_ms: u64,
) -> vsched_status {
    guard(|| {
        director.ok_or(VSCHED_E_NULL)?.director.tick(Duration::from_millis(now_ms));
        Ok(())
    })
}

/// Finds a service by its key, such as "tcp 192.168.4.5:80" or "fwmark 7".
///
/// NULL: none may be. Answers: VSCHED_NO_SERVICE, VSCHED_E_PARSE (no key), VSCHED_E_UTF8. From any
/// thread. O(1).
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_director_service(
    director: Option<&vsched_director>,
    key: *const c_char,
    key_length: usize,
    service: Option<&mut MaybeUninit<vsched_service_id>>,
) -> vsched_status {
    guard(|| {
        let (director, to) = (director.ok_or(VSCHED_E_NULL)?, service.ok_or(VSCHED_E_NULL)?);
        // SAFETY: the caller promises so many bytes.
        let key = unsafe { text::read(key, key_length) }.map_err(Fault::from);
        let found = key.and_then(|key| director.director.service(key).map_err(Fault::from));
        to.write(director.error.keep(found)?.into());
        Ok(())
    })
}

/// Finds the service that takes this flow; see vsched_worker_service_for.
///
/// NULL: none may be. Answers: VSCHED_NO_SERVICE. From any thread. O(1).
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn vsched_director_service_for(
    director: Option<&vsched_director>,
    flow: Option<&vsched_flow>,
    service: Option<&mut MaybeUninit<vsched_service_id>>,
) -> vsched_status {
    guard(|| {
        let (director, flow) = (director.ok_or(VSCHED_E_NULL)?, flow.ok_or(VSCHED_E_NULL)?);
        let to = service.ok_or(VSCHED_E_NULL)?;
        let found = director.director.service_for(flow.as_rust());
        to.write(found.ok_or(VSCHED_NO_SERVICE)?.into());
        Ok(())
    })
}

/// Finds a server by its service's key and its own address and port.
///
/// NULL: none may be. Answers: VSCHED_STALE (no such service or server), VSCHED_E_PARSE,
/// VSCHED_E_UTF8. From any thread. O(servers of the service).
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_director_server(
    director: Option<&vsched_director>,
    key: *const c_char,
    key_length: usize,
    address: *const c_char,
    address_length: usize,
    server: Option<&mut MaybeUninit<vsched_server_id>>,
) -> vsched_status {
    guard(|| {
        let (director, to) = (director.ok_or(VSCHED_E_NULL)?, server.ok_or(VSCHED_E_NULL)?);
        let named = || {
            // SAFETY: the caller promises so many bytes of both.
            let key = unsafe { config_edit::key_of(key, key_length) }?;
            // SAFETY: as above.
            let address = unsafe { text::read(address, address_length) }?;
            Ok((key, structs::address(address)?))
        };
        let (key, address) = director.error.keep(named())?;
        to.write(director.director.server(&key, address).ok_or(VSCHED_STALE)?.into());
        Ok(())
    })
}

/// One decision, for a caller without a worker. Takes a lock; a data plane uses
/// vsched_worker_pick_server.
///
/// NULL: none may be. Answers: VSCHED_NO_SERVER, VSCHED_NO_SERVICE (the service was deleted). From any
/// thread.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn vsched_director_pick_server(
    director: Option<&vsched_director>,
    service: vsched_service_id,
    flow: Option<&vsched_flow>,
    pick: Option<&mut MaybeUninit<vsched_pick>>,
) -> vsched_status {
    guard(|| {
        let (director, flow) = (director.ok_or(VSCHED_E_NULL)?, flow.ok_or(VSCHED_E_NULL)?);
        let to = pick.ok_or(VSCHED_E_NULL)?;
        let found = director.director.try_pick_server(service.into(), flow.as_rust());
        to.write(vsched_pick::of(found.map_err(status::refused)?));
        Ok(())
    })
}

/// Copies the config that runs into a new one, which is yours to free.
///
/// NULL: none may be. From any thread. O(services + servers).
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn vsched_director_config(
    director: Option<&vsched_director>,
    config: Option<&mut MaybeUninit<*mut vsched_config>>,
) -> vsched_status {
    guard(|| {
        let (director, to) = (director.ok_or(VSCHED_E_NULL)?, config.ok_or(VSCHED_E_NULL)?);
        to.write(vsched_config::boxed(director.director.config()));
        Ok(())
    })
}

/// Copies the text of the latest failure of a function on this director, on whichever thread; empty
/// if none has failed. VSCHED_E_NULL, VSCHED_E_BUFFER, a wrong struct_size of an output, and stale or
/// unknown ids may leave the text before.
///
/// As vsched_config_write_rules.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_director_error(
    director: Option<&vsched_director>,
    buffer: *mut c_char,
    capacity: usize,
    length: Option<&mut MaybeUninit<usize>>,
) -> vsched_status {
    guard(|| {
        let director = director.ok_or(VSCHED_E_NULL)?;
        // SAFETY: the caller promises `capacity` bytes at `buffer`.
        unsafe { text::write(&director.error.text(), buffer, capacity, length) }
    })
}

/// Where to tell what a change did; `None` if the caller does not want to know.
///
/// # Safety
/// As [`Place::of`].
pub(super) unsafe fn place(
    applied: *mut vsched_applied,
) -> Result<Option<Place<vsched_applied>>, vsched_status> {
    // SAFETY: the caller's promise.
    if applied.is_null() { Ok(None) } else { unsafe { Place::of(applied) }.map(Some) }
}

pub(super) fn give(to: Option<Place<vsched_applied>>, applied: crate::Applied) {
    if let Some(to) = to {
        to.write(applied.into());
    }
}

/// A text that should be one command and is none, or several.
pub(super) fn not_one(text: &str) -> Fault {
    Fault::new(VSCHED_E_PARSE, format_args!("`{}`: expected one command", Quoted(text)))
}
