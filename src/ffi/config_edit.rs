//! Configs changed by calls: the commands of an administrator, typed.

use std::os::raw::c_char;

use crate::config::{Command, ServiceKey};
use crate::error::CommandError;
use crate::ffi::config::vsched_config;
use crate::ffi::sized;
use crate::ffi::status::{VSCHED_E_NULL, VSCHED_E_REFUSED, vsched_status};
use crate::ffi::structs::{self, vsched_server, vsched_service};
use crate::ffi::{Fault, guard, text};

/// Adds a virtual service without servers.
///
/// NULL: none may be. Answers: VSCHED_E_REFUSED (it exists), VSCHED_E_PARSE (key),
/// VSCHED_E_ARGUMENT, VSCHED_E_UTF8, VSCHED_E_STRUCT_SIZE; the error text names the item. After an
/// error the config is what it was. Limits are checked by vsched_config_validate. One thread at a
/// time. O(services).
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_config_add_service(
    config: Option<&mut vsched_config>,
    service: *const vsched_service,
) -> vsched_status {
    // SAFETY: the caller promises a struct as long as it says, and its texts.
    execute(config, || Ok(Command::AddService(unsafe { service_of(service) }?)))
}

/// Gives a virtual service new settings; its servers stay.
///
/// As vsched_config_add_service; VSCHED_E_REFUSED if there is no such service.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_config_edit_service(
    config: Option<&mut vsched_config>,
    service: *const vsched_service,
) -> vsched_status {
    // SAFETY: the caller promises a struct as long as it says, and its texts.
    execute(config, || Ok(Command::EditService(unsafe { service_of(service) }?)))
}

/// Deletes a virtual service with its servers.
///
/// NULL: `config` may not be. Answers: VSCHED_E_REFUSED (no such service), VSCHED_E_PARSE,
/// VSCHED_E_UTF8. One thread at a time. O(services).
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_config_delete_service(
    config: Option<&mut vsched_config>,
    key: *const c_char,
    key_length: usize,
) -> vsched_status {
    // SAFETY: the caller promises so many bytes.
    execute(config, || Ok(Command::DeleteService(unsafe { key_of(key, key_length) }?)))
}

/// Deletes every virtual service. The settings stay.
///
/// NULL: `config` may not be. One thread at a time.
#[unsafe(no_mangle)]
pub extern "C" fn vsched_config_clear(config: Option<&mut vsched_config>) -> vsched_status {
    execute(config, || Ok(Command::Clear))
}

/// Adds a server to the service with this key. It comes to the head of the service's list.
///
/// NULL: none may be. Answers: VSCHED_E_REFUSED (no such service, or it has the server),
/// VSCHED_E_PARSE (key or address), VSCHED_E_ARGUMENT, VSCHED_E_UTF8, VSCHED_E_STRUCT_SIZE; the
/// error text names the item. After an error the config is what it was. One thread at a time.
/// O(services + servers of the service).
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_config_add_server(
    config: Option<&mut vsched_config>,
    key: *const c_char,
    key_length: usize,
    server: *const vsched_server,
) -> vsched_status {
    execute(config, || {
        // SAFETY: the caller promises so many bytes, a struct as long as it says, and its text.
        let (service, server) = unsafe { (key_of(key, key_length)?, server_of(server)?) };
        Ok(Command::AddServer { service, server })
    })
}

/// Describes a server anew; its place in the list stays.
///
/// As vsched_config_add_server; VSCHED_E_REFUSED if the service does not have the server.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_config_edit_server(
    config: Option<&mut vsched_config>,
    key: *const c_char,
    key_length: usize,
    server: *const vsched_server,
) -> vsched_status {
    execute(config, || {
        // SAFETY: the caller promises so many bytes, a struct as long as it says, and its text.
        let (service, server) = unsafe { (key_of(key, key_length)?, server_of(server)?) };
        Ok(Command::EditServer { service, server })
    })
}

/// Deletes the server with this address and port, such as "192.168.5.11:80".
///
/// As vsched_config_edit_server.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_config_delete_server(
    config: Option<&mut vsched_config>,
    key: *const c_char,
    key_length: usize,
    address: *const c_char,
    address_length: usize,
) -> vsched_status {
    execute(config, || {
        // SAFETY: the caller promises so many bytes of both.
        let (key, address) =
            unsafe { (key_of(key, key_length)?, text::read(address, address_length)?) };
        Ok(Command::DeleteServer { service: key, server: structs::address(address)? })
    })
}

fn execute(
    config: Option<&mut vsched_config>,
    command: impl FnOnce() -> Result<Command, Fault>,
) -> vsched_status {
    guard(|| {
        let config = config.ok_or(VSCHED_E_NULL)?;
        config.change(|config| Ok(config.execute(&command()?)?))
    })
}

impl From<CommandError> for Fault {
    fn from(error: CommandError) -> Self {
        Fault::new(VSCHED_E_REFUSED, error)
    }
}

/// # Safety
/// The struct is as long as it says; its texts are there.
pub(super) unsafe fn service_of(
    service: *const vsched_service,
) -> Result<crate::config::VirtualService, Fault> {
    // SAFETY: the caller's promise.
    unsafe { structs::service(sized::read(service)?) }
}

/// # Safety
/// As [`service_of`].
pub(super) unsafe fn server_of(
    server: *const vsched_server,
) -> Result<crate::config::RealServer, Fault> {
    // SAFETY: the caller's promise.
    unsafe { structs::server(sized::read(server)?) }
}

/// # Safety
/// `key` has `length` bytes.
pub(super) unsafe fn key_of(key: *const c_char, length: usize) -> Result<ServiceKey, Fault> {
    // SAFETY: the caller's promise.
    structs::key(unsafe { text::read(key, length) }?)
}
