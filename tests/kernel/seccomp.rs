//! Makes the kernel refuse system calls to the thread that requests it.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_long, c_ulong};
use std::io;

/// A system call with one of its arguments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    number: c_long,
    argument: u32,
    value: c_int,
}

pub(crate) const LIST_SERVICES: Call = option(1154);
pub(crate) const LIST_SERVERS: Call = option(1156);
pub(crate) const IPV4_SOCKET: Call =
    Call { number: libc::SYS_socket, argument: 0, value: libc::AF_INET };

const fn option(name: c_int) -> Call {
    Call { number: libc::SYS_getsockopt, argument: 2, value: name }
}

/// From here on these calls of this thread fail with `errno`.
pub(crate) fn answer(calls: &[Call], errno: c_int) {
    let step = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let load = |place| step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, place);
    let unless = |value, skip| {
        let code = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
        libc::sock_filter { jf: skip, ..step(code, value) }
    };
    let end = |answer| step(libc::BPF_RET | libc::BPF_K, answer);
    // Of each argument, 64 bits behind the first 16 bytes, the lower half.
    let low = if cfg!(target_endian = "big") { 4 } else { 0 };
    let mut program = Vec::new();
    for call in calls {
        program.extend([load(0), unless(call.number as u32, 3)]);
        program.extend([load(16 + 8 * call.argument + low), unless(call.value as u32, 1)]);
        program.push(end(libc::SECCOMP_RET_ERRNO | errno as u32));
    }
    program.push(end(libc::SECCOMP_RET_ALLOW));
    let length = program.len() as u16;
    let filter = libc::sock_fprog { len: length, filter: program.as_mut_ptr() };
    let mode = c_ulong::from(libc::SECCOMP_MODE_FILTER);
    // SAFETY: `filter` and the program it points to live during the call, which copies them.
    let set = unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const filter) };
    assert_eq!(set, 0, "{}", io::Error::last_os_error());
}

impl Call {
    /// The errno that it fails with now, all other arguments being 0.
    pub(crate) fn fails(self) -> Option<c_int> {
        let argument = |place| if place == self.argument { c_long::from(self.value) } else { 0 };
        let [a, b, c, d, e] = [0, 1, 2, 3, 4].map(argument);
        // SAFETY: every pointer among the arguments is null.
        let made = unsafe { libc::syscall(self.number, a, b, c, d, e) };
        (made < 0).then(|| io::Error::last_os_error().raw_os_error()).flatten()
    }
}
