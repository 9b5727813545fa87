use super::{CAPACITY, Lender, Segment, Segments};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

#[test]
fn every_index_has_its_own_element() {
    let segments = Segments::<AtomicU32>::new();
    assert!(segments.get(0).is_none());
    assert_eq!(segments.missing(65), 64 + 128);
    assert!(segments.grow_to(1000));
    assert_eq!((segments.missing(1000), segments.missing(1985)), (0, 2048));
    for index in 0..1000 {
        segments.get(index).unwrap().store(index + 1, Ordering::Relaxed);
    }
    for index in 0..1000 {
        assert_eq!(segments.get(index).unwrap().load(Ordering::Relaxed), index + 1);
    }
    assert!(segments.get(960 + 1023).is_none() || segments.get(2000).is_none());
    assert!(segments.get(u32::MAX).is_none());
    assert!(!segments.grow_to(CAPACITY + 1));
}

#[test]
fn the_capacity_is_what_all_segments_hold() {
    assert_eq!(Segments::<u8>::new().missing(CAPACITY), CAPACITY as usize);
}

/// Counts the elements that are gone.
struct Element(Arc<AtomicU32>);

impl Drop for Element {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// `ArcRef` and `SlotRefs` read elements by pointers: nothing but these keep them.
#[test]
fn elements_live_as_long_as_their_places_and_seats() {
    let gone = Arc::new(AtomicU32::new(0));
    let count = || gone.load(Ordering::Relaxed);
    let segments = Segments::new();
    // Of 64, 128 and 256 elements.
    assert!(segments.grow_to_with(300, || Element(Arc::clone(&gone))));
    let place = segments.arc_ref(70).expect("an element");
    let list = [3, 70, 5, 71, 100].map(|index| (index, index));
    let slot_refs = segments.slot_refs(list.into_iter()).expect("elements");
    assert!(segments.slot_refs([(3, ()), (1000, ())].into_iter()).is_none());
    drop(segments);
    assert_eq!(count(), 256, "the third segment");
    assert_eq!((slot_refs.len(), slot_refs._segments.len()), (5, 2), "one of each segment");
    assert!(slot_refs.iter().map(|(_, index)| *index).eq(list.map(|(index, _)| index)));
    drop(slot_refs);
    assert_eq!(count(), 256 + 64);
    drop(place);
    assert_eq!(count(), 256 + 64 + 128);
}

/// Lent memory is indexed like other memory, and ends.
#[test]
fn lent_memory_has_a_fixed_length() {
    assert_eq!(
        [0, 1, 64, 65, 960, 961].map(Segments::<u8>::lent_length),
        [64, 64, 64, 192, 960, 1984].map(Some)
    );
    assert_eq!(Segments::<u8>::lent_length(CAPACITY), Some(CAPACITY));
    assert_eq!(Segments::<u8>::lent_length(CAPACITY + 1), None);
    for length in [64, 192, 200, 960] {
        let memory: Arc<[AtomicU32]> = (0..length).map(AtomicU32::new).collect();
        let lender: Lender = Arc::new(Arc::clone(&memory));
        // SAFETY: the lender holds the memory, and there is no mutable reference to it.
        let lent = unsafe { Segment::lent(NonNull::from(&memory[..]), &lender) };
        let segments = Segments::of_lent(&lent);
        // Whole levels only.
        let whole = if length == 200 { 192 } else { length };
        for index in 0..2 * length {
            let found = segments.get(index).map(|element| element.load(Ordering::Relaxed));
            assert_eq!(found, (index < whole).then_some(index));
        }
        assert!(segments.grow_to(whole) && !segments.grow_to(whole + 1));
        let place = segments.arc_ref(whole - 1).expect("an element");
        drop((segments, lent, lender, memory));
        assert_eq!(place.get().load(Ordering::Relaxed), whole - 1, "it keeps the lender");
    }
}
