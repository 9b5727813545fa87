//! # Block: state that processes share
//!
//! A block is memory in which directors of several processes share connection counts, states of
//! servers and rotations, so that they pick as one. Make a handle with vsched_block_new, give it
//! memory with one of vsched_block_anonymous, vsched_block_named, vsched_block_attach and
//! vsched_block_format_or_attach, and make a director on it in each process with
//! vsched_director_new_in_block. A director keeps the block's memory of the library until it and
//! its workers are freed; memory of the caller must stay for as long. After an error the error text
//! of the handle says why.
//!
//! NULL: no pointer may be NULL, except `buffer` if `capacity` is 0, `length`, and the argument of
//! vsched_block_free.

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::os::raw::c_char;
use std::ptr::NonNull;

use parking_lot::Mutex;

use crate::ffi::config::vsched_config;
use crate::ffi::director::vsched_director;
use crate::ffi::sized::{self, Grows};
use crate::ffi::status::{VSCHED_E_ARGUMENT, VSCHED_E_NULL, VSCHED_E_REFUSED, vsched_status};
use crate::ffi::{Fault, LastError, guard, text};
use crate::{Block, BlockLimits, Director, Reclaimed};

/// A handle of shared memory. Its functions may be called from several threads at once. Free it
/// with vsched_block_free.
pub struct vsched_block {
    block: Mutex<Option<Block>>,
    error: LastError,
}

/// For how much a block has room.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct vsched_block_limits {
    /// sizeof(vsched_block_limits).
    pub struct_size: u32,
    /// Servers of all services, those that were removed and still have connections included.
    /// Rounded up to the next of 64, 192, 448, 960, ...: 2^k - 64.
    pub servers: u32,
    /// Services, rounded up likewise.
    pub services: u32,
    /// Directors at a time, 1 to 64, or to 32 with `addresses`. 0: 16.
    pub owners: u32,
    /// Client addresses that persistent services remember, together, up to 16,777,216: each service
    /// takes as many as its affinity.capacity, at least 512, rounded up to a power of two. 0: none;
    /// then a config with a persistent service is refused.
    pub addresses: u32,
}

// SAFETY: it begins with its size, ends without padding, and holds numbers.
unsafe impl Grows for vsched_block_limits {
    const LEAST: usize = size_of::<vsched_block_limits>();
}

fn limits_of(from: vsched_block_limits) -> Result<BlockLimits, Fault> {
    let limits = BlockLimits::new(from.servers, from.services).with_addresses(from.addresses);
    Ok(if from.owners == 0 { limits } else { limits.with_owners(from.owners) })
}

/// Gives the handle its memory, unless it has some.
fn fill(
    block: Option<&vsched_block>,
    make: impl FnOnce() -> Result<Block, Fault>,
) -> Result<(), vsched_status> {
    let block = block.ok_or(VSCHED_E_NULL)?;
    let mut place = block.block.lock();
    let made = match *place {
        Some(_) => Err(Fault::new(VSCHED_E_REFUSED, "the handle has a block already")),
        None => make(),
    };
    *place = Some(block.error.keep(made)?);
    Ok(())
}

fn attached(block: &vsched_block) -> Result<Block, Fault> {
    let none = || Fault::new(VSCHED_E_ARGUMENT, "the handle has no block yet");
    block.block.lock().clone().ok_or_else(none)
}

fn memory_of(memory: *mut c_void) -> Result<NonNull<u8>, vsched_status> {
    NonNull::new(memory.cast()).ok_or(VSCHED_E_NULL)
}

/// Makes a handle without a block.
///
/// Threads: any.
///
/// @param[out] block The new handle; free it with vsched_block_free.
/// @return VSCHED_OK.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn vsched_block_new(
    block: Option<&mut MaybeUninit<*mut vsched_block>>,
) -> vsched_status {
    guard(|| {
        let made = vsched_block { block: Mutex::new(None), error: LastError::default() };
        block.ok_or(VSCHED_E_NULL)?.write(Box::into_raw(Box::new(made)));
        Ok(())
    })
}

/// Frees a handle. Directors on its block go on.
///
/// Threads: exclusive.
///
/// @param block The handle; NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn vsched_block_free(block: Option<Box<vsched_block>>) {
    guard(|| {
        drop(block);
        Ok(())
    });
}

/// Returns the size of a block.
///
/// Threads: any.
///
/// @param block The handle, for the error text.
/// @param limits For how much it has room.
/// @param[out] size Its size in bytes. Its memory must be aligned to 8.
/// @return VSCHED_OK; VSCHED_E_ARGUMENT: a limit is out of range; VSCHED_E_STRUCT_SIZE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_block_size(
    block: Option<&vsched_block>,
    limits: *const vsched_block_limits,
    size: Option<&mut MaybeUninit<usize>>,
) -> vsched_status {
    guard(|| {
        let (block, to) = (block.ok_or(VSCHED_E_NULL)?, size.ok_or(VSCHED_E_NULL)?);
        // SAFETY: the caller promises a struct of `struct_size` bytes.
        let limits = unsafe { sized::read(limits) }?;
        let size = limits_of(limits).and_then(|limits| Ok(limits.size()?));
        to.write(block.error.keep(size)?);
        Ok(())
    })
}

/// Makes a new block in memory of the library, which children inherit through fork.
///
/// Threads: any.
///
/// @param block The handle, without a block.
/// @param limits For how much it has room.
/// @return VSCHED_OK; VSCHED_E_BLOCK: the system has no memory; VSCHED_E_ARGUMENT: a limit is out
///   of range; VSCHED_E_REFUSED: the handle has a block; VSCHED_E_STRUCT_SIZE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_block_anonymous(
    block: Option<&vsched_block>,
    limits: *const vsched_block_limits,
) -> vsched_status {
    guard(|| {
        // SAFETY: the caller promises a struct of `struct_size` bytes.
        let limits = unsafe { sized::read(limits) }?;
        fill(block, || anonymous(&limits_of(limits)?))
    })
}

/// Uses the block in a file, which is made if it does not exist. The file is readable and writable
/// by its user alone. Keep it where no other user can write: a program that can may spoil every
/// decision, and one that shortens the file ends the processes that use it.
///
/// Threads: any.
///
/// @param block The handle, without a block.
/// @param path The file, such as one in a folder of the proxy's own in /dev/shm.
/// @param length Length of the path in bytes.
/// @param limits For how much it has room.
/// @return VSCHED_OK; VSCHED_E_BLOCK: the file cannot be opened, is something else, belongs to
///   another user, can be written by others, or has other limits; VSCHED_E_ARGUMENT;
///   VSCHED_E_LENGTH: the file is too short; VSCHED_E_UTF8; VSCHED_E_REFUSED: the handle has a
///   block; VSCHED_E_STRUCT_SIZE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_block_named(
    block: Option<&vsched_block>,
    path: *const c_char,
    length: usize,
    limits: *const vsched_block_limits,
) -> vsched_status {
    guard(|| {
        // SAFETY: the caller promises a struct of `struct_size` bytes, and a text of `length`.
        let (limits, path) = unsafe { (sized::read(limits)?, text::read(path, length)?) };
        fill(block, || named(path, &limits_of(limits)?))
    })
}

#[cfg(unix)]
fn anonymous(limits: &BlockLimits) -> Result<Block, Fault> {
    Ok(Block::anonymous(limits)?)
}

#[cfg(unix)]
fn named(path: &str, limits: &BlockLimits) -> Result<Block, Fault> {
    Ok(Block::named(path, limits)?)
}

#[cfg(not(unix))]
fn anonymous(_: &BlockLimits) -> Result<Block, Fault> {
    Err(Fault::new(VSCHED_E_REFUSED, "not on this system: vsched_block_format_or_attach"))
}

#[cfg(not(unix))]
fn named(_: &str, limits: &BlockLimits) -> Result<Block, Fault> {
    anonymous(limits)
}

/// Makes memory of the caller a new block, whatever it was. No other code may use it during the
/// call.
///
/// Threads: any.
///
/// @param block The handle, for the error text; it does not get the block.
/// @param memory The memory, aligned to 8. After an error nothing was written.
/// @param length Its length in bytes, at least that of vsched_block_size.
/// @param limits For how much the block has room.
/// @return VSCHED_OK; VSCHED_E_LENGTH: the memory is too short; VSCHED_E_BLOCK: it is misaligned;
///   VSCHED_E_ARGUMENT: a limit is out of range; VSCHED_E_STRUCT_SIZE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_block_format(
    block: Option<&vsched_block>,
    memory: *mut c_void,
    length: usize,
    limits: *const vsched_block_limits,
) -> vsched_status {
    guard(|| {
        let (block, memory) = (block.ok_or(VSCHED_E_NULL)?, memory_of(memory)?);
        // SAFETY: the caller promises a struct of `struct_size` bytes.
        let limits = unsafe { sized::read(limits) }?;
        let format = |limits: BlockLimits| {
            // SAFETY: the caller promises `length` bytes that no other code uses.
            Ok(unsafe { Block::format(memory, length, &limits) }?)
        };
        block.error.keep(limits_of(limits).and_then(format))
    })
}

/// Uses memory of the caller that is a block, formatted by any process. Everything that the memory
/// says of itself is checked.
///
/// Threads: any.
///
/// @param block The handle, without a block.
/// @param memory The memory, which begins as many bytes after a multiple of 64 as when it was
///   formatted. It must stay until the handle, every director on the block and their workers are
///   freed.
/// @param length Its length in bytes.
/// @return VSCHED_OK; VSCHED_E_BLOCK: it is not formatted, is being formatted, is something else,
///   is damaged or misaligned; VSCHED_E_LENGTH: it is shorter than it says; VSCHED_E_REFUSED: the
///   handle has a block.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_block_attach(
    block: Option<&vsched_block>,
    memory: *mut c_void,
    length: usize,
) -> vsched_status {
    guard(|| {
        let memory = memory_of(memory)?;
        // SAFETY: the caller promises `length` bytes for as long as they are used.
        fill(block, || Ok(unsafe { Block::attach(memory, length) }?))
    })
}

/// Uses memory of the caller that is a block with these limits, or makes it one if it is all zeros.
/// Of any number of processes that call this at once, one formats; to the others it is a block that
/// is being formatted, until it is one: call again.
///
/// Threads: any.
///
/// @param block The handle, without a block.
/// @param memory The memory, as for vsched_block_attach.
/// @param length Its length in bytes, at least that of vsched_block_size.
/// @param limits For how much the block has room.
/// @return VSCHED_OK; as vsched_block_attach and vsched_block_format; VSCHED_E_BLOCK: it has other
///   limits.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_block_format_or_attach(
    block: Option<&vsched_block>,
    memory: *mut c_void,
    length: usize,
    limits: *const vsched_block_limits,
) -> vsched_status {
    guard(|| {
        let memory = memory_of(memory)?;
        // SAFETY: the caller promises a struct of `struct_size` bytes.
        let limits = unsafe { sized::read(limits) }?;
        fill(block, || {
            let limits = limits_of(limits)?;
            // SAFETY: the caller promises `length` bytes for as long as they are used.
            Ok(unsafe { Block::format_or_attach(memory, length, &limits) }?)
        })
    })
}

/// Gives back what a process held that has ended: its connections, and its place in the block. Any
/// process may call it, several at once, and die of it: each count is given back once. Waits for no
/// other process. Only for a process that has ended: of one that goes on, counts are wrong
/// afterwards.
///
/// Threads: any.
///
/// @param block The handle.
/// @param process The process id, as the process itself saw it.
/// @param[out] left At how many servers others kept changing the counts, so that they are not given
///   back yet: call again while it is not 0.
/// @return VSCHED_OK, also if it held nothing; VSCHED_E_ARGUMENT: the handle has no block.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn vsched_block_reclaim_process(
    block: Option<&vsched_block>,
    process: u32,
    left: Option<&mut MaybeUninit<u32>>,
) -> vsched_status {
    guard(|| {
        let (block, left) = (block.ok_or(VSCHED_E_NULL)?, left.ok_or(VSCHED_E_NULL)?);
        let attached = block.error.keep(attached(block))?;
        left.write(left_of(attached.reclaim_process(process)));
        Ok(())
    })
}

/// As vsched_block_reclaim_process, of every process that has ended, where the system says so: on
/// Linux, of processes in this one's pid namespace. For hosts that do not learn of each end, and
/// for a named block after a crash of all processes.
///
/// Threads: any. Cost: system calls for each director in the block.
///
/// @param block The handle.
/// @param[out] left As for vsched_block_reclaim_process.
/// @return VSCHED_OK; VSCHED_E_ARGUMENT: the handle has no block.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn vsched_block_reclaim_dead(
    block: Option<&vsched_block>,
    left: Option<&mut MaybeUninit<u32>>,
) -> vsched_status {
    guard(|| {
        let (block, left) = (block.ok_or(VSCHED_E_NULL)?, left.ok_or(VSCHED_E_NULL)?);
        let attached = block.error.keep(attached(block))?;
        left.write(left_of(attached.reclaim_dead()));
        Ok(())
    })
}

fn left_of(reclaimed: Reclaimed) -> u32 {
    match reclaimed {
        Reclaimed::All => 0,
        Reclaimed::AllBut(servers) => servers,
    }
}

/// Makes a director whose state is in a block: that of all directors on it, in any process. Call it
/// after fork. What it has open when it is freed is given back.
///
/// Threads: shared on the config and the handle. Cost: O(services + servers) and O(room of the
/// block).
///
/// @param config The config; it stays yours. After an error its error text says why.
/// @param block The handle; its block stays until the director and its workers are freed.
/// @param[out] director The new director; free it with vsched_director_free.
/// @return VSCHED_OK; VSCHED_E_BLOCK: a setting of the config cannot be shared; VSCHED_E_CAPACITY:
///   the block has no room for the config or for another director; VSCHED_E_REFUSED: another
///   process has been changing the block's services for ten seconds; VSCHED_E_INVALID;
///   VSCHED_E_ARGUMENT: the handle has no block.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn vsched_director_new_in_block(
    config: Option<&vsched_config>,
    block: Option<&vsched_block>,
    director: Option<&mut MaybeUninit<*mut vsched_director>>,
) -> vsched_status {
    guard(|| {
        let (config, to) = (config.ok_or(VSCHED_E_NULL)?, director.ok_or(VSCHED_E_NULL)?);
        let made = attached(block.ok_or(VSCHED_E_NULL)?)
            .and_then(|block| Ok(Director::in_block(&config.config, &block)?));
        let director = config.error.keep(made)?;
        let made = vsched_director { director, error: LastError::default() };
        to.write(Box::into_raw(Box::new(made)));
        Ok(())
    })
}

/// Copies the text of the latest failure of a function on this handle, in any thread; empty if no
/// function has failed. VSCHED_E_NULL, VSCHED_E_BUFFER and VSCHED_E_STRUCT_SIZE may leave the
/// previous text.
///
/// Threads: any.
///
/// @param block The handle.
/// @param[out] buffer Receives the text and a NUL.
/// @param capacity Bytes of the buffer.
/// @param[out] length Length of the text in bytes.
/// @return VSCHED_OK; VSCHED_E_BUFFER.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_block_error(
    block: Option<&vsched_block>,
    buffer: *mut c_char,
    capacity: usize,
    length: Option<&mut MaybeUninit<usize>>,
) -> vsched_status {
    guard(|| {
        let block = block.ok_or(VSCHED_E_NULL)?;
        // SAFETY: the caller promises `capacity` bytes at `buffer`.
        unsafe { text::write(&block.error.text(), buffer, capacity, length) }
    })
}
