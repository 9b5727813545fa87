//! Sizes of the Maglev scheduler's lookup table.

/// Table index of Debian's kernels: 4093 slots.
pub const DEFAULT_MH_TABLE_INDEX: u8 = 12;
/// Smallest index: 251 slots.
pub const MIN_MH_TABLE_INDEX: u8 = 8;
/// Largest index: 131071 slots.
pub const MAX_MH_TABLE_INDEX: u8 = 17;

/// The greatest primes below 2^8 to 2^17.
const SIZES: [u32; 10] = [251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65521, 131_071];

/// Returns the number of slots of the mh table with this index (a kernel's `CONFIG_IP_VS_MH_TAB_INDEX`):
/// the greatest prime below 2^index. `None` outside 8 to 17.
///
/// ```
/// assert_eq!(vsched::config::mh_table_size(12), Some(4093));
/// ```
pub fn mh_table_size(index: u8) -> Option<u32> {
    let place = index.checked_sub(MIN_MH_TABLE_INDEX)?;
    SIZES.get(usize::from(place)).copied()
}
