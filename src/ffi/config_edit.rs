//! # Config: edit
//!
//! The commands of an administrator as typed calls. Each happens completely or not at all. Limits
//! are checked by vsched_config_validate and by directors, not here. After an error the error text
//! of the config names the item.
//!
//! NULL: no pointer may be NULL, except a text whose length is 0, which is then an empty text.

use std::os::raw::c_char;

use crate::config::{Command, Config};
use crate::error::CommandError;
use crate::ffi::config::vsched_config;
use crate::ffi::sized::{self, Place};
use crate::ffi::status::{VSCHED_E_NULL, VSCHED_E_REFUSED, vsched_status};
use crate::ffi::structs::{self, vsched_server, vsched_service, vsched_settings};
use crate::ffi::{Fault, guard, names, service};

/// Adds a virtual service without servers.
///
/// Threads: exclusive. Cost: O(services).
///
/// @param config The config; after an error it is unchanged.
/// @param service The service.
/// @return VSCHED_OK; VSCHED_E_REFUSED: the service exists; VSCHED_E_STRUCT_SIZE; VSCHED_E_LENGTH;
///   VSCHED_E_UTF8; VSCHED_E_PARSE: the key; VSCHED_E_ARGUMENT: another field.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_config_add_service(
    config: Option<&mut vsched_config>,
    service: *const vsched_service,
) -> vsched_status {
    // SAFETY: the caller promises a struct of `struct_size` bytes, and its texts.
    execute(config, |_| Ok(Command::AddService(unsafe { service_of(service) }?)))
}

/// Gives a virtual service new settings; its servers stay.
///
/// Threads: exclusive. Cost: O(services).
///
/// @param config The config; after an error it is unchanged.
/// @param service The service with its new settings.
/// @return VSCHED_OK; VSCHED_E_REFUSED: no such service; VSCHED_E_STRUCT_SIZE; VSCHED_E_LENGTH;
///   VSCHED_E_UTF8; VSCHED_E_PARSE: the key; VSCHED_E_ARGUMENT: another field.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_config_edit_service(
    config: Option<&mut vsched_config>,
    service: *const vsched_service,
) -> vsched_status {
    // SAFETY: the caller promises a struct of `struct_size` bytes, and its texts.
    execute(config, |_| Ok(Command::EditService(unsafe { service_of(service) }?)))
}

/// Deletes a virtual service with its servers.
///
/// Threads: exclusive. Cost: O(services).
///
/// @param config The config.
/// @param key Key of the service, such as "tcp 192.168.4.5:80", or its name.
/// @param key_length Bytes of the key.
/// @return VSCHED_OK; VSCHED_E_REFUSED: no such service; VSCHED_E_LENGTH; VSCHED_E_UTF8;
///   VSCHED_E_PARSE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_config_delete_service(
    config: Option<&mut vsched_config>,
    key: *const c_char,
    key_length: usize,
) -> vsched_status {
    execute(config, |names| {
        // SAFETY: the caller promises the length.
        Ok(Command::DeleteService(unsafe {
            names::key_of(names, key, key_length, VSCHED_E_REFUSED)
        }?))
    })
}

/// Deletes every virtual service. The settings stay.
///
/// Threads: exclusive.
///
/// @param config The config.
/// @return VSCHED_OK.
#[unsafe(no_mangle)]
pub extern "C" fn vsched_config_clear(config: Option<&mut vsched_config>) -> vsched_status {
    execute(config, |_| Ok(Command::Clear))
}

/// Adds a server at the head of the server list of a service.
///
/// Threads: exclusive. Cost: O(services + servers of the service).
///
/// @param config The config; after an error it is unchanged.
/// @param key Key or name of the service.
/// @param key_length Bytes of the key.
/// @param server The server.
/// @return VSCHED_OK; VSCHED_E_REFUSED: no such service, or it has the server;
///   VSCHED_E_STRUCT_SIZE; VSCHED_E_LENGTH; VSCHED_E_UTF8; VSCHED_E_PARSE: key or address;
///   VSCHED_E_ARGUMENT: another field.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_config_add_server(
    config: Option<&mut vsched_config>,
    key: *const c_char,
    key_length: usize,
    server: *const vsched_server,
) -> vsched_status {
    execute(config, |names| {
        // SAFETY: the caller promises the length, a struct of `struct_size` bytes, and its text.
        let (service, server) = unsafe {
            (names::key_of(names, key, key_length, VSCHED_E_REFUSED)?, server_of(server)?)
        };
        Ok(Command::AddServer { service, server })
    })
}

/// Gives a server new settings; its position in the list stays.
///
/// Threads: exclusive. Cost: O(services + servers of the service).
///
/// @param config The config; after an error it is unchanged.
/// @param key Key or name of the service.
/// @param key_length Bytes of the key.
/// @param server The server with its new settings.
/// @return VSCHED_OK; VSCHED_E_REFUSED: no such service or server; VSCHED_E_STRUCT_SIZE;
///   VSCHED_E_LENGTH; VSCHED_E_UTF8; VSCHED_E_PARSE: key or address; VSCHED_E_ARGUMENT: another
///   field.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_config_edit_server(
    config: Option<&mut vsched_config>,
    key: *const c_char,
    key_length: usize,
    server: *const vsched_server,
) -> vsched_status {
    execute(config, |names| {
        // SAFETY: the caller promises the length, a struct of `struct_size` bytes, and its text.
        let (service, server) = unsafe {
            (names::key_of(names, key, key_length, VSCHED_E_REFUSED)?, server_of(server)?)
        };
        Ok(Command::EditServer { service, server })
    })
}

/// Deletes a server of a service.
///
/// Threads: exclusive. Cost: O(services + servers of the service).
///
/// @param config The config.
/// @param key Key or name of the service.
/// @param key_length Bytes of the key.
/// @param address Address and port of the server, such as "192.168.5.11:80", or its name.
/// @param address_length Bytes of the address.
/// @return VSCHED_OK; VSCHED_E_REFUSED: no such service or server; VSCHED_E_LENGTH; VSCHED_E_UTF8;
///   VSCHED_E_PARSE: key or address.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_config_delete_server(
    config: Option<&mut vsched_config>,
    key: *const c_char,
    key_length: usize,
    address: *const c_char,
    address_length: usize,
) -> vsched_status {
    execute(config, |names| {
        // SAFETY: the caller promises both lengths.
        let (service, server) = unsafe {
            let service = names::key_of(names, key, key_length, VSCHED_E_REFUSED)?;
            let server =
                names::address_of(names, &service, address, address_length, VSCHED_E_REFUSED)?;
            (service, server)
        };
        Ok(Command::DeleteServer { service, server })
    })
}

/// Replaces the settings of the config. Its services stay.
///
/// Threads: exclusive.
///
/// @param config The config; after an error it is unchanged.
/// @param settings The new settings.
/// @return VSCHED_OK; VSCHED_E_STRUCT_SIZE; VSCHED_E_ARGUMENT.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_config_set_settings(
    config: Option<&mut vsched_config>,
    settings: *const vsched_settings,
) -> vsched_status {
    guard(|| {
        let config = config.ok_or(VSCHED_E_NULL)?;
        // SAFETY: the caller promises a struct of `struct_size` bytes.
        let settings = unsafe { sized::read(settings) };
        config.change(|config| structs::set(config, settings?))
    })
}

/// Reads the settings of the config.
///
/// Threads: shared.
///
/// @param config The config.
/// @param[in,out] settings Receives the settings; set its struct_size before.
/// @return VSCHED_OK; VSCHED_E_STRUCT_SIZE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_config_settings(
    config: Option<&vsched_config>,
    settings: *mut vsched_settings,
) -> vsched_status {
    guard(|| {
        let config = config.ok_or(VSCHED_E_NULL)?;
        // SAFETY: the caller promises a struct of `struct_size` bytes.
        unsafe { Place::of(settings) }?.write(structs::settings(&config.config));
        Ok(())
    })
}

fn execute(
    config: Option<&mut vsched_config>,
    command: impl FnOnce(&Config) -> Result<Command, Fault>,
) -> vsched_status {
    guard(|| {
        let config = config.ok_or(VSCHED_E_NULL)?;
        config.change(|config| Ok(config.execute(&command(config)?)?))
    })
}

impl From<CommandError> for Fault {
    fn from(error: CommandError) -> Self {
        Fault::new(VSCHED_E_REFUSED, error)
    }
}

/// # Safety
/// `service` is NULL or a struct of `struct_size` bytes; its texts are readable.
pub(super) unsafe fn service_of(
    service: *const vsched_service,
) -> Result<crate::config::ServiceSettings, Fault> {
    // SAFETY: the caller's promise.
    unsafe { service::read(sized::read(service)?) }
}

/// # Safety
/// As [`service_of`].
pub(super) unsafe fn server_of(
    server: *const vsched_server,
) -> Result<crate::config::RealServer, Fault> {
    // SAFETY: the caller's promise.
    unsafe { structs::server(sized::read(server)?) }
}
