//! A map of a block in memory of the model's.

#[path = "../../../../src/arena/block/open_counts.rs"]
pub(crate) mod open_counts;

pub(crate) mod maps {
    use std::any::Any;
    use std::sync::Arc;

    use crate::arena::block::open_counts::OpenCounts;
    use crate::concurrent::segments::{ArcRef, Segment};
    use crate::sync::{AtomicU32, AtomicU64};

    #[derive(Default)]
    pub(crate) struct MapSlot {
        pub(crate) count: AtomicU32,
    }

    /// Entries of some type, which is known where they are used.
    #[derive(Clone)]
    pub(crate) struct Entries(Arc<dyn Any + Send + Sync>);

    impl Entries {
        pub(crate) fn cast<U: 'static>(&self) -> Option<Segment<U>> {
            self.0.downcast_ref::<Segment<U>>().cloned()
        }
    }

    pub(crate) struct SharedMap {
        pub(crate) slot: ArcRef<MapSlot>,
        pub(crate) entries: Entries,
        pub(crate) marks: Segment<AtomicU64>,
        pub(crate) capacity: u32,
        pub(crate) open: OpenCounts,
        owner: u32,
    }

    impl SharedMap {
        /// The maps of two owners, which are one.
        pub(crate) fn pair<T: Default + Send + Sync + 'static>(length: usize) -> [Self; 2] {
            let slot = ArcRef::standalone(MapSlot::default());
            let entries = Entries(Arc::new(Segment::<T>::of(length)));
            let marks = Segment::of(1);
            [0, 1].map(|owner| SharedMap {
                slot: slot.clone(),
                entries: entries.clone(),
                marks: marks.clone(),
                capacity: length as u32 / 2,
                open: OpenCounts::new(length).expect("memory"),
                owner,
            })
        }

        pub(crate) fn seed(&self) -> u64 {
            0
        }

        pub(crate) fn bit(&self) -> u64 {
            1 << self.owner
        }
    }
}
