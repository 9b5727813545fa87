//! UDP, which has a single state.

use crate::arena::counts::Activity;
use crate::config::Timeouts;
use crate::protocol::{FTP_DATA, seconds};

/// The state of a UDP association; there is only one.
///
/// ```
/// use vsched::config::Timeouts;
/// use vsched::protocol::UdpState;
/// assert_eq!(UdpState::Normal.timeout_seconds(&Timeouts::default()), 300);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum UdpState {
    /// From the first datagram until the timeout after the last one.
    #[default]
    Normal,
}

impl UdpState {
    /// Returns the name that `ipvsadm -L -c` prints: `UDP`.
    pub const fn name(self) -> &'static str {
        "UDP"
    }

    /// Returns how an association counts: always inactive, so sed, nq and ovf ignore it.
    pub const fn activity(self) -> Activity {
        Activity::Inactive
    }

    /// Returns the seconds after its last datagram until an association expires: 300 unless configured.
    pub fn timeout_seconds(self, timeouts: &Timeouts) -> u32 {
        seconds(timeouts.udp, 300)
    }
}

/// Returns whether to schedule a datagram of no known connection: unless it comes from port 20.
pub const fn schedules_udp(source_port: u16) -> bool {
    source_port != FTP_DATA
}
