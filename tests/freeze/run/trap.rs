//! The traced thread marks the begin and end of a call for its tracer by a breakpoint instruction,
//! with a word in a register.

#![allow(unsafe_code)]

use std::arch::asm;

/// What the thread may be stopped in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u64)]
pub(crate) enum Call {
    Pick = 1,
    PickExcluding,
    OpenPick,
    Update,
    Close,
    Connect,
    ServiceFor,
    CloseWith,
    Report,
}

impl Call {
    pub(crate) const ALL: [Call; 9] = [
        Call::Pick,
        Call::PickExcluding,
        Call::OpenPick,
        Call::Update,
        Call::Close,
        Call::Connect,
        Call::ServiceFor,
        Call::CloseWith,
        Call::Report,
    ];

    pub(crate) fn of(word: u64) -> Option<Self> {
        Call::ALL.into_iter().find(|call| *call as u64 == word)
    }
}

/// The tracer's answer at the end of a call: nothing more is wanted of this scenario.
pub(crate) const ENOUGH: u64 = 1;

/// Does it between two breakpoints; with the tracer's answer to the second.
pub(crate) fn between<T>(call: Call, act: impl FnOnce() -> T) -> (T, u64) {
    trap(call as u64);
    let done = act();
    (done, trap(0))
}

#[inline(always)]
fn trap(word: u64) -> u64 {
    let answer: u64;
    // SAFETY: a breakpoint, at which the tracer reads `rdi` and writes `rax`, and nothing else.
    unsafe { asm!("int3", in("rdi") word, inout("rax") 0_u64 => answer) };
    answer
}

/// Makes the process's parent this thread's tracer.
pub(crate) fn be_traced() {
    // SAFETY: the request takes no pointers.
    let done = unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) };
    assert_eq!(done, 0, "no tracing: {}", std::io::Error::last_os_error());
}
