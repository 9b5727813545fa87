//! Numbers among the fields of a setting, with their limits: one list for rules texts and checks.

/// A number of a setting.
pub(crate) struct Field<T> {
    /// Its name, as in serde texts.
    pub(crate) name: &'static str,
    pub(crate) least: u32,
    pub(crate) most: u32,
    pub(crate) get: fn(&T) -> u32,
    /// For numbers within the limits.
    pub(crate) set: fn(&mut T, u32),
}

/// The fields of a type, each with its limits.
macro_rules! fields {
    ($($name:ident $least:literal to $most:expr),+) => {
        &[$($crate::config::field::Field {
            name: stringify!($name),
            least: $least,
            most: $most,
            get: |from| from.$name as u32,
            set: |to, number| to.$name = number as _,
        }),+]
    };
}

pub(crate) use fields;
