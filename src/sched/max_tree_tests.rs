use super::MaxTree;

#[test]
fn maxima_find_what_a_walk_finds() {
    for length in [0u32, 1, 15, 16, 17, 255, 256, 257, 4097] {
        let weights: Vec<u32> =
            (0..length).map(|at| at.wrapping_mul(2_654_435_761) >> 22).collect();
        let max_tree = MaxTree::of(weights.clone().into());
        for level in [1, 5, 500, 1000, 1023, 1024] {
            for start in (0..length + 2).step_by(1 + length as usize / 64) {
                let walked = (start..length).find(|at| weights[*at as usize] >= level);
                assert_eq!(max_tree.next(start, level), walked, "{length} {start}");
            }
        }
    }
}
