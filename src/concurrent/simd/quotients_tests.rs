use super::{Dividend, LANES, Word};
use crate::concurrent::simd::Simd;
use crate::concurrent::test_random::Random;

const WORD: Word = Word { at: [4, 29], bits: 25, excluded: 0b1101 };

/// The least quotient in whole numbers: the first word that none is below.
fn first_least(
    words: &[(u64, u32)],
    [of_first, of_second]: [u32; 2],
    plus: u32,
    zero_if_first_is: bool,
    start: usize,
) -> Option<usize> {
    let dividend = |word: u64| {
        let [first, second] = WORD.at.map(|at| word >> at & ((1 << WORD.bits) - 1));
        let all = first * u64::from(of_first) + second * u64::from(of_second) + u64::from(plus);
        u128::from(if zero_if_first_is && first == 0 { 0 } else { all })
    };
    let candidates = words.iter().enumerate();
    let candidates = candidates.clone().skip(start).chain(candidates.take(start));
    let candidates =
        candidates.filter(|(_, (word, divisor))| *divisor > 0 && word & WORD.excluded == 0);
    let least = candidates.min_by(|(_, (a, v)), (_, (b, w))| {
        (dividend(*a) * u128::from(*w)).cmp(&(dividend(*b) * u128::from(*v)))
    });
    least.map(|(at, _)| at)
}

#[test]
fn vectors_find_what_whole_numbers_do() {
    let mut random = Random(11);
    let (mut none, mut ties) = (0, 0);
    for round in 0..60_000 {
        let length = LANES * random.below(9) as usize;
        let (high, heavy) = ([2, 30, 1 << 25][round % 3], [1, 3, 1 << 16][round / 3 % 3]);
        let words: Vec<(u64, u32)> = (0..length)
            .map(|_| {
                let (first, second) = (random.below(high), random.below(high));
                // Any version and the vacant bit; and often a reason to be excluded.
                let rest = random.below(1 << 10) << 54 | random.below(2) << 1;
                let excluded = if random.below(3) == 0 { random.below(16) & 0b1101 } else { 0 };
                (first << 4 | second << 29 | rest | excluded, random.below(heavy + 1) as u32)
            })
            .collect();
        let (factors, plus) = [([256, 1], 0), ([255, 1], 0), ([1, 0], 1)][round % 3];
        let zero_if_first_is = round % 2 == 0;
        let start = random.below(length as u64 + 1) as usize;
        let expected = first_least(&words, factors, plus, zero_if_first_is, start);
        none += usize::from(expected.is_none());
        let same = |(a, v): &(u64, u32), (b, w): &(u64, u32)| {
            let counts = |word| word & !(u64::MAX << 54) & !0b1111;
            v == w && counts(*a) == counts(*b) && b & WORD.excluded == 0
        };
        ties += usize::from(
            expected.is_some_and(|at| words[at + 1..].iter().any(|other| same(&words[at], other))),
        );
        let dividend = Dividend::new(WORD, factors[0], factors[1] == 1, plus, zero_if_first_is);
        let divisor = |(_, divisor): &(u64, u32)| match divisor {
            0 => f64::NAN,
            divisor => f64::from(*divisor),
        };
        let divisors: Vec<[f64; LANES]> = words
            .chunks_exact(LANES)
            .map(|chunk| std::array::from_fn(|lane| divisor(&chunk[lane])))
            .collect();
        for simd in [Simd::Scalar, Simd::detect()] {
            let chunks = words.chunks_exact(LANES);
            let chunks = chunks.map(|chunk| std::array::from_fn(|lane| chunk[lane].0));
            let chunks = chunks.zip(&divisors);
            let from = Some((start as u32, length as u32)).filter(|_| start > 0);
            let found = simd.run(|simd| simd.first_least_quotient(&dividend, chunks, from));
            assert_eq!(
                found, expected,
                "{simd:?} {words:?} {start} {factors:?} {zero_if_first_is}"
            );
        }
    }
    assert!(none > 5_000 && ties > 1_000, "{none} {ties}");
}
