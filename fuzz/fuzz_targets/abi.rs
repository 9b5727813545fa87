//! Calls from C: which, and with what, the bytes decide. `ffi-tests/hostile` says what must hold.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vsched as _;

unsafe extern "C" {
    fn abi_hostile_calls(bytes: *const u8, length: usize);
}

fuzz_target!(|bytes: &[u8]| {
    // SAFETY: so many bytes are there.
    unsafe { abi_hostile_calls(bytes.as_ptr(), bytes.len()) }
});
