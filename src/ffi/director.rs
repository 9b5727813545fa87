//! # Director: make, apply, tick
//!
//! A director runs a config and keeps its state across changes: connection counts, rotations,
//! affinity and statistics survive every reload. Make one with vsched_director_new, make one worker
//! per thread with vsched_worker_new, apply new configs or single edits at any time, call
//! vsched_director_tick about once a second, and free it with vsched_director_free. Workers may
//! outlive it. After an error the error text of the director names the item.
//!
//! NULL: no pointer may be NULL, except `applied`, `buffer` if `capacity` is 0, `length`, and the
//! argument of vsched_director_free.

use std::mem::MaybeUninit;
use std::os::raw::c_char;
use std::time::Duration;

use crate::Director;
use crate::config::ResourceLimits;
use crate::error::Quoted;
use crate::ffi::config::vsched_config;
use crate::ffi::sized::{self, Grows, Place};
use crate::ffi::status::{VSCHED_E_NULL, VSCHED_E_PARSE, vsched_status};
use crate::ffi::structs::bad;
use crate::ffi::{Fault, LastError, guard, text};

/// Runs a config: the control plane. Its functions may be called from several threads at once. Free
/// it with vsched_director_free.
pub struct vsched_director {
    pub(super) director: Director,
    pub(super) error: LastError,
}

/// Limits on what a director may take from its host. Zeros mean the default.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct vsched_limits {
    /// sizeof(vsched_limits).
    pub struct_size: u32,
    /// Set to 0.
    pub reserved: u32,
    /// Maximum for vsched_config_memory in bytes. Default: 8589934592 (8 GiB); UINT64_MAX: no limit
    /// but the system's.
    pub memory: u64,
}

/// What a change did, as numbers of services and servers. Adding or removing a service counts the
/// service and each of its servers.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct vsched_applied {
    /// sizeof(vsched_applied).
    pub struct_size: u32,
    /// Added.
    pub added: u32,
    /// Edited: same key or address, other settings.
    pub changed: u32,
    /// Servers whose weight became 0.
    pub drained: u32,
    /// Removed.
    pub removed: u32,
    /// 1 if kernel rules, seed, timeouts or daemons changed.
    pub settings: u32,
}

// SAFETY: it begins with its size, ends without padding, and holds numbers.
unsafe impl Grows for vsched_limits {
    const LEAST: usize = size_of::<vsched_limits>();
}
// SAFETY: as above.
unsafe impl Grows for vsched_applied {
    const LEAST: usize = size_of::<vsched_applied>();
}

/// Makes a director that runs a config, with the default limits.
///
/// Threads: shared on the config. Cost: O(services + servers).
///
/// @param config The config; it stays yours. After an error its error text lists the problems.
/// @param[out] director The new director; free it with vsched_director_free.
/// @return VSCHED_OK; VSCHED_E_INVALID; VSCHED_E_CAPACITY: the system has no memory for the config.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn vsched_director_new(
    config: Option<&vsched_config>,
    director: Option<&mut MaybeUninit<*mut vsched_director>>,
) -> vsched_status {
    guard(|| make(config, director, || Ok(ResourceLimits::default())))
}

/// Makes a director that runs a config within limits. It later rejects every config and command
/// that exceeds them with VSCHED_E_INVALID; the error text then names the total, the limit and the
/// largest service.
///
/// Threads: shared on the config. Cost: O(services + servers).
///
/// @param config The config; it stays yours. After an error its error text lists the problems.
/// @param limits The limits.
/// @param[out] director The new director; free it with vsched_director_free.
/// @return VSCHED_OK; VSCHED_E_INVALID; VSCHED_E_CAPACITY; VSCHED_E_STRUCT_SIZE; VSCHED_E_ARGUMENT:
///   a reserved field is not 0.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_director_new_with_limits(
    config: Option<&vsched_config>,
    limits: *const vsched_limits,
    director: Option<&mut MaybeUninit<*mut vsched_director>>,
) -> vsched_status {
    guard(|| {
        make(config, director, || {
            // SAFETY: the caller promises a struct of `struct_size` bytes.
            limits_of(unsafe { sized::read(limits) }?)
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

/// Frees a director. Workers go on with the config that ran last, and still close leases.
///
/// Threads: exclusive.
///
/// @param director The director; NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn vsched_director_free(director: Option<Box<vsched_director>>) {
    guard(|| {
        drop(director);
        Ok(())
    });
}

/// Replaces the running config in one step, whatever that removes. A pick that begins afterwards
/// sees all of the new config; a pick in progress sees all of the old or all of the new one. What
/// both configs have in common keeps its state, and an equal config changes nothing. An empty
/// config removes everything: for configs from files use vsched_director_apply_with.
///
/// Threads: control. Cost: O(services + servers).
///
/// @param director The director; after an error nothing has changed.
/// @param config The new config; it stays yours.
/// @param[in,out] applied What changed, or NULL; set its struct_size before.
/// @return VSCHED_OK; VSCHED_E_INVALID; VSCHED_E_CAPACITY; VSCHED_E_STRUCT_SIZE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_director_apply(
    director: Option<&vsched_director>,
    config: Option<&vsched_config>,
    applied: *mut vsched_applied,
) -> vsched_status {
    guard(|| {
        let (director, config) = (director.ok_or(VSCHED_E_NULL)?, config.ok_or(VSCHED_E_NULL)?);
        // SAFETY: the caller promises a struct of `struct_size` bytes, or NULL.
        let to = unsafe { place(applied) }?;
        let result = director.director.apply(&config.config).map_err(Fault::from);
        give(to, director.error.keep(result)?);
        Ok(())
    })
}

/// Advances the director's clock and does what is due: frees what reloads have left and forgets
/// expired addresses. Call it about once a second.
///
/// An expired address is not found any more once this has returned, however many there are and
/// however far the clock has jumped. Its memory is freed later in a large map: each call visits at
/// most 131,072 entries of each map, which has two to four per address of affinity_capacity. So a
/// map for a million addresses is swept in 16 calls, and the largest in 256. A full map is swept
/// whole at once, so that new addresses have room.
///
/// Threads: control. Other control calls get the lock after each millisecond or so.
///
/// Cost: O(services + removed servers), plus what the sweeps visit; in a service of lblc or lblcr
/// with more than 16,384 addresses, the first call in each minute visits all of them.
///
/// @param director The director.
/// @param now_ms Milliseconds since any fixed moment, such as CLOCK_MONOTONIC. A clock that jumps
///   back is ignored.
/// @return VSCHED_OK.
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

/// Copies the running config.
///
/// Threads: control. Cost: O(services + servers).
///
/// @param director The director.
/// @param[out] config The copy; free it with vsched_config_free.
/// @return VSCHED_OK.
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

/// Copies the text of the latest failure of a function on this director, in any thread; empty if no
/// function has failed. VSCHED_E_NULL, VSCHED_E_BUFFER, a wrong struct_size of an output, and stale
/// or unknown ids may leave the previous text.
///
/// Threads: any.
///
/// @param director The director.
/// @param[out] buffer Receives the text and a NUL.
/// @param capacity Bytes of the buffer.
/// @param[out] length Length of the text in bytes.
/// @return VSCHED_OK; VSCHED_E_BUFFER.
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

/// The limits of a director, from C.
fn limits_of(from: vsched_limits) -> Result<ResourceLimits, Fault> {
    if from.reserved != 0 {
        return Err(bad("reserved", from.reserved, "0"));
    }
    let limits = ResourceLimits::default();
    Ok(if from.memory == 0 { limits } else { limits.with_memory(from.memory) })
}

impl From<crate::Applied> for vsched_applied {
    fn from(from: crate::Applied) -> Self {
        let count = |items: &[crate::Item]| u32::try_from(items.len()).unwrap_or(u32::MAX);
        vsched_applied {
            struct_size: 0,
            added: count(&from.added),
            changed: count(&from.changed),
            drained: count(&from.drained),
            removed: count(&from.removed),
            settings: u32::from(from.settings),
        }
    }
}

/// Room for the result of a change; `None` if the caller passes NULL.
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

/// The failure for a text that is not exactly one command.
pub(super) fn not_one(text: &str) -> Fault {
    Fault::new(VSCHED_E_PARSE, format_args!("`{}`: expected one command", Quoted(text)))
}
