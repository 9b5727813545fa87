//! Functions that ffi-tests/hot_path_test.py lets hot_path.py walk: each does what the hot path may
//! not, on its rarest path, or nothing of that kind.

use std::hint::black_box;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

static COUNT: AtomicU64 = AtomicU64::new(0);
static LOCK: Mutex<u64> = Mutex::new(0);

#[unsafe(no_mangle)]
pub extern "C" fn vsched_harmless(n: u64) -> u64 {
    let from = [n; 40];
    let mut to = [0; 40];
    *black_box(&mut to) = *black_box(&from);
    COUNT.fetch_add(to[3], Ordering::SeqCst) + pick::table(n)
}

#[unsafe(no_mangle)]
pub extern "C" fn vsched_allocates(n: u64) -> u64 {
    if n == 77 { helper(n) } else { n }
}

#[inline(never)]
fn helper(n: u64) -> u64 {
    *black_box(Box::new(n))
}

#[unsafe(no_mangle)]
pub extern "C" fn vsched_locks(n: u64) -> u64 {
    match LOCK.try_lock() {
        Ok(mut held) if n == 77 => {
            *held += 1;
            *held
        }
        _ => n,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn vsched_panics(n: usize) -> u64 {
    [1, 2, 3][n]
}

#[unsafe(no_mangle)]
pub extern "C" fn vsched_reads_the_clock(n: u64) -> u64 {
    if n == 77 { Instant::now().elapsed().as_secs() } else { n }
}

#[unsafe(no_mangle)]
pub extern "C" fn vsched_system_call(n: u64) -> u64 {
    let mut result = n;
    if n == 77 {
        // SAFETY: getpid has no effect.
        unsafe {
            std::arch::asm!("syscall", inout("rax") 39_u64 => result, out("rcx") _, out("r11") _);
        }
    }
    result
}

/// In one arm of a jump table.
#[unsafe(no_mangle)]
pub extern "C" fn vsched_allocates_by_jump_table(n: u64) -> u64 {
    match n {
        0 => COUNT.fetch_add(3, Ordering::SeqCst),
        1 => COUNT.fetch_sub(5, Ordering::SeqCst),
        2 => COUNT.fetch_xor(7, Ordering::SeqCst),
        3 => COUNT.swap(9, Ordering::SeqCst),
        4 => helper(n),
        5 => COUNT.fetch_or(11, Ordering::SeqCst),
        6 => COUNT.load(Ordering::SeqCst),
        _ => n,
    }
}

/// In one function of a table.
#[unsafe(no_mangle)]
pub extern "C" fn vsched_allocates_by_function_table(n: u64) -> u64 {
    static TABLE: [fn(u64) -> u64; 3] = [pick::one, pick::two, helper];
    TABLE.get(n as usize).map_or(0, |function| function(n))
}

#[unsafe(no_mangle)]
pub extern "C" fn vsched_calls_a_pointer(function: extern "C" fn(u64) -> u64) -> u64 {
    function(1) + 1
}

/// As from a loop that loads the address once.
#[unsafe(no_mangle)]
pub extern "C" fn vsched_allocates_by_a_copied_pointer(n: u64) -> u64 {
    let result;
    unsafe {
        std::arch::asm!(
            "lea rcx, [rip + {}]", "2:", "mov r14, rcx", "call r14", "test al, 1", "mov rcx, r14", "je 2b",
            sym c_helper, in("rdi") n, out("r14") _, lateout("rax") result, clobber_abi("C"),
        );
    }
    result
}

/// A copy that is no longer what it was.
#[unsafe(no_mangle)]
pub extern "C" fn vsched_calls_a_changed_copy(n: u64) -> u64 {
    let result;
    unsafe {
        std::arch::asm!(
            "lea rcx, [rip + {}]", "xchg rcx, rdi", "mov r14, rcx", "call r14",
            sym harmless_too, in("rdi") n, out("r14") _, lateout("rax") result,
            clobber_abi("C"),
        );
    }
    result
}

extern "C" fn c_helper(n: u64) -> u64 {
    helper(n)
}

extern "C" fn harmless_too(n: u64) -> u64 {
    n
}

mod pick {
    use super::{COUNT, Ordering};

    static TABLE: [fn(u64) -> u64; 3] = [one, two, three];

    #[inline(never)]
    pub(crate) fn table(n: u64) -> u64 {
        TABLE.get(n as usize).map_or(0, |function| function(n))
    }
    pub(crate) fn one(n: u64) -> u64 {
        COUNT.fetch_add(n, Ordering::SeqCst)
    }
    pub(crate) fn two(n: u64) -> u64 {
        COUNT.fetch_sub(n, Ordering::SeqCst)
    }
    fn three(n: u64) -> u64 {
        COUNT.fetch_xor(n, Ordering::SeqCst)
    }
}
