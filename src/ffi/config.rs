//! # Config: make, read, write
//!
//! Make a config with vsched_config_new, fill it from a text or with the functions of the next
//! groups, pass it to a director, and free it with vsched_config_free. A director copies what it
//! needs.
//!
//! NULL: no pointer may be NULL, except `rules` or `json` if `length` is 0, `buffer` if `capacity`
//! is 0, `length` of a text output, and the argument of vsched_config_free.

use std::mem::MaybeUninit;
use std::os::raw::c_char;

use crate::Config;
use crate::config::rules::Rules;
use crate::ffi::status::{VSCHED_E_INVALID, VSCHED_E_NULL, VSCHED_E_PARSE, vsched_status};
use crate::ffi::structs;
use crate::ffi::{Fault, LastError, guard, text};

/// A configuration: virtual services, their real servers, and settings. It is independent of any
/// director. Threads that share one obey the classes "shared" and "exclusive". Free it with
/// vsched_config_free.
pub struct vsched_config {
    pub(super) config: Config,
    pub(super) error: LastError,
}

impl vsched_config {
    pub(super) fn boxed(config: Config) -> *mut Self {
        Box::into_raw(Box::new(vsched_config { config, error: LastError::default() }))
    }

    /// Runs a change, which happens whole or not at all, and keeps its error.
    pub(super) fn change(
        &mut self,
        change: impl FnOnce(&mut Config) -> Result<(), Fault>,
    ) -> Result<(), vsched_status> {
        self.error.keep(change(&mut self.config))
    }
}

/// Makes an empty config.
///
/// Threads: any.
///
/// @param[out] config The new config; free it with vsched_config_free.
/// @return VSCHED_OK.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn vsched_config_new(
    config: Option<&mut MaybeUninit<*mut vsched_config>>,
) -> vsched_status {
    guard(|| {
        let config = config.ok_or(VSCHED_E_NULL)?;
        config.write(vsched_config::boxed(Config::default()));
        Ok(())
    })
}

/// Copies a config. The error text of the copy is empty.
///
/// Threads: shared. Cost: O(services + servers).
///
/// @param config The original.
/// @param[out] clone The copy; free it with vsched_config_free.
/// @return VSCHED_OK.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn vsched_config_clone(
    config: Option<&vsched_config>,
    clone: Option<&mut MaybeUninit<*mut vsched_config>>,
) -> vsched_status {
    guard(|| {
        let (config, clone) = (config.ok_or(VSCHED_E_NULL)?, clone.ok_or(VSCHED_E_NULL)?);
        clone.write(vsched_config::boxed(config.config.clone()));
        Ok(())
    })
}

/// Frees a config.
///
/// Threads: exclusive.
///
/// @param config The config; NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn vsched_config_free(config: Option<Box<vsched_config>>) {
    guard(|| {
        drop(config);
        Ok(())
    });
}

/// Replaces the whole config by what a rules text says, one command per line, as `ipvsadm --save`
/// prints:
///
/// @code
/// -A -t 192.168.4.5:80 -s wrr
/// -a -t 192.168.4.5:80 -r 192.168.5.11 -m -w 2
/// @endcode
///
/// Options that begin with `--vsched-` say what ipvsadm has no words for, such as `--vsched-sharing
/// per-worker` after -A, or `--vsched-seed 7` on a line of its own.
///
/// Threads: exclusive. Cost: O(length).
///
/// @param config The config; after an error it is unchanged.
/// @param rules The rules text.
/// @param length Bytes of the rules text.
/// @return VSCHED_OK; VSCHED_E_LENGTH; VSCHED_E_UTF8; VSCHED_E_PARSE: the error text names line,
///   column and word.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_config_read_rules(
    config: Option<&mut vsched_config>,
    rules: *const c_char,
    length: usize,
) -> vsched_status {
    guard(|| {
        let config = config.ok_or(VSCHED_E_NULL)?;
        // SAFETY: the caller promises `length` bytes at `rules`.
        let rules = unsafe { text::read(rules, length) };
        config.change(|config| {
            *config = rules?.parse().map_err(|error| Fault::new(VSCHED_E_PARSE, error))?;
            Ok(())
        })
    })
}

/// Executes the commands of a rules text on the config, in order: all of them or none.
///
/// Threads: exclusive.
///
/// @param config The config; after an error it is unchanged.
/// @param rules The commands.
/// @param length Bytes of the commands.
/// @return VSCHED_OK; VSCHED_E_LENGTH; VSCHED_E_UTF8; VSCHED_E_PARSE: a line does not parse, or a
///   command does not fit, such as a second -A of a service.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_config_execute(
    config: Option<&mut vsched_config>,
    rules: *const c_char,
    length: usize,
) -> vsched_status {
    guard(|| {
        let config = config.ok_or(VSCHED_E_NULL)?;
        // SAFETY: the caller promises `length` bytes at `rules`.
        let rules = unsafe { text::read(rules, length) };
        config.change(|config| {
            let wrong = |error| Fault::new(VSCHED_E_PARSE, error);
            rules?.parse::<Rules>().map_err(wrong)?.apply_to(config).map_err(wrong)
        })
    })
}

/// Replaces the whole config by what a JSON text says. Unknown fields are errors.
///
/// Threads: exclusive. Cost: O(length).
///
/// @param config The config; after an error it is unchanged.
/// @param json The JSON text.
/// @param length Bytes of the JSON text.
/// @return VSCHED_OK; VSCHED_E_LENGTH; VSCHED_E_UTF8; VSCHED_E_PARSE: the error text names line and
///   column.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_config_read_json(
    config: Option<&mut vsched_config>,
    json: *const c_char,
    length: usize,
) -> vsched_status {
    guard(|| {
        let config = config.ok_or(VSCHED_E_NULL)?;
        // SAFETY: the caller promises `length` bytes at `json`.
        let json = unsafe { text::read(json, length) };
        config.change(|config| {
            *config =
                serde_json::from_str(json?).map_err(|error| Fault::new(VSCHED_E_PARSE, error))?;
            Ok(())
        })
    })
}

/// Form of a rules text: what `ipvsadm --save --numeric` prints, sorted, without thresholds.
pub const VSCHED_RULES_SAVE: u32 = 0;
/// Form of a rules text: complete, in the order of the config; reading it gives an equal config.
/// Options that begin with `--vsched-`, which ipvsadm rejects, say what ipvsadm has no words for. A
/// config without such settings prints as a text that ipvsadm reads.
pub const VSCHED_RULES_COMPLETE: u32 = 1;

/// Prints the config as a rules text.
///
/// Threads: shared. Cost: O(services + servers).
///
/// @param config The config.
/// @param form VSCHED_RULES_SAVE or VSCHED_RULES_COMPLETE.
/// @param[out] buffer Receives the text and a NUL.
/// @param capacity Bytes of the buffer.
/// @param[out] length Length of the text in bytes.
/// @return VSCHED_OK; VSCHED_E_ARGUMENT: another form; VSCHED_E_BUFFER.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_config_write_rules(
    config: Option<&vsched_config>,
    form: u32,
    buffer: *mut c_char,
    capacity: usize,
    length: Option<&mut MaybeUninit<usize>>,
) -> vsched_status {
    guard(|| {
        let config = config.ok_or(VSCHED_E_NULL)?;
        let rules = config.config.to_rules();
        let rules = match form {
            VSCHED_RULES_SAVE => rules,
            VSCHED_RULES_COMPLETE => rules.complete(),
            other => {
                let expected = "VSCHED_RULES_SAVE or VSCHED_RULES_COMPLETE";
                return config.error.keep(Err(structs::bad("form", other, expected)));
            }
        };
        // SAFETY: the caller promises `capacity` bytes at `buffer`.
        unsafe { text::write(&rules.to_string(), buffer, capacity, length) }
    })
}

/// Prints the config as JSON that vsched_config_read_json reads.
///
/// Threads: shared. Cost: O(services + servers).
///
/// @param config The config.
/// @param[out] buffer Receives the text and a NUL.
/// @param capacity Bytes of the buffer.
/// @param[out] length Length of the text in bytes.
/// @return VSCHED_OK; VSCHED_E_BUFFER.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_config_write_json(
    config: Option<&vsched_config>,
    buffer: *mut c_char,
    capacity: usize,
    length: Option<&mut MaybeUninit<usize>>,
) -> vsched_status {
    guard(|| {
        let config = config.ok_or(VSCHED_E_NULL)?;
        let json = serde_json::to_string_pretty(&config.config);
        // SAFETY: the caller promises `capacity` bytes at `buffer`.
        unsafe { text::write(&json.map_err(|_| VSCHED_E_INVALID)?, buffer, capacity, length) }
    })
}

/// Copies the text of the latest failure of a function on this config; empty if no function has
/// failed. The text quotes at most 80 characters of any input and escapes characters that do not
/// print. VSCHED_E_NULL and VSCHED_E_BUFFER may leave the previous text.
///
/// Threads: shared.
///
/// @param config The config.
/// @param[out] buffer Receives the text and a NUL.
/// @param capacity Bytes of the buffer.
/// @param[out] length Length of the text in bytes.
/// @return VSCHED_OK; VSCHED_E_BUFFER.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_config_error(
    config: Option<&vsched_config>,
    buffer: *mut c_char,
    capacity: usize,
    length: Option<&mut MaybeUninit<usize>>,
) -> vsched_status {
    guard(|| {
        let config = config.ok_or(VSCHED_E_NULL)?;
        // SAFETY: the caller promises `capacity` bytes at `buffer`.
        unsafe { text::write(&config.error.text(), buffer, capacity, length) }
    })
}
