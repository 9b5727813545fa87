//! The C ABI (feature `capi`): thin and mechanical, one C function per call of the public API.
//!
//! The comments here are the manual: `make header` prints them into `include/vsched.h`, sorted into
//! groups. A file whose `//!` comment begins with a heading begins a group. The header keeps
//! the order of declarations.
//!
//! Conventions:
//! - Every body runs inside [`guard`].
//! - A pointer that must not be NULL is an `Option` of a reference.
//! - An output that is written on success only is a `MaybeUninit`.
//! - A choice is a number or a name that the function checks. Rust enums do not appear: another
//!   number written by C would be undefined behavior.

#![allow(unsafe_code, non_camel_case_types)]
#![allow(unreachable_pub, reason = "the header's generator looks for `pub`")]
#![warn(missing_docs)]
#![allow(clippy::missing_safety_doc, reason = "the header's rules are the safety section")]

mod block;
mod config;
mod config_edit;
mod connection;
mod data;
mod describe;
mod director;
mod director_edit;
mod explain;
mod listing;
mod lookup;
mod metrics;
mod names;
mod outcome;
mod pick;
mod policy;
mod read_out;
mod removed;
mod repair;
mod requirements;
mod server_state;
mod service;
mod sized;
mod sockaddr;
mod states;
mod status;
mod structs;
mod text;
mod version;
mod worker;

use std::panic::{AssertUnwindSafe, catch_unwind};

use parking_lot::Mutex;

use crate::ffi::status::{VSCHED_E_PANIC, VSCHED_OK, vsched_status};

/// Runs the body of a function. A panic, which is a bug in this library, becomes a status.
#[inline]
fn guard(body: impl FnOnce() -> Result<(), vsched_status>) -> vsched_status {
    guard_hot(|| body().err().unwrap_or(VSCHED_OK))
}

/// Runs a body that returns a status itself: six instructions fewer.
#[inline(always)]
fn guard_hot(body: impl FnOnce() -> vsched_status) -> vsched_status {
    let run = || {
        #[cfg(vsched_force_panic)]
        forced::due();
        body()
    };
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(status) => status,
        Err(payload) => {
            // Dropping the payload may panic again.
            std::mem::forget(payload);
            VSCHED_E_PANIC
        }
    }
}

/// The error text of a handle: that of its latest failure.
#[derive(Default)]
struct LastError(Mutex<String>);

/// A failure: the status to return and the text to keep.
struct Fault {
    status: vsched_status,
    text: String,
}

impl From<vsched_status> for Fault {
    fn from(status: vsched_status) -> Self {
        Fault { status, text: status::text(status).to_string_lossy().into_owned() }
    }
}

impl Fault {
    fn new(status: vsched_status, text: impl ToString) -> Self {
        Fault { status, text: text.to_string() }
    }
}

impl LastError {
    /// Keeps the text of a failure.
    fn keep<T>(&self, result: Result<T, Fault>) -> Result<T, vsched_status> {
        result.map_err(|Fault { status, text }| {
            *self.0.lock() = text;
            status
        })
    }

    fn text(&self) -> String {
        self.0.lock().clone()
    }
}

/// Panics on demand, for the tests of [`guard`]; only they build it.
#[cfg(vsched_force_panic)]
mod forced {
    use std::sync::atomic::{AtomicU32, Ordering};

    static CALLS: AtomicU32 = AtomicU32::new(0);

    pub(super) fn due() {
        // Relaxed: one test, one thread.
        if CALLS.load(Ordering::Relaxed) != 0 && CALLS.fetch_sub(1, Ordering::Relaxed) == 1 {
            panic!("forced by a test");
        }
    }

    /// The `calls`-th guarded call from now on panics.
    #[unsafe(no_mangle)]
    extern "C" fn vsched_force_panic(calls: u32) {
        CALLS.store(calls, Ordering::Relaxed);
    }
}
