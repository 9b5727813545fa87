//! vsched as called from C: loops in C (loop.c) through the shared library.

use std::sync::Arc;

use vsched::{Config, Flow};

use crate::case::Run;

#[repr(C)]
struct RawDirector([u8; 0]);
#[repr(C)]
struct RawBench([u8; 0]);

unsafe extern "C" {
    fn vsched_director_free(director: *mut RawDirector);
    fn bench_c_director(json: *const u8, length: usize, director: *mut *mut RawDirector) -> i32;
    // Flow is the C structure: the crate's own tests compare the two field by field.
    fn bench_c_new(director: *const RawDirector, flows: *const Flow, count: usize)
    -> *mut RawBench;
    fn bench_c_free(bench: *mut RawBench);
    fn bench_c_hold(bench: *mut RawBench, count: usize) -> usize;
    fn bench_c_picks(bench: *mut RawBench, count: u64) -> u64;
    fn bench_c_opens(bench: *mut RawBench, count: u64) -> u64;
    fn bench_c_connects(bench: *mut RawBench, count: u64) -> u64;
}

/// A director in the shared library.
pub struct Director(*mut RawDirector);

// SAFETY: the header promises that directors may be used from any thread.
unsafe impl Send for Director {}
// SAFETY: as above.
unsafe impl Sync for Director {}

impl Director {
    pub fn new(config: &Config) -> Arc<Director> {
        let json = serde_json::to_string(config).expect("a config is data");
        let mut director = std::ptr::null_mut();
        // SAFETY: the length is the text's; the out-pointer is ours.
        let failed = unsafe { bench_c_director(json.as_ptr(), json.len(), &mut director) };
        assert_eq!(failed, 0, "the C library refuses the config");
        Arc::new(Director(director))
    }
}

impl Drop for Director {
    fn drop(&mut self) {
        // SAFETY: made in `new`, freed once; workers may outlive it.
        unsafe { vsched_director_free(self.0) }
    }
}

/// A worker and what it needs in its loops.
struct Bench {
    raw: *mut RawBench,
    _flows: Arc<[Flow]>,
    _director: Arc<Director>,
}

// SAFETY: the header promises that a worker may move between threads; one at a time uses it.
unsafe impl Send for Bench {}

impl Bench {
    fn new(director: &Arc<Director>, flows: Arc<[Flow]>) -> Bench {
        // SAFETY: the director lives as long as the worker, and so do the flows: both are kept here.
        let raw = unsafe { bench_c_new(director.0, flows.as_ptr(), flows.len()) };
        assert!(!raw.is_null(), "the C library has no worker for us");
        Bench { raw, _flows: flows, _director: Arc::clone(director) }
    }

    fn hold(&mut self, count: usize) {
        // SAFETY: `raw` is ours until `drop`.
        let held = unsafe { bench_c_hold(self.raw, count) };
        assert_eq!(held, count, "the C library did not connect");
    }

    fn run(&mut self, what: unsafe extern "C" fn(*mut RawBench, u64) -> u64, count: u64) {
        // SAFETY: as in `hold`.
        let done = unsafe { what(self.raw, count) };
        assert_eq!(done, count, "a call of the C library failed");
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // SAFETY: made in `new`, freed once.
        unsafe { bench_c_free(self.raw) }
    }
}

pub fn pick(director: &Arc<Director>, flows: Arc<[Flow]>) -> Run {
    let mut bench = Bench::new(director, flows);
    Box::new(move |count| bench.run(bench_c_picks, count))
}

pub fn open_close(director: &Arc<Director>, flows: Arc<[Flow]>, held: usize) -> Run {
    let mut bench = Bench::new(director, flows);
    bench.hold(held);
    Box::new(move |count| bench.run(bench_c_opens, count))
}

pub fn connect_close(director: &Arc<Director>, flows: Arc<[Flow]>, held: usize) -> Run {
    let mut bench = Bench::new(director, flows);
    bench.hold(held);
    Box::new(move |count| bench.run(bench_c_connects, count))
}
