//! Why memory is no block, or a block cannot be used.

use std::fmt;

/// Why memory could not be formatted or attached as a [`Block`](crate::Block), or an owner could not join.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BlockError {
    /// A limit is out of range: its name, its value and the most that it may be.
    Limit {
        /// Which of the limits.
        what: &'static str,
        /// Its value.
        value: u32,
        /// The most that it may be; the least is 1.
        most: u32,
    },
    /// The memory is too short.
    TooShort {
        /// Its length in bytes.
        length: u64,
        /// How many bytes there must be.
        needed: u64,
    },
    /// The memory does not begin at a multiple of 8, or not where it did when the block was formatted.
    Misaligned {
        /// The beginning's distance from the last multiple of 64.
        offset: u8,
        /// What that distance must be: a multiple of 8, or that of the time when it was formatted.
        expected: Option<u8>,
    },
    /// The memory is all zeros where a block begins: it is not formatted.
    New,
    /// Another process formats it, or has died of it. If it has died, format it again.
    Formatting {
        /// The process id.
        process: u32,
    },
    /// The memory is something else, or a block of another version of this library or of a machine with
    /// another byte order.
    Unknown,
    /// What the block says of itself is damaged.
    Corrupt,
    /// The block exists already, with other limits.
    OtherLimits,
    /// There is no room for another owner.
    OwnersFull {
        /// For how many there is room.
        limit: u32,
    },
    /// There is no room for the new versions of so many services: owners with other configs, or workers that
    /// have not looked at the new config yet, use the old ones.
    VersionsFull {
        /// For how many services.
        needed: usize,
    },
    /// There is no room for the addresses that a persistent service remembers.
    AddressesFull {
        /// The service's key.
        service: String,
        /// Its `affinity.capacity`.
        needed: u32,
        /// For how many there is room in one piece.
        room: u32,
    },
    /// Another owner has been changing the block's services for longer than ten seconds.
    Busy,
    /// The state of this setting of a service cannot be shared.
    NotShareable {
        /// The service's key.
        service: String,
        /// The setting, as in the config.
        setting: &'static str,
    },
    /// The system refused a call.
    System {
        /// Which call.
        what: &'static str,
        /// The system's error number.
        code: i32,
    },
    /// A file that others than this user may have written.
    Untrusted {
        /// Why.
        reason: &'static str,
    },
    /// There is no such owner: it has left, or has been reclaimed.
    NoOwner,
}

impl fmt::Display for BlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BlockError::Limit { what, value, most } => {
                write!(f, "block limit {what}: {value} is not from 1 to {most}")
            }
            BlockError::TooShort { length, needed } => {
                write!(f, "block: the memory has {length} bytes, and {needed} are needed")
            }
            BlockError::Misaligned { offset, expected: None } => {
                write!(
                    f,
                    "block: the memory begins {offset} bytes after a multiple of 64, not of 8"
                )
            }
            BlockError::Misaligned { offset, expected: Some(expected) } => write!(
                f,
                "block: the memory begins {offset} bytes after a multiple of 64, and did {expected} \
                 bytes after one when it was formatted"
            ),
            BlockError::New => write!(f, "block: the memory is not formatted"),
            BlockError::Formatting { process } => {
                write!(f, "block: process {process} formats it, or has died of it")
            }
            BlockError::Unknown => {
                write!(f, "block: the memory is no block of this version and machine")
            }
            BlockError::Corrupt => write!(f, "block: its header is damaged"),
            BlockError::OtherLimits => write!(f, "block: it exists with other limits"),
            BlockError::OwnersFull { limit } => {
                write!(f, "block: all {limit} places for owners are taken")
            }
            BlockError::VersionsFull { needed } => {
                write!(
                    f,
                    "block: no room for new versions of {needed} services beside the old ones"
                )
            }
            BlockError::AddressesFull { service, needed, room } => write!(
                f,
                "block: service {service}: affinity: capacity: {needed} addresses, and there is room for {room}"
            ),
            BlockError::Busy => write!(f, "block: another owner is changing its services"),
            BlockError::NotShareable { service, setting } => {
                write!(f, "block: service {service}: the state of `{setting}` cannot be shared")
            }
            BlockError::System { what, code } => {
                write!(f, "block: {what}: {}", std::io::Error::from_raw_os_error(*code))
            }
            BlockError::Untrusted { reason } => write!(f, "block: its file: {reason}"),
            BlockError::NoOwner => write!(f, "block: no such owner"),
        }
    }
}

impl std::error::Error for BlockError {}
