use super::{AtomicU32, AtomicU64, OutOfMemory, zeroed};
use std::hint::black_box;
use std::sync::atomic::Ordering;

zeroed_struct! {
    /// Contains both integers, with padding at the end.
    struct Sample<P> {
        word: AtomicU64,
        many: [AtomicU32; 3],
        inner: P,
    }
}

#[test]
fn every_element_is_the_default() {
    let samples = zeroed::<Sample<AtomicU32>>(1000).expect("memory");
    assert_eq!(samples.len(), 1000);
    for sample in &samples {
        assert_eq!(sample.word.load(Ordering::Relaxed), 0);
        assert!(sample.many.iter().all(|word| word.load(Ordering::Relaxed) == 0));
        sample.inner.store(7, Ordering::Relaxed);
    }
    assert!(samples.iter().all(|sample| sample.inner.load(Ordering::Relaxed) == 7));
    assert!(zeroed::<AtomicU32>(0).expect("nothing").is_empty());
}

#[test]
fn what_no_machine_has_is_an_error() {
    for length in [usize::MAX / 16, usize::MAX] {
        let bytes = (length as u64).saturating_mul(8);
        // `black_box`, or the compiler removes the allocation.
        let words = black_box(zeroed::<AtomicU64>(black_box(length)));
        assert_eq!(words.err(), Some(OutOfMemory { bytes }));
    }
}
