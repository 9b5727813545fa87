//! After a failed attempt, a retry goes to another available server.

use proptest::prelude::*;
use vsched::SchedulerKind;
use vsched_property::cases;
use vsched_property::script::{Step, key, scripts};
use vsched_property::world::World;

proptest! {
    #![proptest_config(cases(6000))]

    /// Excluding each answer in turn visits every available server exactly once, then nobody;
    /// whatever a script has made of the service. The picks after it are what they would have been.
    #[test]
    fn retries_visit_everybody_once(
        script in scripts(SchedulerKind::ALL, 60),
        first in 0usize..8,
        after in 1usize..8,
    ) {
        let mut world = World::run(&script);
        let key = key(0);
        let available = world.available(&key);
        let kind = world.scheduler(&key);
        // ovf leaves out those that are full in its own sense.
        let everybody = kind.is_some() && kind != Some(SchedulerKind::Ovf);
        let mut left = available.clone();
        let mut tried = Vec::new();
        if let Some(server) = left.get(first).copied() {
            left.remove(first);
            tried.push(server);
            loop {
                let Ok(answer) = world.retry(key, &tried) else {
                    return Ok(());
                };
                let Some(server) = answer else {
                    break;
                };
                let place = left.iter().position(|known| *known == server);
                prop_assert!(place.is_some(), "tried {tried:?}, again {server}");
                left.remove(place.unwrap_or_default());
                tried.push(server);
            }
            if everybody {
                prop_assert!(left.is_empty(), "{kind:?} never tries {left:?}");
            }
        }
        // The model's rotation did not move; the crate's would show it here.
        for _ in 0..after {
            if world.step(&Step::Pick(0)).is_err() {
                break;
            }
        }
    }
}
