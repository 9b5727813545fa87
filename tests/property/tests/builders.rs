//! Builders can say every config: one that is built from another's fields equals it.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use vsched::config::{
    Affinity, Config, Ejection, Outliers, Persistence, RealServer, SlowStart, SyncDaemon,
    Thresholds, Timeouts, VirtualService,
};
use vsched_property::cases;
use vsched_property::configs::configs;

fn server(from: RealServer) -> RealServer {
    let RealServer { address, forwarding, weight, thresholds, priority, user_data, name, .. } =
        from;
    let Thresholds { upper, lower, .. } = thresholds;
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

fn ejection(from: Ejection) -> Ejection {
    let built = Ejection::default()
        .with_failures(from.failures)
        .with_interval(from.interval)
        .with_base_time(from.base_time)
        .with_max_time(from.max_time)
        .with_max_share(from.max_share)
        .with_trials(from.trials);
    let Some(outliers) = from.outliers else { return built };
    built.with_outliers(
        Outliers::default()
            .with_method(outliers.method)
            .with_factor(outliers.factor)
            .with_least_outcomes(outliers.least_outcomes)
            .with_least_servers(outliers.least_servers),
    )
}

fn daemon(from: SyncDaemon) -> SyncDaemon {
    let mut built = SyncDaemon::new(from.role, from.interface).with_sync_id(from.sync_id);
    built = from.max_len.into_iter().fold(built, SyncDaemon::with_max_len);
    built = from.group.into_iter().fold(built, SyncDaemon::with_group);
    built = from.port.into_iter().fold(built, SyncDaemon::with_port);
    from.ttl.into_iter().fold(built, SyncDaemon::with_ttl)
}

fn timeouts(from: Timeouts) -> Timeouts {
    let mut built = from.tcp.into_iter().fold(Timeouts::default(), Timeouts::with_tcp);
    built = from.tcp_fin.into_iter().fold(built, Timeouts::with_tcp_fin);
    from.udp.into_iter().fold(built, Timeouts::with_udp)
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
        ..
    } = from;
    let mut service = VirtualService::new(key)
        .with_flags(flags)
        .with_mh_table_index(mh_table_index)
        .with_affinity(
            Affinity::default()
                .with_capacity(affinity.capacity)
                .with_expiration(affinity.expiration),
        )
        .with_sharing(sharing)
        .with_ties(ties)
        .with_panic_threshold(panic_threshold);
    service = match scheduler {
        Some(scheduler) => service.with_scheduler(scheduler),
        None => service.without_scheduler(),
    };
    if let Some(persistence) = persistence {
        let built = Persistence::new(persistence.timeout);
        service = service.with_persistence(match persistence.netmask {
            Some(netmask) => built.with_netmask(netmask),
            None => built,
        });
    }
    if let Some(engine) = persistence_engine {
        service = service.with_persistence_engine(engine);
    }
    if one_packet {
        service = service.with_one_packet();
    }
    if let Some(ejection) = ejection {
        service = service.with_ejection(self::ejection(ejection));
    }
    if let Some(slow_start) = slow_start {
        let SlowStart { duration, aggression, least, .. } = slow_start;
        let built = SlowStart::default().with_duration(duration).with_aggression(aggression);
        service = service.with_slow_start(built.with_least(least));
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
        let Config {
            kernel_rules,
            seed,
            expire_quiescent_template,
            timeouts,
            daemons,
            services,
            ..
        } = config.clone();
        let mut built = Config::new()
            .with_kernel_rules(kernel_rules)
            .with_seed(seed)
            .with_timeouts(self::timeouts(timeouts));
        if expire_quiescent_template {
            built = built.with_expire_quiescent_template();
        }
        built = daemons.into_iter().map(daemon).fold(built, Config::with_daemon);
        built = services.into_iter().map(service).fold(built, Config::with_service);
        prop_assert_eq!(built, config);
        Ok(())
    };
    let result = TestRunner::new(cases(2_000)).run(&configs(), check);
    assert!(result.is_ok(), "{}", result.unwrap_err());
}
