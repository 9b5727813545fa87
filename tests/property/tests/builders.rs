//! Builders can say every config. All fields are taken apart by name, so that none is forgotten.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use vsched::config::{Config, RealServer, Thresholds, VirtualService};
use vsched_property::cases;
use vsched_property::configs::configs;

fn server(from: RealServer) -> RealServer {
    let RealServer { address, forwarding, weight, thresholds, priority, user_data, name } = from;
    let Thresholds { upper, lower } = thresholds;
    let server = RealServer::new(address)
        .with_forwarding(forwarding)
        .with_weight(weight)
        .with_thresholds(upper, lower)
        .with_priority(priority)
        .with_user_data(user_data);
    match name {
        Some(name) => server.with_name(name),
        None => server,
    }
}

fn service(from: VirtualService) -> VirtualService {
    let VirtualService {
        key,
        scheduler,
        flags,
        mh_table_index,
        persistence,
        persistence_engine,
        one_packet,
        affinity,
        sharing,
        ties,
        ejection,
        slow_start,
        spill_over,
        panic_threshold,
        name,
        servers,
    } = from;
    let mut service = VirtualService::new(key)
        .with_flags(flags)
        .with_mh_table_index(mh_table_index)
        .with_affinity(affinity)
        .with_sharing(sharing)
        .with_ties(ties)
        .with_panic_threshold(panic_threshold);
    service = match scheduler {
        Some(scheduler) => service.with_scheduler(scheduler),
        None => service.without_scheduler(),
    };
    if let Some(persistence) = persistence {
        service = service.with_persistence(persistence);
    }
    if let Some(engine) = persistence_engine {
        service = service.with_persistence_engine(engine);
    }
    if one_packet {
        service = service.with_one_packet();
    }
    if let Some(ejection) = ejection {
        service = service.with_ejection(ejection);
    }
    if let Some(slow_start) = slow_start {
        service = service.with_slow_start(slow_start);
    }
    if let Some(percent) = spill_over {
        service = service.with_spill_over(percent);
    }
    if let Some(name) = name {
        service = service.with_name(name);
    }
    servers.into_iter().map(server).fold(service, VirtualService::with_server)
}

#[test]
fn what_is_built_is_the_config() {
    let check = |config: Config| {
        let Config { kernel_rules, seed, expire_quiescent_template, timeouts, daemons, services } =
            config.clone();
        let mut built = Config::default()
            .with_kernel_rules(kernel_rules)
            .with_seed(seed)
            .with_timeouts(timeouts);
        if expire_quiescent_template {
            built = built.with_expire_quiescent_template();
        }
        built = daemons.into_iter().fold(built, Config::with_daemon);
        built = services.into_iter().map(service).fold(built, Config::with_service);
        prop_assert_eq!(built, config);
        Ok(())
    };
    let result = TestRunner::new(cases(2_000)).run(&configs(), check);
    assert!(result.is_ok(), "{}", result.unwrap_err());
}
