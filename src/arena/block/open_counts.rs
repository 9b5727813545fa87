//! Connections that one owner of a block has open through each entry of a map: in its own memory, because only
//! whether there are any concerns the others.
//!
//! | location | operation          | ordering | partner                                             |
//! |----------|--------------------|----------|-----------------------------------------------------|
//! | words    | exchanges and load | SeqCst   | each other; before and after changes of the owner's bit |

use crate::concurrent::zeroed::{OutOfMemory, zeroed};
use crate::sync::{AtomicU64, Ordering};

/// By entry. serial of the template:32, number:32.
pub(crate) struct OpenCounts(Box<[AtomicU64]>);

fn serial_of(word: u64) -> u32 {
    (word >> 32) as u32
}

impl OpenCounts {
    /// None, of so many entries. Allocates.
    pub(crate) fn new(entries: usize) -> Result<Self, OutOfMemory> {
        zeroed(entries).map(OpenCounts)
    }

    /// Counts a connection that opens through the template with this serial in this entry. True if it is the first.
    pub(crate) fn open(&self, at: usize, serial: u32) -> bool {
        let one = |word: u64| if serial_of(word) == serial { word.checked_add(1) } else { None };
        let opened = |word| Some(one(word).unwrap_or(u64::from(serial) << 32 | 1));
        let Some(word) = self.0.get(at) else { return true };
        let before = word.fetch_update(Ordering::SeqCst, Ordering::SeqCst, opened).unwrap_or(0);
        serial_of(before) != serial || before as u32 == 0
    }

    /// Counts one that closes; `None` if none is open, true if it was the last.
    pub(crate) fn close(&self, at: usize, serial: u32) -> Option<bool> {
        let closed = |word| (serial_of(word) == serial && word as u32 > 0).then(|| word - 1);
        let before = self.0.get(at)?.fetch_update(Ordering::SeqCst, Ordering::SeqCst, closed);
        before.ok().map(|before| before as u32 == 1)
    }

    /// True if a connection is open.
    pub(crate) fn is_open(&self, at: usize, serial: u32) -> bool {
        let word = self.0.get(at).map_or(0, |word| word.load(Ordering::SeqCst));
        serial_of(word) == serial && word as u32 > 0
    }

    /// None is open any more.
    pub(crate) fn end(&self, at: usize) {
        if let Some(word) = self.0.get(at) {
            word.store(0, Ordering::SeqCst);
        }
    }
}
