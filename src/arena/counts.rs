//! A server's connection counts and overload mark, packed in one word, and how events change them.
//!
//! Pure arithmetic. Counts and mark share a word because they must change together: a connection that
//! reaches the upper threshold marks the server as overloaded in the same atomic step.
//!
//! Source: the threshold rules of Linux IPVS, both kernel rules (A and B), as observed on running
//! kernels.

use crate::arena::sizes::VERSION_BITS;
use crate::config::{KernelRules, ServerState, Thresholds};

/// Whether a connection counts as active or inactive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Activity {
    /// Counts 1 in `active`. TCP from the first SYN until a FIN or RST, SCTP while established.
    Active,
    /// Counts 1 in `inactive`. UDP always, TCP and SCTP while closing.
    Inactive,
}

const FIELD: u32 = 25;
/// Most connections per server, active and inactive together.
pub const MAX_CONNECTIONS: u32 = (1 << FIELD) - 1;
const OVERLOADED: u64 = 1;
const VACANT: u64 = 2;
const DRAINING: u64 = 4;
const DOWN: u64 = 8;
const EJECTED: u64 = DRAINING | DOWN;
const ACTIVE: u32 = 4;
const TOTAL: u32 = ACTIVE + FIELD;
const VERSION: u32 = TOTAL + FIELD;
const VERSIONS: u64 = (1 << VERSION_BITS) - 1;

/// From the lowest bit: overloaded:1, vacant:1, draining:1, down:1, active:25, total:25, version:10.
///
/// The version changes whenever the limits or the slot's owner change, or the counts are made again, so that
/// a compare-and-swap based on what was before fails. It wraps; `slots` explains why that is harmless.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Counts(u64);

/// What a connection of this activity adds to the word.
#[inline(always)]
fn one(activity: Activity) -> u64 {
    (1 << TOTAL) + (u64::from(activity == Activity::Active) << ACTIVE)
}

/// Where readers of bare words find the counts.
pub(crate) mod layout {
    /// The lowest bits of the active and of all connections, and how many bits each has.
    pub(crate) const AT: [u32; 2] = [super::ACTIVE, super::TOTAL];
    pub(crate) const BITS: u32 = super::FIELD;
    /// The bits that keep a server from a new connection.
    pub(crate) const UNAVAILABLE: u64 = super::OVERLOADED | super::DRAINING | super::DOWN;
}

impl Counts {
    pub(crate) const NO_SLOT: Counts = Counts(VACANT | OVERLOADED);

    pub(crate) fn from_word(word: u64) -> Self {
        Counts(word)
    }

    /// These counts, of a server that is up. Saturates at [`MAX_CONNECTIONS`].
    #[cfg(test)]
    pub(crate) fn of(active: u32, total: u32, overloaded: bool) -> Self {
        Counts(0).with(active.min(MAX_CONNECTIONS), total.min(MAX_CONNECTIONS), overloaded)
    }

    pub(crate) fn word(self) -> u64 {
        self.0
    }

    #[inline]
    pub(crate) fn active(self) -> u32 {
        (self.0 >> ACTIVE) as u32 & MAX_CONNECTIONS
    }

    #[inline]
    pub(crate) fn total(self) -> u32 {
        (self.0 >> TOTAL) as u32 & MAX_CONNECTIONS
    }

    pub(crate) fn inactive(self) -> u32 {
        self.total().saturating_sub(self.active())
    }

    #[inline]
    pub(crate) fn overloaded(self) -> bool {
        self.0 & OVERLOADED != 0
    }

    /// True if nothing but the weight can keep the server from a new connection: it is up and not
    /// overloaded.
    #[inline]
    pub(crate) fn available(self) -> bool {
        self.0 & layout::UNAVAILABLE == 0
    }

    /// True unless the server is up.
    #[inline]
    pub(crate) fn is_held(self) -> bool {
        self.0 & (DRAINING | DOWN) != 0
    }

    #[inline]
    pub(crate) fn state(self) -> ServerState {
        if self.0 & DOWN != 0 {
            ServerState::Down
        } else if self.0 & DRAINING != 0 {
            ServerState::Draining
        } else {
            ServerState::Up
        }
    }

    /// True if the server is down, held or ejected.
    #[inline]
    pub(crate) fn is_down(self) -> bool {
        self.0 & DOWN != 0
    }

    /// True if the server is ejected: both bits, which no other state has.
    #[inline]
    pub(crate) fn is_ejected(self) -> bool {
        self.0 & EJECTED == EJECTED
    }

    /// The same counts, ejected; `None` if the server is down already.
    pub(crate) fn ejected(self) -> Option<Self> {
        (!self.is_down()).then_some(Counts(self.0 | EJECTED))
    }

    /// The same counts, held in this state; an ejected server stays ejected.
    pub(crate) fn held(self, state: ServerState) -> Self {
        if self.is_ejected() { self } else { self.in_state(state) }
    }

    /// The same counts of a server that no service ejects any more, as another version.
    pub(crate) fn detached(self, state: ServerState) -> Self {
        let counts = if self.is_ejected() { self.in_state(state) } else { self };
        counts.next_version()
    }

    /// The same counts in this state.
    pub(crate) fn in_state(self, state: ServerState) -> Self {
        let bits = match state {
            ServerState::Up => 0,
            ServerState::Draining => DRAINING,
            ServerState::Down => DOWN,
        };
        Counts(self.0 & !(DRAINING | DOWN) | bits)
    }

    /// Other connections, everything else the same. Saturates at [`MAX_CONNECTIONS`].
    #[inline]
    pub(crate) fn with_connections(self, active: u32, total: u32) -> Self {
        self.with(active.min(MAX_CONNECTIONS), total.min(MAX_CONNECTIONS), self.overloaded())
    }

    #[inline]
    pub(crate) fn vacant(self) -> bool {
        self.0 & VACANT != 0
    }

    fn with(self, active: u32, total: u32, overloaded: bool) -> Self {
        let rest = self.0 & (u64::MAX << VERSION | VACANT | DRAINING | DOWN);
        let mark = if overloaded { OVERLOADED } else { 0 };
        Counts(rest | u64::from(active) << ACTIVE | u64::from(total) << TOTAL | mark)
    }

    /// The same counts, overloaded or not.
    pub(crate) fn marked(self, overloaded: bool) -> Self {
        self.with(self.active(), self.total(), overloaded)
    }

    pub(crate) fn version(self) -> u64 {
        self.0 >> VERSION & VERSIONS
    }

    pub(crate) fn next_version(self) -> Self {
        let version = (self.version() + 1) & VERSIONS;
        Counts(self.0 & !(u64::MAX << VERSION) | version << VERSION)
    }

    /// Adds one connection; `None` at [`MAX_CONNECTIONS`].
    #[inline]
    pub(crate) fn opened(
        self,
        activity: Activity,
        limits: Limits,
        rule: KernelRules,
    ) -> Option<Self> {
        if self.total() == MAX_CONNECTIONS {
            return None;
        }
        // Both counts at once: active is at most total, so neither overflows.
        let opened = Counts(self.0 + one(activity));
        let (total, upper) = (opened.total(), limits.upper());
        if upper == 0 || total < upper {
            return Some(opened);
        }
        Some(opened.marked(match rule {
            KernelRules::A => true,
            KernelRules::B => limits.evaluate(total, Towards::Overload, self.overloaded()),
        }))
    }

    /// Removes one connection; `None` if there is none of that activity.
    #[inline]
    pub(crate) fn closed(
        self,
        activity: Activity,
        limits: Limits,
        rule: KernelRules,
    ) -> Option<Self> {
        let (active, before) = (self.active(), self.total());
        let any = match activity {
            Activity::Active => active > 0 && before > 0,
            Activity::Inactive => before > active,
        };
        if !any {
            return None;
        }
        // Both counts at once: neither is 0.
        let closed = Counts(self.0 - one(activity));
        if !self.overloaded() && limits.upper() == 0 {
            return Some(closed);
        }
        let total = closed.total();
        let overloaded = match rule {
            KernelRules::A => self.overloaded() && !limits.clears_a(total),
            KernelRules::B if before <= limits.level() => {
                limits.evaluate(total, Towards::Relief, self.overloaded())
            }
            KernelRules::B => self.overloaded(),
        };
        Some(closed.marked(overloaded))
    }

    /// Moves one connection from active to inactive or back; `None` if there is none to move.
    #[inline]
    pub(crate) fn moved(self, to: Activity) -> Option<Self> {
        let (active, total) = (self.active(), self.total());
        let active = match to {
            Activity::Inactive => active.checked_sub(1)?,
            Activity::Active if active < total => active + 1,
            Activity::Active => return None,
        };
        Some(self.with(active, total, self.overloaded()))
    }

    /// True if the count has reached the upper limit although the mark is not set: the director has
    /// stored new limits and has not yet marked the server for them. Under kernel rules A an edit has
    /// no effect before the next connection, so there this is not a contradiction.
    #[cold]
    pub(crate) fn is_full_unmarked(self, limits: Limits, rule: KernelRules) -> bool {
        let upper = limits.upper();
        rule == KernelRules::B && !self.overloaded() && upper != 0 && self.total() >= upper
    }

    /// The counts after the server is added or edited. The version changes only if the limits do.
    pub(crate) fn limited(self, old: Limits, new: Limits, rule: KernelRules) -> Self {
        let overloaded = match rule {
            KernelRules::A => self.overloaded() && new.upper() != 0 && new.upper() <= old.upper(),
            KernelRules::B if new != old => {
                new.evaluate(self.total(), Towards::Neither, self.overloaded())
            }
            KernelRules::B => self.overloaded(),
        };
        let limited = self.marked(overloaded);
        if new == old { limited } else { limited.next_version() }
    }

    /// Replaces the counts and derives the mark from them; `None` above [`MAX_CONNECTIONS`].
    pub(crate) fn corrected(
        self,
        active: u32,
        inactive: u32,
        limits: Limits,
        rule: KernelRules,
    ) -> Option<Self> {
        let total = active.checked_add(inactive).filter(|total| *total <= MAX_CONNECTIONS)?;
        let upper = limits.upper();
        let overloaded = match rule {
            KernelRules::A if upper != 0 && total >= upper => true,
            KernelRules::A => self.overloaded() && !limits.clears_a(total),
            KernelRules::B => limits.evaluate(total, Towards::Neither, self.overloaded()),
        };
        Some(self.with(active, total, overloaded))
    }

    /// The slot loses its owner, even if it counts connections.
    pub(crate) fn evicted(self) -> Self {
        Counts(self.with(0, 0, false).in_state(ServerState::Up).next_version().0 | VACANT)
    }

    /// The slot loses its owner; `None` while connections are counted.
    pub(crate) fn vacated(self) -> Option<Self> {
        (self.total() == 0).then(|| self.evicted())
    }

    /// A vacant slot gets an owner.
    pub(crate) fn occupied(self) -> Self {
        Counts(self.with(0, 0, false).in_state(ServerState::Up).next_version().0 & !VACANT)
    }
}

/// Upper and lower threshold in one word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Limits(u64);

enum Towards {
    Overload,
    Relief,
    Neither,
}

impl Limits {
    pub(crate) fn new(thresholds: Thresholds) -> Self {
        Limits(u64::from(thresholds.upper) | u64::from(thresholds.lower) << 32)
    }

    pub(crate) fn from_word(word: u64) -> Self {
        Limits(word)
    }

    pub(crate) fn word(self) -> u64 {
        self.0
    }

    fn upper(self) -> u32 {
        self.0 as u32
    }

    fn lower(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Below this number of connections the overload mark is cleared: the lower threshold, else 3/4 of
    /// the upper one, rounded up. Without an upper threshold, any number clears it.
    fn level(self) -> u32 {
        match (self.upper(), self.lower()) {
            (0, _) => u32::MAX,
            (upper, 0) => upper - upper / 4,
            (_, lower) => lower,
        }
    }

    /// Kernel rules A: true if this total clears the mark.
    fn clears_a(self, total: u32) -> bool {
        let (upper, lower) = (u64::from(self.upper()), self.lower());
        if lower != 0 { total < lower } else { upper == 0 || 4 * u64::from(total) < 3 * upper }
    }

    /// Kernel rules B: set from `upper` on, clear below `level`, keep in between. An event that has just
    /// reached a border extends that border's side over the band in between.
    fn evaluate(self, total: u32, towards: Towards, before: bool) -> bool {
        let (upper, level) = (self.upper(), self.level());
        let (sets_at, keeps_at) = match towards {
            Towards::Overload => (level, level),
            Towards::Relief => (upper, upper),
            Towards::Neither => (upper, level),
        };
        upper != 0 && (total >= sets_at || total >= keeps_at && before)
    }
}

#[cfg(test)]
#[path = "counts_tests.rs"]
mod tests;
