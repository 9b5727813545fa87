//! The subjects, one per file. Each provides loops around one operation.

pub mod c;
#[cfg(feature = "peers")]
pub mod hashes;
pub mod list;
#[cfg(feature = "peers")]
pub mod loads;
#[cfg(feature = "peers")]
pub mod pingora;
pub mod random;
pub mod rust;
pub mod smooth;
#[cfg(feature = "peers")]
pub mod tower;

/// Names of subjects, as outputs print them.
pub mod name {
    pub const RUST: &str = "vsched";
    pub const C: &str = "vsched from C";
    pub const LIST: &str = "kernel's list";
    pub const SLABS: &str = "kernel's list, in slabs";
    pub const SCATTERED: &str = "kernel's list, scattered";
    pub const SMOOTH: &str = "nginx's loop";
    pub const LOOP: &str = "empty loop";
    pub const PINGORA: &str = "pingora";
    pub const TOWER: &str = "tower";
    pub const MAGLEV: &str = "maglev crate";
    #[cfg(feature = "peers")]
    pub const HASHRING: &str = "hashring crate";
    #[cfg(feature = "peers")]
    pub const LOADWISE: &str = "loadwise crate";
}
