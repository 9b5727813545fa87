//! Why a pick chose its server.

use std::fmt;
use std::net::SocketAddr;

/// Why a pick would choose its server; see [`Director::explain`](crate::Director::explain).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum PickReason {
    /// The client's persistence template names it.
    Template,
    /// The rotation is at it: rr, wrr.
    Turn,
    /// It is the least loaded, and among equals the first in the list, or with `ties: rotate` the next in
    /// turn: lc, wlc, sed, nq; for lblc and lblcr an address that is not remembered, or whose servers
    /// are busy or unavailable.
    LeastLoad,
    /// It has the highest weight of those that are available: fo, and of those below it ovf.
    HighestWeight,
    /// The hash of the flow leads to it: sh, dh, mh.
    Hash,
    /// The hash of the flow leads to a server that is not available, which this one stands in for.
    Fallback,
    /// The flow's destination is remembered for it: lblc, lblcr.
    Remembered,
    /// It is the less loaded of these two, which are drawn at random: twos, p2c. The same server twice
    /// if both draws, or the only available server, are this one.
    Random([SocketAddr; 2]),
    /// No server of the tiers that serve is available; it is the least loaded of the next tier.
    Standby,
}

impl fmt::Display for PickReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PickReason::Template => "the client's template",
            PickReason::Turn => "its turn in the rotation",
            PickReason::LeastLoad => "the least load",
            PickReason::HighestWeight => "the highest weight",
            PickReason::Hash => "the flow's hash",
            PickReason::Fallback => "in place of the server of the flow's hash",
            PickReason::Remembered => "remembered for the destination",
            PickReason::Standby => "no tier before its own has an available server",
            PickReason::Random([one, two]) => {
                return write!(f, "the less loaded of the draws {one} and {two}");
            }
        })
    }
}
