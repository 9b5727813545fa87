//! Ids of servers and services: the index and generation of a slot.

use std::fmt;

/// Identifies a server: the index and generation of its slot.
///
/// A plain value that survives reloads. It becomes stale once the server has been removed and its last
/// connection has closed; every use then returns an error that says so.
///
/// As text it is the slot and the generation, such as `3.2654435770`. Ids are ordered by slot, which says
/// nothing of the servers.
///
/// ```
/// use vsched::ServerId;
/// let id = ServerId::from_raw([3, 2654435770]);
/// assert_eq!(id.to_string(), "3.2654435770");
/// assert_eq!("3.2654435770".parse(), Ok(id));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(C)]
pub struct ServerId {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl ServerId {
    /// Returns the id as two numbers, for hosts that keep ids in plain memory.
    pub const fn to_raw(self) -> [u32; 2] {
        [self.slot, self.generation]
    }

    /// Returns the id with these numbers. Any numbers are safe: an id that was never issued is stale.
    pub const fn from_raw([slot, generation]: [u32; 2]) -> Self {
        ServerId { slot, generation }
    }
}

/// Identifies a virtual service: the index and generation of its slot.
///
/// A plain value that survives reloads and edits. It becomes stale once the service is deleted: picks
/// then return [`Refused::NoService`](crate::Refused), even if a service with the same key is added
/// again, because that service has another id. Look an id up once per service and keep it; look it up
/// again after that result.
///
/// As text it is the slot and the generation, such as `0.2654435769`. Ids are ordered by slot, which says
/// nothing of the services.
///
/// ```
/// use vsched::{Config, Director, Flow, Refused};
/// let config: Config = "-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.0.1.1".parse()?;
/// let director = Director::new(&config)?;
/// let before = director.service("tcp 10.0.0.1:80")?;
/// director.apply(&Config::new())?;
/// director.apply(&config)?;
/// assert_ne!(director.service("tcp 10.0.0.1:80")?, before, "another service with the same key");
/// assert_eq!(director.pick_server(before, &Flow::default()), Err(Refused::NoService));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(C)]
pub struct ServiceId {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl ServiceId {
    /// Both numbers in one register.
    #[inline(always)]
    pub(crate) fn word(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.slot)
    }

    #[inline(always)]
    pub(crate) fn from_word(word: u64) -> Self {
        ServiceId { slot: word as u32, generation: (word >> 32) as u32 }
    }

    /// Returns the id as two numbers, for hosts that keep ids in plain memory.
    pub const fn to_raw(self) -> [u32; 2] {
        [self.slot, self.generation]
    }

    /// Returns the id with these numbers. Any numbers are safe: an id that was never issued is stale.
    pub const fn from_raw([slot, generation]: [u32; 2]) -> Self {
        ServiceId { slot, generation }
    }
}

macro_rules! texts {
    ($id:ident) => {
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}.{}", self.slot, self.generation)
            }
        }

        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($id), "({})"), self)
            }
        }
    };
}

texts!(ServerId);
texts!(ServiceId);
