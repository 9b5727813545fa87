//! Loom's atomics are not plain bytes, so arrays are built of defaults, one by one.

pub(crate) trait Zeroed: Default {}

impl<T: Default> Zeroed for T {}

macro_rules! zeroed_struct {
    ($($item:tt)+) => {
        #[derive(Default)]
        $($item)+
    };
}

pub(crate) use zeroed_struct;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OutOfMemory {
    pub(crate) bytes: u64,
}

pub(crate) fn zeroed<T: Zeroed>(length: usize) -> Result<Box<[T]>, OutOfMemory> {
    Ok((0..length).map(|_| T::default()).collect())
}
