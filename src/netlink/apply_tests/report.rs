//! What a report counts and prints.

use super::{Action, Fault, Report, Simulated, carry_out, side};
use crate::config::Observed;
use crate::netlink::Error;
use crate::netlink::plan::{Plan, Policy, Removal};

/// From two servers to two others, at once.
fn plan() -> (crate::config::Config, Plan) {
    let (before, after) = (side(2 + 4 * 2), side(3 + 16 * 2));
    let policy = Policy { removal: Removal::Immediate, ..Policy::default() };
    let plan = Plan::new(after.clone(), &Observed::from(&before), &policy).expect("a plan");
    assert_eq!(plan.steps().len(), 3, "{plan}");
    (before, plan)
}

fn lines(report: &Report) -> Vec<String> {
    report.to_string().lines().map(str::to_owned).collect()
}

#[test]
fn every_step_is_counted_and_printed() {
    let (before, plan) = plan();
    let report = carry_out(&plan, &mut Simulated::new(&before, Fault::None));
    let expected: Vec<String> = plan.steps().iter().map(|step| format!("{step}: done")).collect();
    assert_eq!(lines(&report), expected);
    assert_eq!((report.outcomes().len(), report.outcomes().is_empty()), (3, false));
    assert_eq!((report.rollback().len(), report.rollback().is_empty()), (0, true));
    assert_eq!(report.requests(), 3);
    assert!(report.is_complete());
}

#[test]
fn what_was_taken_back_is_printed_after_it() {
    let (before, plan) = plan();
    let last = plan.steps().get(2).expect("a step").into_owned().action;
    assert!(matches!(last, Action::DeleteServer { .. }), "{last:?}");
    let refused = [plan.steps().get(1).expect("a step").into_owned().action];
    let report = carry_out(&plan, &mut Simulated::new(&before, Fault::Refuses(&refused)));
    assert!(report.is_rolled_back() && !report.is_complete(), "{report}");
    let back = report.rollback().len();
    assert!(back > 0 && !report.rollback().is_empty(), "{report}");
    let lines = lines(&report);
    assert_eq!(lines.len(), 3 + back, "{report}");
    assert!(lines.iter().skip(3).all(|line| line.starts_with("rollback: ")), "{report}");
    assert!(lines[1].contains("REFUSED: "), "{report}");
}

#[test]
fn reports_of_several_plans_are_one() {
    let (before, plan) = plan();
    let done = || carry_out(&plan, &mut Simulated::new(&before, Fault::None));
    let first = Report::default().then(done());
    assert_eq!((first.outcomes().len(), first.requests()), (3, 3));
    let refused = [plan.steps().get(1).expect("a step").into_owned().action];
    let second = carry_out(&plan, &mut Simulated::new(&before, Fault::Refuses(&refused)));
    let (requests, back) = (second.requests(), second.rollback().len());
    let text = format!(
        "{}{}",
        first
            .outcomes()
            .iter()
            .fold(String::new(), |text, outcome| { text + &outcome.to_string() + "\n" }),
        second
    );
    let both = first.then(second);
    assert_eq!((both.outcomes().len(), both.rollback().len()), (6, back));
    assert_eq!(both.requests(), 3 + requests);
    let broken = Report { error: Some(Error::Lost), ..done() };
    let rolled_back = Report { rolled_back: true, ..done() };
    assert!(done().is_complete() && !broken.is_complete() && !rolled_back.is_complete());
    assert!(both.is_rolled_back() && !both.is_complete());
    assert_eq!(both.to_string(), text);
    assert!(Report::default().outcomes().is_empty());
}
