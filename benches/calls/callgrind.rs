//! Callgrind's client requests, as `valgrind/callgrind.h` encodes them: instructions without effect
//! unless valgrind runs them.

/// Runs `act`; callgrind counts only its instructions, and writes them under this name.
pub(crate) fn count<T>(name: &str, act: impl FnOnce() -> T) -> T {
    let name = std::ffi::CString::new(name).expect("a name");
    request(START_INSTRUMENTATION, 0);
    request(ZERO_STATS, 0);
    let done = act();
    request(DUMP_STATS_AT, name.as_ptr() as usize);
    request(STOP_INSTRUMENTATION, 0);
    done
}

const TOOL: usize = 0x4354_0000;
const ZERO_STATS: usize = TOOL + 1;
const DUMP_STATS_AT: usize = TOOL + 3;
const START_INSTRUMENTATION: usize = TOOL + 4;
const STOP_INSTRUMENTATION: usize = TOOL + 5;

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
fn request(number: usize, argument: usize) {
    let words = [number, argument, 0, 0, 0, 0];
    // SAFETY: four rotations that cancel out, and an exchange of a register with itself;
    // valgrind reads the words that `rax` points to and answers in `rdx`.
    unsafe {
        std::arch::asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") &raw const words,
            inout("rdx") 0_usize => _,
        );
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn request(_number: usize, _argument: usize) {
    panic!("instructions are counted on x86_64 only");
}
