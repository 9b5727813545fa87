//! Schedulers (kind only for now).
use crate::error::UnknownScheduler;

macro_rules! registry {
    ($( $(#[$doc:meta])* $variant:ident $name:literal $cost:literal ; )+) => {
        /// The schedulers.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum SchedulerKind { $( $(#[$doc])* $variant, )+ }

        impl SchedulerKind {
            /// Every scheduler.
            pub const ALL: &'static [SchedulerKind] = &[ $( SchedulerKind::$variant, )+ ];
            const NAMES: &'static [&'static str] = &[ $( $name, )+ ];
            /// Short name.
            pub const fn name(self) -> &'static str {
                match self { $( SchedulerKind::$variant => $name, )+ }
            }
            /// Names of the three scheduler flags under this scheduler.
            pub const fn flag_names(self) -> [&'static str; 3] { crate::config::GENERIC_FLAG_NAMES }
        }

        impl std::str::FromStr for SchedulerKind {
            type Err = UnknownScheduler;
            fn from_str(name: &str) -> Result<Self, UnknownScheduler> {
                match name {
                    $( $name => Ok(SchedulerKind::$variant), )+
                    _ => Err(UnknownScheduler::new(name, SchedulerKind::NAMES)),
                }
            }
        }
    };
}

registry! {
    /// Round robin.
    Rr "rr" "O(1)";
    /// wrr
    Wrr "wrr" "O(log n)";
    /// lc
    Lc "lc" "O(n)";
    /// wlc
    Wlc "wlc" "O(n)";
    /// sed
    Sed "sed" "O(n)";
    /// nq
    Nq "nq" "O(n)";
    /// fo
    Fo "fo" "O(n)";
    /// ovf
    Ovf "ovf" "O(n)";
    /// twos
    Twos "twos" "O(n)";
}
