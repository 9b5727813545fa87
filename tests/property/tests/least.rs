//! The least-loaded schedulers pick correctly on lists long enough for their index: with one row of
//! nodes, two, three, and at the borders between.

use std::net::SocketAddr;

use proptest::prelude::*;
use vsched::SchedulerKind;
use vsched_property::cases;
use vsched_property::script::{Script, Step, key, large_scripts};
use vsched_property::world::World;

const KINDS: &[SchedulerKind] = &[
    SchedulerKind::Lc,
    SchedulerKind::Wlc,
    SchedulerKind::Sed,
    SchedulerKind::Nq,
    SchedulerKind::Lblc,
    SchedulerKind::Lblcr,
];

/// Runs a script, then tries one server after the other as a host does after failures.
fn run(script: &Script) -> Result<(), TestCaseError> {
    let mut world = World::run(script);
    let key = key(0);
    let mut tried: Vec<SocketAddr> = world.available(&key).into_iter().take(1).collect();
    while tried.len() < 8 && !tried.is_empty() {
        match world.retry(key, &tried) {
            Ok(Some(server)) => {
                prop_assert!(!tried.contains(&server));
                tried.push(server);
            }
            _ => break,
        }
    }
    // The picks after it are what they would have been.
    for _ in 0..3 {
        if world.step(&Step::Pick(0)).is_err() {
            break;
        }
    }
    world.end();
    Ok(())
}

proptest! {
    #![proptest_config(cases(6000))]

    #[test]
    fn a_row_of_nodes(script in large_scripts(KINDS, 15usize..70, 80)) {
        run(&script)?;
    }
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn two_rows_of_nodes(script in large_scripts(KINDS, 1022usize..1060, 60)) {
        run(&script)?;
    }
}
