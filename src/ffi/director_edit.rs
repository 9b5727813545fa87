//! # Director: edit
//!
//! Single commands on the running config. Each happens completely or not at all. The cost depends
//! on the service that it edits, plus a copy of two words per service. Connection counts stay. After
//! an error the error text of the director names the item.
//!
//! NULL: no pointer may be NULL, except `applied`, `done`, and a text whose length is 0, which is
//! then an empty text.

use std::mem::MaybeUninit;
use std::os::raw::c_char;

use crate::Director;
use crate::config::Command;
use crate::config::rules::Rules;
use crate::ffi::config_edit::{server_of, service_of};
use crate::ffi::director::{give, not_one, place, vsched_applied, vsched_director};
use crate::ffi::status::{VSCHED_E_NULL, VSCHED_E_PARSE, VSCHED_E_REFUSED, vsched_status};
use crate::ffi::structs::{vsched_server, vsched_service};
use crate::ffi::{Fault, guard, names, text};

/// Executes one administrative command, as a kernel would: a line such as "-e -t 192.168.4.5:80 -r
/// 192.168.5.11 -m -w 0", with or without the word ipvsadm before it.
///
/// Threads: control. Cost: O(servers of the service).
///
/// @param director The director; after an error nothing has changed.
/// @param command The command.
/// @param length Bytes of the command.
/// @param[in,out] applied What changed, or NULL; set its struct_size before.
/// @return VSCHED_OK; VSCHED_E_PARSE: not exactly one command; VSCHED_E_REFUSED: what it adds
///   exists, or what it edits or deletes does not; VSCHED_E_INVALID; VSCHED_E_CAPACITY;
///   VSCHED_E_LENGTH; VSCHED_E_UTF8; VSCHED_E_STRUCT_SIZE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_director_execute(
    director: Option<&vsched_director>,
    command: *const c_char,
    length: usize,
    applied: *mut vsched_applied,
) -> vsched_status {
    // SAFETY: the caller promises a struct of `struct_size` bytes, or NULL, and the length.
    unsafe {
        execute(director, applied, |_| {
            let line = text::read(command, length)?;
            let rules: Rules = line.parse().map_err(|error| Fault::new(VSCHED_E_PARSE, error))?;
            let mut commands = rules.commands();
            match (commands.next(), commands.next()) {
                (Some(command), None) => Ok(command.clone()),
                _ => Err(not_one(line)),
            }
        })
    }
}

/// Executes the commands of a rules text in order, as an administrator would: rotations then stand
/// where those of a kernel stand that has received its servers one by one. Stops at the first
/// command that fails; the commands before it stay in effect.
///
/// Threads: control.
///
/// @param director The director.
/// @param rules The commands.
/// @param length Bytes of the commands.
/// @param[out] done Number of commands in effect, or NULL; written after errors too.
/// @return VSCHED_OK; VSCHED_E_PARSE: a line does not parse, and no command was executed;
///   VSCHED_E_REFUSED; VSCHED_E_INVALID; VSCHED_E_CAPACITY; VSCHED_E_LENGTH; VSCHED_E_UTF8.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_director_replay(
    director: Option<&vsched_director>,
    rules: *const c_char,
    length: usize,
    done: Option<&mut MaybeUninit<usize>>,
) -> vsched_status {
    guard(|| {
        let director = director.ok_or(VSCHED_E_NULL)?;
        let mut count = 0;
        let mut replay = || {
            // SAFETY: the caller promises the length.
            let rules = unsafe { text::read(rules, length) }?.parse::<Rules>();
            let rules = rules.map_err(|error| Fault::new(VSCHED_E_PARSE, error))?;
            for command in rules.commands() {
                director.director.execute(command)?;
                count += 1;
            }
            Ok(())
        };
        let result = director.error.keep(replay());
        if let Some(done) = done {
            done.write(count);
        }
        result
    })
}

/// Adds a virtual service without servers.
///
/// Threads: control.
///
/// @param director The director; after an error nothing has changed.
/// @param service The service.
/// @param[in,out] applied What changed, or NULL; set its struct_size before.
/// @return VSCHED_OK; VSCHED_E_REFUSED: the service exists; VSCHED_E_INVALID; VSCHED_E_CAPACITY;
///   VSCHED_E_LENGTH; VSCHED_E_UTF8; VSCHED_E_PARSE: the key; VSCHED_E_ARGUMENT: another field;
///   VSCHED_E_STRUCT_SIZE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_director_add_service(
    director: Option<&vsched_director>,
    service: *const vsched_service,
    applied: *mut vsched_applied,
) -> vsched_status {
    // SAFETY: the caller promises structs of `struct_size` bytes, and their texts.
    unsafe { execute(director, applied, |_| Ok(Command::AddService(service_of(service)?))) }
}

/// Gives a virtual service new settings; its servers and their counts stay.
///
/// Threads: control. Cost: O(servers of the service).
///
/// @param director The director; after an error nothing has changed.
/// @param service The service with its new settings.
/// @param[in,out] applied What changed, or NULL; set its struct_size before.
/// @return VSCHED_OK; VSCHED_E_REFUSED: no such service; VSCHED_E_INVALID; VSCHED_E_CAPACITY;
///   VSCHED_E_LENGTH; VSCHED_E_UTF8; VSCHED_E_PARSE: the key; VSCHED_E_ARGUMENT: another field;
///   VSCHED_E_STRUCT_SIZE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_director_edit_service(
    director: Option<&vsched_director>,
    service: *const vsched_service,
    applied: *mut vsched_applied,
) -> vsched_status {
    // SAFETY: the caller promises structs of `struct_size` bytes, and their texts.
    unsafe { execute(director, applied, |_| Ok(Command::EditService(service_of(service)?))) }
}

/// Deletes a virtual service with its servers. Open connections count until they are closed.
///
/// Threads: control. Cost: O(servers of the service).
///
/// @param director The director.
/// @param key Key or name of the service.
/// @param key_length Bytes of the key.
/// @param[in,out] applied What changed, or NULL; set its struct_size before.
/// @return VSCHED_OK; VSCHED_E_REFUSED: no such service; VSCHED_E_INVALID; VSCHED_E_CAPACITY;
///   VSCHED_E_LENGTH; VSCHED_E_UTF8; VSCHED_E_PARSE; VSCHED_E_STRUCT_SIZE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_director_delete_service(
    director: Option<&vsched_director>,
    key: *const c_char,
    key_length: usize,
    applied: *mut vsched_applied,
) -> vsched_status {
    // SAFETY: the caller promises a struct of `struct_size` bytes, or NULL, and the length.
    unsafe {
        execute(director, applied, |names| {
            Ok(Command::DeleteService(names::key_of(names, key, key_length, VSCHED_E_REFUSED)?))
        })
    }
}

/// Adds a server at the head of the server list of a service. A server that was removed and still
/// has connections gets its counts back.
///
/// Threads: control. Cost: O(servers of the service).
///
/// @param director The director; after an error nothing has changed.
/// @param key Key or name of the service.
/// @param key_length Bytes of the key.
/// @param server The server.
/// @param[in,out] applied What changed, or NULL; set its struct_size before.
/// @return VSCHED_OK; VSCHED_E_REFUSED: no such service, or it has the server; VSCHED_E_INVALID;
///   VSCHED_E_CAPACITY; VSCHED_E_LENGTH; VSCHED_E_UTF8; VSCHED_E_PARSE: key or address;
///   VSCHED_E_ARGUMENT: another field; VSCHED_E_STRUCT_SIZE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_director_add_server(
    director: Option<&vsched_director>,
    key: *const c_char,
    key_length: usize,
    server: *const vsched_server,
    applied: *mut vsched_applied,
) -> vsched_status {
    // SAFETY: the caller promises structs of `struct_size` bytes, their texts, and the lengths.
    unsafe {
        execute(director, applied, |names| {
            let service = names::key_of(names, key, key_length, VSCHED_E_REFUSED)?;
            Ok(Command::AddServer { service, server: server_of(server)? })
        })
    }
}

/// Gives a server new settings, such as another weight; its counts and its position in the list
/// stay.
///
/// Threads: control. Cost: O(servers of the service).
///
/// @param director The director; after an error nothing has changed.
/// @param key Key or name of the service.
/// @param key_length Bytes of the key.
/// @param server The server with its new settings.
/// @param[in,out] applied What changed, or NULL; set its struct_size before.
/// @return VSCHED_OK; VSCHED_E_REFUSED: no such service or server; VSCHED_E_INVALID;
///   VSCHED_E_CAPACITY; VSCHED_E_LENGTH; VSCHED_E_UTF8; VSCHED_E_PARSE: key or address;
///   VSCHED_E_ARGUMENT: another field; VSCHED_E_STRUCT_SIZE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_director_edit_server(
    director: Option<&vsched_director>,
    key: *const c_char,
    key_length: usize,
    server: *const vsched_server,
    applied: *mut vsched_applied,
) -> vsched_status {
    // SAFETY: the caller promises structs of `struct_size` bytes, their texts, and the lengths.
    unsafe {
        execute(director, applied, |names| {
            Ok(Command::EditServer {
                service: names::key_of(names, key, key_length, VSCHED_E_REFUSED)?,
                server: server_of(server)?,
            })
        })
    }
}

/// Deletes a server of a service. Open connections count until they are closed.
///
/// Threads: control. Cost: O(servers of the service).
///
/// @param director The director.
/// @param key Key or name of the service.
/// @param key_length Bytes of the key.
/// @param address Address and port of the server, such as "192.168.5.11:80", or its name.
/// @param address_length Bytes of the address.
/// @param[in,out] applied What changed, or NULL; set its struct_size before.
/// @return VSCHED_OK; VSCHED_E_REFUSED: no such service or server; VSCHED_E_INVALID;
///   VSCHED_E_CAPACITY; VSCHED_E_LENGTH; VSCHED_E_UTF8; VSCHED_E_PARSE: key or address;
///   VSCHED_E_STRUCT_SIZE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_director_delete_server(
    director: Option<&vsched_director>,
    key: *const c_char,
    key_length: usize,
    address: *const c_char,
    address_length: usize,
    applied: *mut vsched_applied,
) -> vsched_status {
    // SAFETY: the caller promises a struct of `struct_size` bytes, or NULL, and the lengths.
    unsafe {
        execute(director, applied, |names| {
            let service = names::key_of(names, key, key_length, VSCHED_E_REFUSED)?;
            let server =
                names::address_of(names, &service, address, address_length, VSCHED_E_REFUSED)?;
            Ok(Command::DeleteServer { service, server })
        })
    }
}

/// # Safety
/// `applied` is NULL or a struct of `struct_size` bytes.
unsafe fn execute(
    director: Option<&vsched_director>,
    applied: *mut vsched_applied,
    command: impl FnOnce(&Director) -> Result<Command, Fault>,
) -> vsched_status {
    guard(|| {
        let director = director.ok_or(VSCHED_E_NULL)?;
        // SAFETY: the caller's promise.
        let to = unsafe { place(applied) }?;
        let result = command(&director.director)
            .and_then(|command| Ok(director.director.execute(&command)?));
        give(to, director.error.keep(result)?);
        Ok(())
    })
}
