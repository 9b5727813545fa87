//! What runs, changed by single commands.

use std::mem::MaybeUninit;
use std::os::raw::c_char;

use crate::config::Command;
use crate::config::rules::Rules;
use crate::ffi::config_edit::{key_of, server_of, service_of};
use crate::ffi::director::{give, not_one, place, vsched_director};
use crate::ffi::status::{VSCHED_E_NULL, VSCHED_E_PARSE, vsched_status};
use crate::ffi::structs::{self, vsched_applied, vsched_server, vsched_service};
use crate::ffi::{Fault, guard, text};

/// Carries out one administrative command on what runs, as a kernel would: a line such as
/// "-e -t 192.168.4.5:80 -r 192.168.5.11 -m -w 0", with or without the word ipvsadm before it.
///
/// NULL: `applied` may be; else set applied->struct_size before. Answers: VSCHED_E_PARSE (not
/// exactly one command), VSCHED_E_REFUSED (what it adds exists, or what it edits or deletes does
/// not), VSCHED_E_INVALID, VSCHED_E_CAPACITY, VSCHED_E_UTF8, VSCHED_E_STRUCT_SIZE; nothing has
/// changed then, and the director's error text names the item. From any thread. O(servers of the
/// service).
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_director_execute(
    director: Option<&vsched_director>,
    command: *const c_char,
    length: usize,
    applied: *mut vsched_applied,
) -> vsched_status {
    // SAFETY: the caller promises a struct as long as it says, or NULL, and so many bytes.
    unsafe {
        execute(director, applied, || {
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

/// Carries out the commands of a rules text on what runs, one after the other, as an administrator
/// would: a rotation then stands where a kernel's would, which has seen its servers come one by one.
/// Stops at the first command that is refused; those before it stay. `done` is set to their number.
///
/// NULL: `done` may be; `rules` may if `length` is 0. Answers: VSCHED_E_PARSE (a line cannot be
/// read; nothing was done), and as vsched_director_execute. From any thread.
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
            // SAFETY: the caller promises so many bytes.
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
/// As vsched_director_execute; VSCHED_E_ARGUMENT if a name or number is not one of those listed.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_director_add_service(
    director: Option<&vsched_director>,
    service: *const vsched_service,
    applied: *mut vsched_applied,
) -> vsched_status {
    // SAFETY: the caller promises structs as long as they say, and their texts.
    unsafe { execute(director, applied, || Ok(Command::AddService(service_of(service)?))) }
}

/// Gives a virtual service new settings; its servers and their counts stay.
///
/// As vsched_director_add_service.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_director_edit_service(
    director: Option<&vsched_director>,
    service: *const vsched_service,
    applied: *mut vsched_applied,
) -> vsched_status {
    // SAFETY: the caller promises structs as long as they say, and their texts.
    unsafe { execute(director, applied, || Ok(Command::EditService(service_of(service)?))) }
}

/// Deletes a virtual service with its servers; open connections count until they are closed.
///
/// As vsched_director_execute.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_director_delete_service(
    director: Option<&vsched_director>,
    key: *const c_char,
    key_length: usize,
    applied: *mut vsched_applied,
) -> vsched_status {
    // SAFETY: the caller promises a struct as long as it says, or NULL, and so many bytes.
    unsafe { execute(director, applied, || Ok(Command::DeleteService(key_of(key, key_length)?))) }
}

/// Adds a server to the service with this key. It comes to the head of the service's list.
///
/// As vsched_director_add_service.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_director_add_server(
    director: Option<&vsched_director>,
    key: *const c_char,
    key_length: usize,
    server: *const vsched_server,
    applied: *mut vsched_applied,
) -> vsched_status {
    // SAFETY: the caller promises structs as long as they say, their texts, and so many bytes.
    unsafe {
        execute(director, applied, || {
            Ok(Command::AddServer { service: key_of(key, key_length)?, server: server_of(server)? })
        })
    }
}

/// Describes a server anew, its weight first of all; its counts and its place in the list stay.
///
/// As vsched_director_add_service.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_director_edit_server(
    director: Option<&vsched_director>,
    key: *const c_char,
    key_length: usize,
    server: *const vsched_server,
    applied: *mut vsched_applied,
) -> vsched_status {
    // SAFETY: the caller promises structs as long as they say, their texts, and so many bytes.
    unsafe {
        execute(director, applied, || {
            Ok(Command::EditServer {
                service: key_of(key, key_length)?,
                server: server_of(server)?,
            })
        })
    }
}

/// Deletes the server with this address and port; its open connections count until they are closed,
/// and it has them back if it is added again before.
///
/// As vsched_director_execute.
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
    // SAFETY: the caller promises a struct as long as it says, or NULL, and so many bytes of both.
    unsafe {
        execute(director, applied, || {
            let server = structs::address(text::read(address, address_length)?)?;
            Ok(Command::DeleteServer { service: key_of(key, key_length)?, server })
        })
    }
}

/// # Safety
/// `applied` is NULL or a struct as long as it says.
unsafe fn execute(
    director: Option<&vsched_director>,
    applied: *mut vsched_applied,
    command: impl FnOnce() -> Result<Command, Fault>,
) -> vsched_status {
    guard(|| {
        let director = director.ok_or(VSCHED_E_NULL)?;
        // SAFETY: the caller's promise.
        let to = unsafe { place(applied) }?;
        let result = command().and_then(|command| Ok(director.director.execute(&command)?));
        give(to, director.error.keep(result)?);
        Ok(())
    })
}
