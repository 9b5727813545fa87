use super::Positions;

#[test]
fn close_and_scattered_slots_are_found_and_no_others() {
    let lists: [(&[u32], bool); 8] = [
        (&[], true),
        (&[7], true),
        (&[8, 1], true),
        (&[9, 1], false),
        (&[12, 11, 10, 9, 3], true),
        (&[5, 1_000_000, 1 << 30, 6], false),
        (&[0, 64, 128, 192], false),
        (&[0, 64, 128, 192, 256], false),
    ];
    for (slots, close) in lists {
        let positions = Positions::of_slots(slots.iter().map(|slot| (*slot, Some(*slot + 1))));
        assert_eq!(positions.scattered.is_empty(), close, "{slots:?}");
        if !close {
            assert!(positions.close.is_empty(), "{slots:?}");
            assert!(positions.scattered.len() >= 2 * slots.len(), "at most half full: {slots:?}");
        }
        for slot in (0..300).chain([1_000_000, 1 << 30, u32::MAX - 1, u32::MAX]) {
            let place = slots.iter().position(|known| *known == slot);
            let place = place.map(|place| place as u32);
            assert_eq!(positions.get(slot), place, "{slots:?}");
            let found = place.map(|place| (place, slot.wrapping_add(1)));
            assert_eq!(positions.find(slot), found, "{slots:?}");
        }
    }
}
