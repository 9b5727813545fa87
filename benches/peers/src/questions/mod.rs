//! The questions, one per file.

pub mod affinity;
pub mod connections;
pub mod regimes;
pub mod reload;
pub mod scale;
pub mod size;
pub mod table;
pub mod threads;

/// Names of questions, as outputs print them.
pub mod name {
    pub const SIZE: &str = "size";
    pub const CONNECTIONS: &str = "connections";
    pub const REGIMES: &str = "regimes";
    pub const AFFINITY: &str = "affinity";
    pub const THREADS: &str = "threads";
    pub const TABLE: &str = "table";
    pub const SCALE: &str = "scale";
    pub const RELOAD: &str = "reload";
}
