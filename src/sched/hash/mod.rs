//! Shared by the hashing schedulers: the kernel's address hash, and Maglev's lookup table.

pub(in crate::sched) mod buckets;
pub(in crate::sched) mod lookup_table;
