//! Limits on the values of a config.

/// Largest weight.
pub const MAX_WEIGHT: u32 = i32::MAX as u32;
/// Most servers per service.
pub const MAX_SERVERS: usize = (1 << 21) - 2;
/// Most services per config.
pub const MAX_SERVICES: usize = 1 << 20;
/// Longest timeout in seconds, 31 days.
pub const MAX_TIMEOUT: u32 = 2_678_400;
