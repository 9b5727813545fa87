//! Every decision and every count of random scripts equals the twins'.

use std::sync::LazyLock;

use proptest::prelude::*;
use vsched::SchedulerKind;
use vsched::config::KernelRules;
use vsched_property::cases;
use vsched_property::script::{Script, Step, scripts};
use vsched_property::twins::{Twin, is_random};
use vsched_property::world::World;

/// The schedulers that pick at random.
static RANDOM: LazyLock<Vec<SchedulerKind>> =
    LazyLock::new(|| SchedulerKind::ALL.iter().copied().filter(|kind| is_random(*kind)).collect());

#[test]
fn every_scheduler_has_a_twin() {
    for kind in SchedulerKind::ALL {
        assert!(Twin::bind(*kind, &[]).is_some(), "{} has no twin: write one", kind.name());
    }
}

proptest! {
    #![proptest_config(cases(6000))]

    /// All schedulers mixed: edits lead from one to another.
    #[test]
    fn decisions_and_counts_are_the_twins(script in scripts(SchedulerKind::ALL, 120)) {
        World::run(&script).end();
    }

    /// Equal seeds and equal histories give equal answers, also where chance decides.
    #[test]
    fn equal_seeds_repeat(script in scripts(&RANDOM, 60)) {
        prop_assert_eq!(World::run(&script).answers, World::run(&script).answers);
    }
}

/// Those with a memory, and those of chance, get scripts of their own.
mod by_scheduler {
    use super::*;

    proptest! {
        #![proptest_config(cases(6000))]

        #[test]
        fn rr(script in scripts(&[SchedulerKind::Rr], 120)) {
            World::run(&script);
        }

        #[test]
        fn random(script in scripts(&RANDOM, 120)) {
            World::run(&script);
        }

        #[test]
        fn wrr(script in scripts(&[SchedulerKind::Wrr], 120)) {
            World::run(&script);
        }
    }
}

/// A service is deleted and another gets its slot; the old id is still asked. Found by
/// `decisions_and_counts_are_the_twins`.
#[test]
fn a_stale_service_refuses_on_nobodys_account() {
    let rr = Some(SchedulerKind::Rr);
    World::run(&Script {
        generation: KernelRules::B,
        seed: 0,
        palette: 0,
        persistent: None,
        steps: vec![
            Step::AddService(0, rr),
            Step::DeleteService(0),
            Step::AddService(1, rr),
            Step::PickStale(0),
        ],
    });
}
