//! Memory for a block from the system: anonymous, which children inherit, or a file that processes find by its
//! path.

#![allow(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::ptr::{self, NonNull};

use crate::arena::block::Block;
use crate::arena::block::limits::BlockLimits;
use crate::error::BlockError;
use crate::sync::Arc;

/// Mapped memory, until this is dropped.
struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping is memory; nothing in it belongs to a thread.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(length: usize, file: Option<&File>) -> io::Result<Self> {
        let flags = if file.is_some() { 0 } else { libc::MAP_ANONYMOUS };
        // SAFETY: a new mapping, at an address that the system chooses.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | flags,
                file.map_or(-1, AsRawFd::as_raw_fd),
                0,
            )
        };
        match NonNull::new(start.cast::<u8>()) {
            Some(start) if start.as_ptr().cast() != libc::MAP_FAILED => {
                Ok(Mapping { start, length })
            }
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn block(self, limits: &BlockLimits) -> Result<Block, BlockError> {
        let (start, length) = (self.start, self.length);
        // SAFETY: the mapping lives as long as the lender, and is zeros or a block.
        unsafe { Block::format_or_attach_lent(start, length, limits, Arc::new(self)) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: this mapping, of which no reference is left.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

fn failed(what: &'static str) -> impl FnOnce(io::Error) -> BlockError {
    move |error| BlockError::System { what, code: error.raw_os_error().unwrap_or(0) }
}

/// Makes the file as long as this. Memory that the file system does not have is missed here, not when it is
/// written.
#[cfg(target_os = "linux")]
fn reserve(file: &File, size: usize) -> Result<(), BlockError> {
    // SAFETY: a descriptor that is open.
    let code = unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, size as libc::off_t) };
    if code == 0 { Ok(()) } else { Err(BlockError::System { what: "posix_fallocate", code }) }
}

/// Makes the file as long as this.
#[cfg(not(target_os = "linux"))]
fn reserve(file: &File, size: usize) -> Result<(), BlockError> {
    file.set_len(size as u64).map_err(failed("ftruncate"))
}

impl Block {
    /// Returns a new block in memory of its own, which child processes inherit.
    ///
    /// # Errors
    /// A limit is out of range, or the system has no memory.
    pub fn anonymous(limits: &BlockLimits) -> Result<Self, BlockError> {
        Mapping::new(limits.size()?, None).map_err(failed("mmap"))?.block(limits)
    }

    /// Returns the block in this file, which is made if it does not exist. Of any number of processes that
    /// call this at once, one formats it.
    ///
    /// The file is readable and writable by this user alone. A program that can write it can spoil every decision
    /// of the directors on it, and one that shortens it ends their processes: keep it where no other user
    /// can do so, such as a folder of the proxy's own in `/dev/shm` or `/run`.
    ///
    /// # Errors
    /// As for [`attach`](Self::attach); [`BlockError::System`] if the system refuses;
    /// [`BlockError::Untrusted`] if the file is no regular file, belongs to another user, or can be written
    /// by others.
    pub fn named(path: impl AsRef<Path>, limits: &BlockLimits) -> Result<Self, BlockError> {
        let size = limits.size()?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK)
            .open(path)
            .map_err(failed("open"))?;
        let about = file.metadata().map_err(failed("fstat"))?;
        // SAFETY: it only returns a number.
        let user = unsafe { libc::geteuid() };
        let reason = if !about.is_file() {
            Some("it is no regular file")
        } else if about.uid() != user {
            Some("it belongs to another user")
        } else if about.mode() & 0o022 != 0 {
            Some("other users can write it")
        } else {
            None
        };
        if let Some(reason) = reason {
            return Err(BlockError::Untrusted { reason });
        }
        if about.len() == 0 {
            reserve(&file, size)?;
        } else if about.len() < size as u64 {
            return Err(BlockError::TooShort { length: about.len(), needed: size as u64 });
        }
        Mapping::new(size, Some(&file)).map_err(failed("mmap"))?.block(limits)
    }
}
