//! The registry of schedulers, and their names.
//!
//! A scheduler is one file in `src/sched` and one line here. Its short name is its identity in configs,
//! rules texts, C, netlink and listings.

#[cfg(feature = "capi")]
use std::ffi::CStr;

use crate::error::UnknownScheduler;

/// Names of the three flags for schedulers that give them no meaning.
pub const GENERIC_FLAG_NAMES: [&str; 3] = ["flag-1", "flag-2", "flag-3"];

/// The registry: calls the macro `$each` with every scheduler's summary, short name, type, cost, whether
/// Linux has it, whether it shares connections by weight, and names of flags.
macro_rules! schedulers {
    ($each:ident) => {
        $each! {
            /// round robin: each available server in turn, whatever its weight
            "rr" => rr::Rr, cost "O(1)", linux true, shares false, flags GENERIC_FLAG_NAMES;
            /// weighted round robin: in turn, as often as the weight says
            "wrr" => wrr::Wrr, cost "O(1), O(log n) if the weights' sum is large", linux true, shares true, flags GENERIC_FLAG_NAMES;
            /// least connections
            "lc" => lc::Lc, cost "O(log n)", linux true, shares false, flags GENERIC_FLAG_NAMES;
            /// weighted least connections
            "wlc" => wlc::Wlc, cost "O(log n)", linux true, shares true, flags GENERIC_FLAG_NAMES;
            /// shortest expected delay: least (active + 1) / weight
            "sed" => sed::Sed, cost "O(log n)", linux true, shares true, flags GENERIC_FLAG_NAMES;
            /// never queue: an idle server first, else shortest expected delay
            "nq" => nq::Nq, cost "O(log n)", linux true, shares true, flags GENERIC_FLAG_NAMES;
            /// source hashing: one client, one server
            "sh" => sh::Sh, cost "O(1)", linux true, shares false, flags ["sh-fallback", "sh-port", GENERIC_FLAG_NAMES[2]];
            /// destination hashing: one destination, one server
            "dh" => dh::Dh, cost "O(1)", linux true, shares false, flags GENERIC_FLAG_NAMES;
            /// locality-based least connections: one destination, one server, unless that is busy
            "lblc" => lblc::Lblc, cost "O(1), amortized O(log n) for a new address or a busy server", linux true, shares true, flags GENERIC_FLAG_NAMES;
            /// the same with replication: one destination, a set of servers that grows under load
            "lblcr" => lblcr::Lblcr, cost "O(1), amortized O(log n) for a new address or a busy server", linux true, shares true, flags GENERIC_FLAG_NAMES;
            /// Maglev hashing: one client, one server; few others move when servers come and go
            "mh" => mh::Mh, cost "O(1)", linux true, shares false, flags ["mh-fallback", "mh-port", GENERIC_FLAG_NAMES[2]];
            /// failover: the available server of highest weight
            "fo" => fo::Fo, cost "O(1)", linux true, shares false, flags GENERIC_FLAG_NAMES;
            /// overflow: the highest weight until it has that many active connections, then the next
            "ovf" => ovf::Ovf, cost "O(servers full)", linux true, shares false, flags GENERIC_FLAG_NAMES;
            /// power of two choices: the less loaded of two weighted random draws
            "twos" => twos::Twos, cost "O(1) expected", linux true, shares true, flags GENERIC_FLAG_NAMES;
            /// weighted power of two choices: the less loaded of two different weighted random servers
            "p2c" => p2c::P2c, cost "O(1) expected", linux false, shares true, flags GENERIC_FLAG_NAMES;
        }
    };
}

pub(crate) use schedulers;

/// Used at compile time only, where its panic is an error of the build.
#[cfg(feature = "capi")]
const fn c_text(text: &'static [u8]) -> &'static CStr {
    match CStr::from_bytes_with_nul(text) {
        Ok(text) => text,
        Err(_) => panic!("one NUL, at the end"),
    }
}

macro_rules! names {
    ($(
        $(#[doc = $doc:literal])+
        $name:literal => $module:ident::$kind:ident, cost $cost:literal, linux $linux:literal, shares $shares:literal, flags $flags:expr;
    )+) => {
        /// The schedulers, by their short names.
        ///
        /// ```
        /// use vsched::SchedulerKind;
        /// assert_eq!("wlc".parse(), Ok(SchedulerKind::Wlc));
        /// assert_eq!(SchedulerKind::Wlc.name(), "wlc");
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum SchedulerKind {
            $( $(#[doc = $doc])+ $kind, )+
        }

        impl SchedulerKind {
            /// All schedulers, in the order of the documentation.
            pub const ALL: &'static [SchedulerKind] = &[$(SchedulerKind::$kind),+];

            const NAMES: &'static [&'static str] = &[$($name),+];

            /// Returns the short name, such as `wrr`.
            pub const fn name(self) -> &'static str {
                match self { $(SchedulerKind::$kind => $name,)+ }
            }

            /// The short name for C.
            #[cfg(feature = "capi")]
            pub(crate) const fn name_c(self) -> &'static CStr {
                match self { $(SchedulerKind::$kind => const { c_text(concat!($name, "\0").as_bytes()) },)+ }
            }

            /// The [`summary`](Self::summary) for C.
            #[cfg(feature = "capi")]
            pub(crate) const fn summary_c(self) -> &'static CStr {
                match self {
                    $(SchedulerKind::$kind => {
                        // Without the blank with which a doc comment starts.
                        const { c_text(concat!($($doc,)+ "\0").as_bytes().split_at(1).1) }
                    })+
                }
            }

            /// Returns what the scheduler does, in one clause.
            pub fn summary(self) -> &'static str {
                match self { $(SchedulerKind::$kind => concat!($($doc),+).trim(),)+ }
            }

            /// Returns the cost of a pick, with n the number of servers.
            pub const fn cost(self) -> &'static str {
                match self { $(SchedulerKind::$kind => $cost,)+ }
            }

            /// Returns true if Linux has the scheduler. The kernel plane refuses a config with any other
            /// before it sends anything.
            ///
            /// ```
            /// use vsched::SchedulerKind;
            /// assert!(SchedulerKind::Twos.in_linux() && !SchedulerKind::P2c.in_linux());
            /// ```
            pub const fn in_linux(self) -> bool {
                match self { $(SchedulerKind::$kind => $linux,)+ }
            }

            /// Returns true if the scheduler shares connections among servers in proportion to weight, or
            /// load in proportion to weight: what slow start and spill-over need.
            ///
            /// ```
            /// use vsched::SchedulerKind;
            /// assert!(SchedulerKind::Wlc.shares_by_weight() && !SchedulerKind::Rr.shares_by_weight());
            /// ```
            pub const fn shares_by_weight(self) -> bool {
                match self { $(SchedulerKind::$kind => $shares,)+ }
            }

            /// Returns the names of the three scheduler flags for this scheduler.
            pub const fn flag_names(self) -> [&'static str; 3] {
                match self { $(SchedulerKind::$kind => $flags,)+ }
            }
        }

        impl std::str::FromStr for SchedulerKind {
            type Err = UnknownScheduler;

            fn from_str(name: &str) -> Result<Self, UnknownScheduler> {
                match name {
                    $($name => Ok(SchedulerKind::$kind),)+
                    _ => Err(UnknownScheduler::new(name, SchedulerKind::NAMES)),
                }
            }
        }
    };
}

schedulers!(names);
