//! A server's state at run time.

use std::fmt;

/// What is so of a server at run time, apart from what is configured.
///
/// It is never written into a config, and survives every change of one. Where no state is set, picks
/// are those of a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
#[repr(u8)]
#[non_exhaustive]
pub enum ServerState {
    /// Not held: weight, thresholds and connections decide.
    #[default]
    Up = 0,
    /// Its persistent clients and its open connections stay; nothing new.
    Draining = 1,
    /// No picks, not even of its persistent clients. Open connections stay counted until they close.
    Down = 2,
}

impl ServerState {
    /// All states, the mildest first.
    pub const ALL: &'static [ServerState] =
        &[ServerState::Up, ServerState::Draining, ServerState::Down];

    /// Returns the name, as in every text.
    pub const fn name(self) -> &'static str {
        match self {
            ServerState::Up => "up",
            ServerState::Draining => "draining",
            ServerState::Down => "down",
        }
    }
}

impl fmt::Display for ServerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
