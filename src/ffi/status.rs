//! Statuses: numbers that are never reused, and their texts.
//!
//! The constants are `u32` by name, too: the generator of the header knows no constants of an alias.

use std::ffi::CStr;
use std::os::raw::c_char;

use crate::error::{ApplyError, ServiceError};
use crate::ffi::Fault;
use crate::{ConnectionError, Refused};

/// What a function answers: VSCHED_OK, another answer below 100, or an error from 100 on.
///
/// Numbers are never reused. After an error nothing has changed and no output has been written,
/// except where a function says otherwise.
pub type vsched_status = u32;

/// Done.
pub const VSCHED_OK: u32 = 0;
/// An answer: no server is available. The service has none or no scheduler, or all its servers are
/// quiesced (weight 0), overloaded (upper threshold reached) or were tried.
pub const VSCHED_NO_SERVER: u32 = 1;
/// An answer: no such virtual service. Of an id: the service was deleted, or the id is another
/// director's or all zeros. It stays so: a service that is added again has another id, to be looked up
/// with vsched_director_service or vsched_worker_service_for.
pub const VSCHED_NO_SERVICE: u32 = 2;
/// An answer: the server id or the lease is not known here (any more): the server was removed and
/// its last connection has closed, the lease is empty or was closed, or it is another director's.
/// No count has changed.
pub const VSCHED_STALE: u32 = 3;
/// An answer: the server counts VSCHED_MAX_CONNECTIONS connections, the most it can.
pub const VSCHED_FULL: u32 = 4;

/// A pointer that may not be NULL is.
pub const VSCHED_E_NULL: u32 = 100;
/// A length or count is larger than any object can be.
pub const VSCHED_E_LENGTH: u32 = 101;
/// A text is not UTF-8.
pub const VSCHED_E_UTF8: u32 = 102;
/// A struct_size (or element size) is smaller than the oldest form of the struct, or larger than
/// this library's with something other than zeros in what it does not know.
pub const VSCHED_E_STRUCT_SIZE: u32 = 103;
/// A number or a name is not one of those listed.
pub const VSCHED_E_ARGUMENT: u32 = 104;
/// The buffer or array is too small. What was asked for was not written; the size needed was.
pub const VSCHED_E_BUFFER: u32 = 105;
/// A text cannot be read. The handle's error text names line, column and word.
pub const VSCHED_E_PARSE: u32 = 106;
/// The config breaks limits. The handle's error text names the first 100 problems, one a line.
pub const VSCHED_E_INVALID: u32 = 107;
/// The present state refuses the command: what it adds exists, or what it edits or deletes does not.
pub const VSCHED_E_REFUSED: u32 = 108;
/// The director cannot hold so many services or servers, or the system has no memory for them or for
/// what they remember. The handle's error text names which.
pub const VSCHED_E_CAPACITY: u32 = 109;
/// The change would take away more than the policy allows (vsched_apply_policy). The director's error
/// text names what would be removed, the limit, and the field that allows it.
pub const VSCHED_E_GUARDRAILS: u32 = 110;
/// A bug of this library, caught. The handle stays usable; please report it.
pub const VSCHED_E_PANIC: u32 = 199;

pub(super) fn text(status: vsched_status) -> &'static CStr {
    match status {
        VSCHED_OK => c"done",
        VSCHED_NO_SERVER => c"no server is available",
        VSCHED_NO_SERVICE => c"no such service",
        VSCHED_STALE => c"stale id or lease",
        VSCHED_FULL => c"the server counts the most connections it can",
        VSCHED_E_NULL => c"a pointer is NULL that may not be",
        VSCHED_E_LENGTH => c"a length is larger than any object can be",
        VSCHED_E_UTF8 => c"a text is not UTF-8",
        VSCHED_E_STRUCT_SIZE => c"a struct_size is not one that this library knows",
        VSCHED_E_ARGUMENT => c"a number or name is not one of those listed",
        VSCHED_E_BUFFER => c"the buffer is too small",
        VSCHED_E_PARSE => c"the text cannot be read",
        VSCHED_E_INVALID => c"the config breaks limits",
        VSCHED_E_REFUSED => c"the present state refuses the command",
        VSCHED_E_CAPACITY => {
            c"no room or memory for so many services, servers or remembered addresses"
        }
        VSCHED_E_GUARDRAILS => c"the change would take away more than the policy allows",
        VSCHED_E_PANIC => c"a bug in the library was caught",
        _ => c"unknown status",
    }
}

/// The meaning of a status, in a few words. Any number will do. Static, never freed, never NULL;
/// from any thread.
#[unsafe(no_mangle)]
pub extern "C" fn vsched_status_text(status: vsched_status) -> *const c_char {
    text(status).as_ptr()
}

impl From<ConnectionError> for Fault {
    fn from(error: ConnectionError) -> Self {
        Fault::from(of(error))
    }
}

/// The status of a flow for which there is no server.
#[inline]
pub(super) fn refused(refused: Refused) -> vsched_status {
    const _: () = assert!(Refused::NoServer as u32 == VSCHED_NO_SERVER);
    const _: () = assert!(Refused::NoService as u32 == VSCHED_NO_SERVICE);
    refused as vsched_status
}

/// The status of a connection that could not be opened, updated or closed.
#[inline]
pub(super) fn of(error: ConnectionError) -> vsched_status {
    match error {
        ConnectionError::Stale => VSCHED_STALE,
        ConnectionError::Full => VSCHED_FULL,
        _ => VSCHED_NO_SERVER,
    }
}

impl From<ApplyError> for Fault {
    fn from(error: ApplyError) -> Self {
        let status = match error {
            ApplyError::Invalid(_) => VSCHED_E_INVALID,
            ApplyError::Full { .. } | ApplyError::OutOfMemory { .. } => VSCHED_E_CAPACITY,
            ApplyError::Command(_) => VSCHED_E_REFUSED,
            ApplyError::Guardrails(_) => VSCHED_E_GUARDRAILS,
        };
        Fault::new(status, error)
    }
}

impl From<ServiceError> for Fault {
    fn from(error: ServiceError) -> Self {
        let status = match error {
            ServiceError::Key(_) => VSCHED_E_PARSE,
            ServiceError::Unknown(_) => VSCHED_NO_SERVICE,
        };
        Fault::new(status, error)
    }
}
