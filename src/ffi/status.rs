//! # Status codes
//!
//! Almost every function returns a vsched_status. Numbers below 100 are results, numbers from 100
//! on are errors. Programs compare with VSCHED_OK first; numbers are never reused, and new ones may
//! come.

use std::ffi::CStr;
use std::os::raw::c_char;

use crate::error::{ApplyError, BlockError, ServiceError, StateError};
use crate::ffi::Fault;
use crate::{ConnectionError, Refused};

/// Result of a function: VSCHED_OK, another result below 100, or an error from 100 on.
pub type vsched_status = u32;

// `u32` by name: the generator of the header does not print constants of an alias.

/// Success.
pub const VSCHED_OK: u32 = 0;
/// Result: no server is available. The service has no server or no scheduler, or all its servers
/// are quiesced (weight 0), overloaded (upper threshold reached) or excluded by the caller.
pub const VSCHED_NO_SERVER: u32 = 1;
/// Result: no such virtual service. For an id: the service was deleted, or the id is all zeros or
/// belongs to another director. A service that is added again has a new id; look it up with
/// vsched_director_service or vsched_worker_service_for.
pub const VSCHED_NO_SERVICE: u32 = 2;
/// Result: the server id or the lease is stale. The server was removed and its last connection has
/// closed, the lease is empty or closed, or it belongs to another director. No count has changed.
pub const VSCHED_STALE: u32 = 3;
/// Result: the server already counts VSCHED_MAX_CONNECTIONS connections.
pub const VSCHED_FULL: u32 = 4;

/// Error: a pointer is NULL that must not be.
pub const VSCHED_E_NULL: u32 = 100;
/// Error: a length or count is larger than any object can be, or a socket address is too short.
pub const VSCHED_E_LENGTH: u32 = 101;
/// Error: a text is not UTF-8.
pub const VSCHED_E_UTF8: u32 = 102;
/// Error: a struct_size or element size is smaller than the first version of the struct, or the
/// struct is larger than the library's and the part that the library does not know is not all
/// zeros.
pub const VSCHED_E_STRUCT_SIZE: u32 = 103;
/// Error: a number or name is not one of the values listed.
pub const VSCHED_E_ARGUMENT: u32 = 104;
/// Error: the buffer or array is too small. Nothing was copied; the size needed was written.
pub const VSCHED_E_BUFFER: u32 = 105;
/// Error: a text does not parse. The error text of the handle names line, column and word.
pub const VSCHED_E_PARSE: u32 = 106;
/// Error: the config exceeds limits. The error text of the handle lists the first 100 problems, one
/// per line.
pub const VSCHED_E_INVALID: u32 = 107;
/// Error: the present state refuses the command: what it adds exists, or what it edits or deletes
/// does not.
pub const VSCHED_E_REFUSED: u32 = 108;
/// Error: the director cannot hold that many services or servers, or the system has no memory for
/// them or for what they remember. The error text of the handle names which.
pub const VSCHED_E_CAPACITY: u32 = 109;
/// Error: the change would take away more than vsched_apply_policy allows. The error text of the
/// director names what would be removed, the limit, and the field that allows it.
pub const VSCHED_E_GUARDRAILS: u32 = 110;
/// Error: memory is no block, or the block cannot be used, or cannot carry the config. The error
/// text of the handle says why.
pub const VSCHED_E_BLOCK: u32 = 111;
/// Error: a bug in the library, caught. The handle stays usable; please report it.
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
        VSCHED_E_BLOCK => c"the memory is no block that can be used, or that can carry the config",
        VSCHED_E_PANIC => c"a bug in the library was caught",
        _ => c"unknown status",
    }
}

/// Describes a status in a few words.
///
/// Threads: any.
///
/// @param status Any number.
/// @return A static text, never NULL; do not free it.
#[unsafe(no_mangle)]
pub extern "C" fn vsched_status_text(status: vsched_status) -> *const c_char {
    text(status).as_ptr()
}

impl From<ConnectionError> for Fault {
    fn from(error: ConnectionError) -> Self {
        Fault::from(of(error))
    }
}

/// The status of a pick without a server.
#[inline]
pub(super) fn refused(refused: Refused) -> vsched_status {
    match refused {
        Refused::NoService => VSCHED_NO_SERVICE,
        _ => VSCHED_NO_SERVER,
    }
}

/// The status of a connection that could not be opened, updated or closed.
#[inline]
pub(super) fn of(error: ConnectionError) -> vsched_status {
    match error {
        ConnectionError::Stale => VSCHED_STALE,
        ConnectionError::Full => VSCHED_FULL,
        ConnectionError::Busy => VSCHED_E_REFUSED,
        _ => VSCHED_NO_SERVER,
    }
}

impl From<ApplyError> for Fault {
    fn from(error: ApplyError) -> Self {
        let status = match error {
            ApplyError::Invalid(_) => VSCHED_E_INVALID,
            ApplyError::Full { .. } | ApplyError::OutOfMemory { .. } => VSCHED_E_CAPACITY,
            ApplyError::Command(_) => VSCHED_E_REFUSED,
            ApplyError::Stale => VSCHED_STALE,
            ApplyError::Guardrails(_) => VSCHED_E_GUARDRAILS,
            ApplyError::Block(error) => return Fault::from(error),
        };
        Fault::new(status, error)
    }
}

impl From<BlockError> for Fault {
    fn from(error: BlockError) -> Self {
        let status = match error {
            BlockError::Limit { .. } => VSCHED_E_ARGUMENT,
            BlockError::TooShort { .. } => VSCHED_E_LENGTH,
            BlockError::OwnersFull { .. } | BlockError::AddressesFull { .. } => VSCHED_E_CAPACITY,
            BlockError::NoOwner => VSCHED_STALE,
            BlockError::Busy => VSCHED_E_REFUSED,
            _ => VSCHED_E_BLOCK,
        };
        Fault::new(status, error)
    }
}

impl From<StateError> for Fault {
    fn from(error: StateError) -> Self {
        let status = match error {
            StateError::Stale => VSCHED_STALE,
            StateError::Reason { .. } => VSCHED_E_LENGTH,
            StateError::OutOfMemory { .. } => VSCHED_E_CAPACITY,
            StateError::Ejector => VSCHED_E_ARGUMENT,
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
