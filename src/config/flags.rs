//! Scheduler flags.

use std::ops::BitOr;

use crate::config::scheduler::{GENERIC_FLAG_NAMES, SchedulerKind};

/// The three scheduler flags of a virtual service.
///
/// The scheduler defines their meaning: for sh and mh the first is `sh-fallback` or `mh-fallback`, the
/// second `sh-port` or `mh-port`. Otherwise they are `flag-1`, `flag-2`, `flag-3` and have no effect.
///
/// ```
/// use vsched::config::SchedulerFlags;
/// let flags = SchedulerFlags::FALLBACK | SchedulerFlags::PORT;
/// assert!(flags.contains(SchedulerFlags::FLAG_2) && !flags.contains(SchedulerFlags::FLAG_3));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SchedulerFlags(u8);

impl SchedulerFlags {
    /// The first flag (kernel value 8).
    pub const FLAG_1: Self = SchedulerFlags(1);
    /// The second flag (kernel value 16).
    pub const FLAG_2: Self = SchedulerFlags(2);
    /// The third flag (kernel value 32).
    pub const FLAG_3: Self = SchedulerFlags(4);
    /// For sh and mh: a client whose server is unavailable goes to another one.
    pub const FALLBACK: Self = Self::FLAG_1;
    /// For sh and mh: the client's port is hashed too.
    pub const PORT: Self = Self::FLAG_2;
    /// All three, in order.
    pub const ALL: [Self; 3] = [Self::FLAG_1, Self::FLAG_2, Self::FLAG_3];

    /// Returns true if no flag is set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns true if every flag of `other` is set here.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns the union of both sets of flags, as `|` does.
    pub const fn union(self, other: Self) -> Self {
        SchedulerFlags(self.0 | other.0)
    }

    /// Returns the names of the set flags for this scheduler, in order.
    pub fn names(self, scheduler: Option<SchedulerKind>) -> impl Iterator<Item = &'static str> {
        Self::ALL
            .into_iter()
            .zip(flag_names(scheduler))
            .filter(move |(flag, _)| self.contains(*flag))
            .map(|(_, name)| name)
    }

    /// Returns the flag with this name for this scheduler; `None` if there is none. The numbered names
    /// work for every scheduler.
    pub fn named(name: &str, scheduler: Option<SchedulerKind>) -> Option<Self> {
        let numbered = GENERIC_FLAG_NAMES.iter().position(|known| *known == name);
        let index =
            numbered.or_else(|| flag_names(scheduler).iter().position(|known| *known == name))?;
        Self::ALL.get(index).copied()
    }

    /// The names specific to this scheduler; none if it gives its flags no meaning.
    pub(crate) fn own_names(
        scheduler: Option<SchedulerKind>,
    ) -> impl Iterator<Item = &'static str> {
        flag_names(scheduler).into_iter().filter(|name| !GENERIC_FLAG_NAMES.contains(name))
    }
}

impl BitOr for SchedulerFlags {
    type Output = Self;

    fn bitor(self, flags: Self) -> Self {
        self.union(flags)
    }
}

fn flag_names(scheduler: Option<SchedulerKind>) -> [&'static str; 3] {
    scheduler.map_or(GENERIC_FLAG_NAMES, SchedulerKind::flag_names)
}
