//! Ids of servers and services: index and generation of a slot.

/// Names a server's slot: index and generation.
///
/// A plain value; survives reloads. Of a server that was removed and whose last connection has
/// closed it is stale: every use answers so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(C)]
pub struct ServerId {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl ServerId {
    /// Two numbers that stand for it, for hosts that keep ids in plain memory.
    pub const fn to_raw(self) -> [u32; 2] {
        [self.slot, self.generation]
    }

    /// The id with these numbers. Any numbers will do: an id that was never given is stale.
    pub const fn from_raw([slot, generation]: [u32; 2]) -> Self {
        ServerId { slot, generation }
    }
}

/// Names a virtual service: index and generation.
///
/// A plain value. Survives reloads and edits; stale once the service is deleted: picks answer
/// [`Refused::NoService`](crate::Refused), also if a service with the same key is added again, which
/// has another id. Look an id up once per service and keep it; look it up again after that answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct ServiceId {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl ServiceId {
    /// Both in one register.
    #[inline(always)]
    pub(crate) fn word(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.slot)
    }

    #[inline(always)]
    pub(crate) fn from_word(word: u64) -> Self {
        ServiceId { slot: word as u32, generation: (word >> 32) as u32 }
    }

    /// Two numbers that stand for it, for hosts that keep ids in plain memory.
    pub const fn to_raw(self) -> [u32; 2] {
        [self.slot, self.generation]
    }

    /// The id with these numbers. Any numbers will do: an id that was never given is stale.
    pub const fn from_raw([slot, generation]: [u32; 2]) -> Self {
        ServiceId { slot, generation }
    }
}
