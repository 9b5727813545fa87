//! What the hashing schedulers share: the kernel's address hash, and Maglev's lookup table.

pub(in crate::sched) mod buckets;
pub(in crate::sched) mod lookup_table;
