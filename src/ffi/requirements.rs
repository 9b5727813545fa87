//! What hosts must have for a config to work in the kernel, as texts.

use std::mem::MaybeUninit;
use std::os::raw::c_char;

use crate::error::Quoted;
use crate::ffi::config::vsched_config;
use crate::ffi::status::{VSCHED_E_ARGUMENT, VSCHED_E_NULL, vsched_status};
use crate::ffi::{Fault, guard, text};
use crate::requirements::{Requirements, Role};

/// Prints what each host must have for this config to work in a kernel's IPVS: commands to paste
/// into a shell, with the reason for each as a comment. `host` is "director" or the address of a
/// real server; empty for all. Proxies need none of it.
///
/// As vsched_config_write_rules; besides VSCHED_E_ARGUMENT (another host), VSCHED_E_UTF8.
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
        // SAFETY: the caller promises so many bytes.
        let requirements = unsafe { of(config, host, host_length) }?;
        // SAFETY: the caller promises `capacity` bytes at `buffer`.
        unsafe { text::write(&requirements.to_string(), buffer, capacity, length) }
    })
}

/// Prints those requirements with a line below each that says whether it holds on this host: "# Here:
/// …". Reads files below /proc, /sys and /lib/modules; changes nothing.
///
/// As vsched_config_requirements.
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
        // SAFETY: the caller promises so many bytes.
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
