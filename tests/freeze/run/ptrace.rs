//! The few ptrace(2) requests that this test needs.

#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::ptr::null_mut;

use libc::{c_int, c_void, pid_t};

/// A stopped thread of a traced child.
#[derive(Clone, Copy)]
pub(crate) struct Thread(pid_t);

/// Why it is stopped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// One of its own breakpoints, with the word given there.
    Breakpoint(u64),
    /// One instruction is done.
    Step,
    /// It has ended.
    Gone,
}

/// Waits for a traced thread of this child to stop or end; an error if the child is gone.
pub(crate) fn wait_any(child: u32) -> Result<(Thread, Event), String> {
    loop {
        let (thread, status) = wait(-1)?;
        if libc::WIFSTOPPED(status) {
            if let Some(event) = thread.event(status)? {
                return Ok((thread, event));
            }
        } else if thread.0 as u32 == child {
            return Err(ending(status));
        }
    }
}

fn ending(status: c_int) -> String {
    if libc::WIFSIGNALED(status) {
        format!("was ended by signal {}", libc::WTERMSIG(status))
    } else {
        format!("ended with status {}; it has said why", libc::WEXITSTATUS(status))
    }
}

fn wait(whom: pid_t) -> Result<(Thread, c_int), String> {
    let mut status = 0;
    // SAFETY: `status` is an int to write to.
    let found = unsafe { libc::waitpid(whom, &mut status, libc::__WALL) };
    if found < 0 {
        return Err(format!("cannot be waited for: {}", io::Error::last_os_error()));
    }
    Ok((Thread(found), status))
}

impl Thread {
    /// One instruction.
    pub(crate) fn step(&self) -> Result<Event, String> {
        self.request(libc::PTRACE_SINGLESTEP, 0, null_mut());
        let (_, status) = wait(self.0)?;
        if !libc::WIFSTOPPED(status) {
            return Ok(Event::Gone);
        }
        Ok(self.event(status)?.unwrap_or(Event::Step))
    }

    /// Runs to the next breakpoint.
    pub(crate) fn go_on(&self) {
        self.request(libc::PTRACE_CONT, 0, null_mut());
    }

    /// What the thread finds in `rax` after its breakpoint.
    pub(crate) fn answer(&self, word: u64) {
        let mut registers = self.registers();
        registers.rax = word;
        self.request(libc::PTRACE_SETREGS, 0, (&raw mut registers).cast());
    }

    /// Where it is.
    pub(crate) fn place(&self) -> u64 {
        self.registers().rip
    }

    fn registers(&self) -> libc::user_regs_struct {
        let mut registers = MaybeUninit::<libc::user_regs_struct>::zeroed();
        self.request(libc::PTRACE_GETREGS, 0, registers.as_mut_ptr().cast());
        // SAFETY: plain numbers, all zero or as the kernel wrote them.
        unsafe { registers.assume_init() }
    }

    /// `None`: a signal from elsewhere, passed on.
    fn event(&self, status: c_int) -> Result<Option<Event>, String> {
        let signal = libc::WSTOPSIG(status);
        if signal != libc::SIGTRAP {
            self.request(libc::PTRACE_CONT, signal, null_mut());
            return Ok(None);
        }
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        self.request(libc::PTRACE_GETSIGINFO, 0, info.as_mut_ptr().cast());
        // SAFETY: plain numbers, all zero or as the kernel wrote them.
        let code = unsafe { info.assume_init() }.si_code;
        let stepped = code == libc::TRAP_TRACE;
        Ok(Some(if stepped { Event::Step } else { Event::Breakpoint(self.registers().rdi) }))
    }

    fn request(&self, request: u32, data: c_int, to: *mut c_void) {
        let data = if to.is_null() { data as usize as *mut c_void } else { to };
        // SAFETY: each caller's `to` has room for what the kernel reads or writes in its request.
        let done = unsafe { libc::ptrace(request, self.0, null_mut::<c_void>(), data) };
        // A thread that was killed meanwhile is told by the next wait.
        let gone = io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH);
        assert!(done != -1 || gone, "ptrace {request}: {}", io::Error::last_os_error());
    }
}
