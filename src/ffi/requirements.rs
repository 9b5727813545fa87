//! # Config: validation and requirements
//!
//! Checks of a config before a director runs it, and what hosts need to run it in a kernel.
//!
//! NULL: no pointer may be NULL, except `host` if `host_length` is 0, `buffer` if `capacity` is 0,
//! and `length`.

use std::mem::MaybeUninit;
use std::os::raw::c_char;

use crate::error::Quoted;
use crate::ffi::config::vsched_config;
use crate::ffi::status::{VSCHED_E_ARGUMENT, VSCHED_E_INVALID, VSCHED_E_NULL, vsched_status};
use crate::ffi::{Fault, guard, text};
use crate::requirements::{Requirements, Role};

/// Checks every limit, with the default limit on memory. The error text lists the problems, one per
/// line with its path, such as "service tcp 192.168.4.5:80: server 192.168.5.11:80: weight: ...".
/// Past the first 100 problems it only counts.
///
/// Threads: shared. Cost: O(services + servers).
///
/// @param config The config.
/// @return VSCHED_OK; VSCHED_E_INVALID.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn vsched_config_validate(config: Option<&vsched_config>) -> vsched_status {
    guard(|| {
        let config = config.ok_or(VSCHED_E_NULL)?;
        let result = config.config.validate();
        config.error.keep(result.map_err(|error| Fault::new(VSCHED_E_INVALID, error)))
    })
}

/// Computes the maximum memory of a director that runs this config: remembered addresses, tables
/// and server slots. Maps of addresses (affinity_capacity) are nearly all of it; they reserve
/// address space at once and take memory as they fill. The memory of workers is not included.
///
/// Threads: shared. Cost: O(services + servers).
///
/// @param config The config.
/// @param[out] bytes The maximum in bytes.
/// @return VSCHED_OK.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn vsched_config_memory(
    config: Option<&vsched_config>,
    bytes: Option<&mut MaybeUninit<u64>>,
) -> vsched_status {
    guard(|| {
        let (config, to) = (config.ok_or(VSCHED_E_NULL)?, bytes.ok_or(VSCHED_E_NULL)?);
        to.write(config.config.memory());
        Ok(())
    })
}

/// Prints what hosts need for this config to work in a kernel's IPVS: shell commands, with the
/// reason for each as a comment. Proxies need none of it.
///
/// Threads: shared.
///
/// @param config The config.
/// @param host "director", or the address of a real server; empty for all hosts.
/// @param host_length Bytes of the host.
/// @param[out] buffer Receives the text and a NUL.
/// @param capacity Bytes of the buffer.
/// @param[out] length Length of the text in bytes.
/// @return VSCHED_OK; VSCHED_E_ARGUMENT: another host; VSCHED_E_LENGTH; VSCHED_E_UTF8;
///   VSCHED_E_BUFFER.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_config_requirements(
    config: Option<&vsched_config>,
    host: *const c_char,
    host_length: usize,
    buffer: *mut c_char,
    capacity: usize,
    length: Option<&mut MaybeUninit<usize>>,
) -> vsched_status {
    guard(|| {
        let config = config.ok_or(VSCHED_E_NULL)?;
        // SAFETY: the caller promises the length.
        let requirements = unsafe { of(config, host, host_length) }?;
        // SAFETY: the caller promises `capacity` bytes at `buffer`.
        unsafe { text::write(&requirements.to_string(), buffer, capacity, length) }
    })
}

/// Prints the same requirements, each followed by a line "# Here: ..." that says whether this host
/// meets it. Reads files below /proc, /sys and /lib/modules and changes nothing.
///
/// Threads: shared.
///
/// @param config The config.
/// @param host "director", or the address of a real server; empty for all hosts.
/// @param host_length Bytes of the host.
/// @param[out] buffer Receives the text and a NUL.
/// @param capacity Bytes of the buffer.
/// @param[out] length Length of the text in bytes.
/// @return VSCHED_OK; VSCHED_E_ARGUMENT: another host; VSCHED_E_LENGTH; VSCHED_E_UTF8;
///   VSCHED_E_BUFFER.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_config_check_local(
    config: Option<&vsched_config>,
    host: *const c_char,
    host_length: usize,
    buffer: *mut c_char,
    capacity: usize,
    length: Option<&mut MaybeUninit<usize>>,
) -> vsched_status {
    guard(|| {
        let config = config.ok_or(VSCHED_E_NULL)?;
        // SAFETY: the caller promises the length.
        let requirements = unsafe { of(config, host, host_length) }?;
        let findings = requirements.check_local();
        let lines: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
        // SAFETY: the caller promises `capacity` bytes at `buffer`.
        unsafe { text::write(&lines, buffer, capacity, length) }
    })
}

/// # Safety
/// `host` has `length` bytes.
unsafe fn of(
    config: &vsched_config,
    host: *const c_char,
    length: usize,
) -> Result<Requirements, vsched_status> {
    // SAFETY: the caller's promise.
    let host = unsafe { text::read(host, length) }?;
    let all = config.config.requirements();
    let role = match host {
        "" => return Ok(all),
        "director" => Ok(Role::Director),
        address => address.parse().map(Role::RealServer).map_err(|_| {
            let expected = "expected `director` or the address of a real server";
            Fault::new(VSCHED_E_ARGUMENT, format_args!("host `{}`: {expected}", Quoted(address)))
        }),
    };
    config.error.keep(role).map(|role| all.of(role))
}
