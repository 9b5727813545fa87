//! The subjects, one per file. Each provides loops around one operation.

pub mod bare;
pub mod c;
#[cfg(feature = "peers")]
pub mod hashes;
pub mod least;
pub mod list;
#[cfg(feature = "peers")]
pub mod loads;
#[cfg(feature = "peers")]
pub mod pingora;
pub mod random;
pub mod rust;
pub mod smooth;
pub mod spin;
#[cfg(feature = "peers")]
pub mod tower;

/// Names of subjects, as outputs print them.
pub mod name {
    pub const RUST: &str = "vsched";
    pub const C: &str = "vsched from C";
    pub const LIST: &str = "kernel's list";
    pub const SLABS: &str = "kernel's list, in slabs";
    pub const SCATTERED: &str = "kernel's list, scattered";
    pub const TREE: &str = "ordered tree";
    pub const RINGS: &str = "tree of rings";
    pub const TOURNAMENT: &str = "tournament";
    pub const BUCKETS: &str = "bucket queue";
    pub const RANDOM: &str = "random server";
    pub const ADDITION: &str = "bare addition";
    pub const SMOOTH: &str = "nginx's loop";
    pub const LOOP: &str = "empty loop";
    pub const PINGORA: &str = "pingora";
    pub const TOWER: &str = "tower";
    pub const MAGLEV: &str = "maglev crate";
    pub const HASHRING: &str = "hashring crate";
    pub const LOADWISE: &str = "loadwise crate";
}
