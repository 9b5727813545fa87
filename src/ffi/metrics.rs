//! # Metrics
//!
//! The running state as text for Prometheus and everything that reads its format. docs/operations.md
//! says what each number means.
//!
//! NULL: no pointer may be NULL, except `buffer` if `capacity` is 0, and `length`.

use std::mem::MaybeUninit;
use std::os::raw::c_char;

use crate::ffi::director::vsched_director;
use crate::ffi::status::{VSCHED_E_NULL, vsched_status};
use crate::ffi::structs::bad;
use crate::ffi::{Fault, guard, text};
use crate::metrics::{Format, Options};

/// Flag: metrics of each server, too.
pub const VSCHED_METRICS_SERVERS: u32 = 1;
/// Flag: OpenMetrics 1.0 instead of Prometheus' text format 0.0.4.
pub const VSCHED_METRICS_OPENMETRICS: u32 = 2;

/// Writes the running state as metrics: about 20 series per service, and with
/// VSCHED_METRICS_SERVERS about 20 per server. The content type for HTTP is "text/plain;
/// version=0.0.4; charset=utf-8", with VSCHED_METRICS_OPENMETRICS "application/openmetrics-text;
/// version=1.0.0; charset=utf-8". The text may be longer at the next call, as numbers grow: keep a
/// buffer with room to spare, and enlarge it if the status is VSCHED_E_BUFFER.
///
/// Threads: control. Cost: O(services + servers).
///
/// @param director The director.
/// @param flags 0, or VSCHED_METRICS_SERVERS and VSCHED_METRICS_OPENMETRICS or-ed together.
/// @param[out] buffer Receives the text and a NUL.
/// @param capacity Bytes of the buffer.
/// @param[out] length Length of the text in bytes.
/// @return VSCHED_OK; VSCHED_E_ARGUMENT: another flag; VSCHED_E_BUFFER.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_director_metrics(
    director: Option<&vsched_director>,
    flags: u32,
    buffer: *mut c_char,
    capacity: usize,
    length: Option<&mut MaybeUninit<usize>>,
) -> vsched_status {
    guard(|| {
        let director = director.ok_or(VSCHED_E_NULL)?;
        let options = director.error.keep(options_of(flags))?;
        let metrics = director.director.metrics(&options);
        // SAFETY: the caller promises `capacity` bytes at `buffer`.
        unsafe { text::write(&metrics, buffer, capacity, length) }
    })
}

fn options_of(flags: u32) -> Result<Options, Fault> {
    if flags & !(VSCHED_METRICS_SERVERS | VSCHED_METRICS_OPENMETRICS) != 0 {
        let known = "VSCHED_METRICS_SERVERS and VSCHED_METRICS_OPENMETRICS, or-ed";
        return Err(bad("flags", flags, known));
    }
    let mut options = Options::new();
    if flags & VSCHED_METRICS_SERVERS != 0 {
        options = options.with_servers();
    }
    if flags & VSCHED_METRICS_OPENMETRICS != 0 {
        options = options.with_format(Format::OpenMetrics);
    }
    Ok(options)
}
