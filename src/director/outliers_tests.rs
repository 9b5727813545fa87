use super::{below, threshold};
use crate::config::{OutlierMethod, Outliers};

const MEAN: Outliers =
    Outliers { method: OutlierMethod::Mean, factor: 1900, least_outcomes: 100, least_servers: 5 };
const MEDIAN: Outliers = Outliers { method: OutlierMethod::Median, ..MEAN };

fn known(shares: &[f64]) -> Vec<Option<f64>> {
    shares.iter().copied().map(Some).collect()
}

/// The example of Envoy's documentation: the mean is 90, the deviation 20.
#[test]
fn envoys_example_has_threshold_52() {
    let shares = vec![100.0, 100.0, 100.0, 100.0, 50.0];
    assert_eq!(threshold(shares.clone(), &MEAN), 52.0);
    assert_eq!(below(&known(&shares), &MEAN), [4]);
}

#[test]
fn a_second_bad_server_hides_both_from_the_mean_and_not_from_the_median() {
    let shares = known(&[100.0, 100.0, 50.0, 100.0, 50.0]);
    assert_eq!(below(&shares, &MEAN), [0; 0]);
    assert_eq!(below(&shares, &MEDIAN), [2, 4]);
}

#[test]
fn who_stands_out() {
    let cases: [(&str, &[f64], Outliers, &[usize]); 8] = [
        ("equal ones do not", &[99.0; 6], MEAN, &[]),
        ("nor almost equal ones", &[99.0, 99.5, 99.0, 98.0, 99.0], MEDIAN, &[]),
        ("a share at the threshold does not", &[100.0, 100.0, 100.0, 100.0, 90.5], MEDIAN, &[]),
        ("one below does", &[100.0, 100.0, 100.0, 100.0, 90.4], MEDIAN, &[4]),
        ("too few servers", &[100.0, 100.0, 100.0, 0.0], MEAN, &[]),
        ("an even number", &[100.0, 100.0, 100.0, 100.0, 100.0, 20.0], MEDIAN, &[5]),
        ("all bad alike", &[0.0; 5], MEDIAN, &[]),
        (
            "a larger factor",
            &[100.0, 100.0, 100.0, 100.0, 50.0],
            Outliers { factor: 2100, ..MEAN },
            &[],
        ),
    ];
    for (what, shares, rule, expected) in cases {
        assert_eq!(below(&known(shares), &rule), expected, "{what}");
    }
    // Servers with too few outcomes are neither counted nor found.
    let mut few = known(&[100.0, 100.0, 100.0, 100.0, 50.0]);
    few.push(None);
    assert_eq!(below(&few, &MEAN), [4]);
    assert_eq!(below(&few[1..], &MEAN), [0; 0]);
}
