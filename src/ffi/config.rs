//! Configs: made from texts, checked, printed.

use std::mem::MaybeUninit;
use std::os::raw::c_char;

use crate::Config;
use crate::config::rules::Rules;
use crate::ffi::sized::{self, Place};
use crate::ffi::status::{VSCHED_E_INVALID, VSCHED_E_NULL, VSCHED_E_PARSE, vsched_status};
use crate::ffi::structs::{self, vsched_settings};
use crate::ffi::{Fault, LastError, guard, text};

/// What the operator wants: virtual services and their real servers.
///
/// Memory of its own; make one with vsched_config_new and free it with vsched_config_free. Functions
/// that take a const pointer may run on several threads at once, others need it to themselves. A
/// director keeps nothing of it.
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
/// NULL: `config` may not be. Answers: none but VSCHED_OK and errors. From any thread.
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

/// Makes a config like this one. Its error text is empty.
///
/// NULL: none may be. From any thread.
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

/// Frees a config. NULL does nothing. Not while another thread uses it.
#[unsafe(no_mangle)]
pub extern "C" fn vsched_config_free(config: Option<Box<vsched_config>>) {
    guard(|| {
        drop(config);
        Ok(())
    });
}

/// Replaces the whole config by what a rules text says, starting from an empty one: one command a
/// line, as `ipvsadm --save` prints and administrators type, such as
/// "-A -t 192.168.4.5:80 -s wrr\n-a -t 192.168.4.5:80 -r 192.168.5.11 -m -w 2". Options that begin with
/// --vsched- say what ipvsadm has no words for, such as "--vsched-sharing per-worker" on a line with -A,
/// or "--vsched-seed 7" on a line of its own.
///
/// NULL: `config` may not be; `rules` may if `length` is 0. Answers: VSCHED_E_UTF8, VSCHED_E_PARSE
/// (the error text names line, column and word). After an error the config is what it was. One thread
/// at a time. O(length).
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

/// Carries out the commands of a rules text on the config, one after the other; all or none.
///
/// As vsched_config_read_rules; VSCHED_E_PARSE also if a command does not fit, such as a second -A
/// of a service.
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
/// As vsched_config_read_rules.
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

/// Rules text: what `ipvsadm --save --numeric` prints, sorted, without thresholds.
pub const VSCHED_RULES_SAVE: u32 = 0;
/// Rules text: everything, in the config's own order: reading it gives an equal config. What ipvsadm
/// has no words for stands in options that begin with --vsched-, which ipvsadm refuses; a config that
/// has nothing of the kind prints as a text that ipvsadm reads.
pub const VSCHED_RULES_COMPLETE: u32 = 1;

/// Prints the config as a rules text, in the form VSCHED_RULES_SAVE or VSCHED_RULES_COMPLETE.
///
/// `length` is set to the text's length, without the NUL that is written behind it, even if the
/// buffer is too small: call with NULL and 0 to learn it, which answers VSCHED_E_BUFFER.
///
/// NULL: `config` may not be; `length` may; `buffer` may if `capacity` is 0. Answers:
/// VSCHED_E_BUFFER, VSCHED_E_ARGUMENT (another form). From any thread.
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
/// As vsched_config_write_rules.
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

/// Tells how many bytes a director takes at most to run this config: what services remember of
/// addresses, tables, slots. Maps of addresses (affinity_capacity) are nearly all of it; they take
/// address space at once and memory as they fill. What its workers have of their own comes on top.
///
/// NULL: none may be. From any thread. O(services + servers).
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

/// Checks every limit, that on memory by its default. The problems are in the error text, one a line, each with its path:
/// "service tcp 192.168.4.5:80: server 192.168.5.11:80: weight: …"; of more than 100 the others are
/// counted.
///
/// NULL: `config` may not be. Answers: VSCHED_E_INVALID. From any thread. O(services + servers).
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn vsched_config_validate(config: Option<&vsched_config>) -> vsched_status {
    guard(|| {
        let config = config.ok_or(VSCHED_E_NULL)?;
        let result = config.config.validate();
        config.error.keep(result.map_err(|error| Fault::new(VSCHED_E_INVALID, error)))
    })
}

/// Gives the config these settings. Its services stay.
///
/// NULL: none may be. Answers: VSCHED_E_STRUCT_SIZE, VSCHED_E_ARGUMENT (see the error text). One
/// thread at a time.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_config_set_settings(
    config: Option<&mut vsched_config>,
    settings: *const vsched_settings,
) -> vsched_status {
    guard(|| {
        let config = config.ok_or(VSCHED_E_NULL)?;
        // SAFETY: the caller promises a struct as long as it says.
        let settings = unsafe { sized::read(settings) };
        config.change(|config| structs::set(config, settings?))
    })
}

/// Reads the settings of the config. Set settings->struct_size before.
///
/// NULL: none may be. Answers: VSCHED_E_STRUCT_SIZE. From any thread.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_config_settings(
    config: Option<&vsched_config>,
    settings: *mut vsched_settings,
) -> vsched_status {
    guard(|| {
        let config = config.ok_or(VSCHED_E_NULL)?;
        // SAFETY: the caller promises a struct as long as it says.
        unsafe { Place::of(settings) }?.write(structs::settings(&config.config));
        Ok(())
    })
}

/// Copies the text of the latest failure of a function on this config; empty if none has failed. It
/// quotes at most 80 characters of any input and prints what does not show as escapes. VSCHED_E_NULL and VSCHED_E_BUFFER may leave the text before.
///
/// As vsched_config_write_rules.
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
