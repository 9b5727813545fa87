//! The changes from one config to another are complete, ordered, and never leave a service without
//! a server.

use proptest::prelude::*;
use vsched::config::diff::{Change, ChangePhase, diff, edit_phase};
use vsched::config::{Config, RealServer, ServiceKey, VirtualService};
use vsched_property::cases;
use vsched_property::script::{ServiceSpec, address, key, services};

fn config((palette, specs): (usize, Vec<ServiceSpec>)) -> Config {
    let services = specs.iter().map(|spec| spec.service(palette)).collect();
    Config::new().with_services(services)
}

/// Carries out one change, literally.
fn carry_out(config: &mut Config, change: &Change) {
    let service = change.service();
    let known = config.services.iter().position(|known| known.key == service);
    if let Change::AddService(service) = change {
        assert_eq!(known, None, "added twice");
        config.services.push(service.clone().with_servers(Vec::new()));
        return;
    }
    let known = known.expect("a change of a service that exists");
    let servers = &mut config.services[known].servers;
    let place = |address| servers.iter().position(|server: &RealServer| server.address == address);
    match change {
        Change::AddService(_) => unreachable!("done above"),
        Change::EditService(settings) => {
            let servers = std::mem::take(servers);
            config.services[known] = settings.clone().with_servers(servers);
        }
        Change::DeleteService(_) => {
            config.services.remove(known);
        }
        Change::AddServer { server, .. } => {
            assert_eq!(place(server.address), None, "added twice");
            servers.push(server.clone());
        }
        Change::EditServer { before, server, .. } => {
            let place = place(server.address).expect("an edit of a server that exists");
            assert_eq!(servers[place], *before);
            assert_ne!(before, server, "an edit that changes nothing");
            servers[place] = server.clone();
        }
        Change::DeleteServer { server, .. } => {
            let place = place(*server).expect("a server that exists is deleted");
            servers.remove(place);
        }
        other => panic!("unknown: {other:?}"),
    }
}

/// The same, whatever the order of services and servers.
fn sorted(config: &Config) -> Config {
    let mut config = config.clone();
    config.services.sort_by_key(|service| service.key);
    for service in &mut config.services {
        service.servers.sort_by_key(|server| server.address);
    }
    config
}

fn phase(change: &Change, old: &Config) -> ChangePhase {
    if old.service_by_key(&change.service()).is_none() {
        return ChangePhase::NewServices;
    }
    match change {
        Change::AddService(_) => ChangePhase::NewServices,
        Change::EditService(_) => ChangePhase::EditServices,
        Change::DeleteService(_) => ChangePhase::DeleteServices,
        Change::AddServer { .. } => ChangePhase::Grow,
        Change::EditServer { before, server, .. } => edit_phase(before, server),
        Change::DeleteServer { .. } => ChangePhase::DeleteServers,
        other => panic!("unknown: {other:?}"),
    }
}

fn eligible(service: &VirtualService) -> bool {
    service.servers.iter().any(|server| server.weight > 0)
}

/// Services that can answer in both configs.
fn answering(old: &Config, new: &Config) -> Vec<ServiceKey> {
    let both = old.services.iter().filter(|before| {
        let after = new.service_by_key(&before.key);
        eligible(before) && after.is_some_and(eligible)
    });
    both.map(|service| service.key).collect()
}

proptest! {
    #![proptest_config(cases(20_000))]

    #[test]
    fn changes_lead_from_old_to_new(old in services(), new in services()) {
        let (old, new) = (config(old), config(new));
        let changes = diff(&old, &new);
        let mut now = old.clone();
        changes.iter().for_each(|change| carry_out(&mut now, change));
        prop_assert_eq!(sorted(&now), sorted(&new));
        prop_assert!(diff(&now, &new).is_empty());
    }

    #[test]
    fn equal_configs_need_no_change(old in services()) {
        let old = config(old);
        prop_assert!(diff(&old, &old).is_empty());
        prop_assert!(diff(&old, &sorted(&old)).is_empty());
        prop_assert!(diff(&sorted(&old), &old).is_empty());
    }

    #[test]
    fn phases_come_in_order(old in services(), new in services()) {
        let (old, new) = (config(old), config(new));
        let phases: Vec<ChangePhase> = diff(&old, &new).iter().map(|change| phase(change, &old)).collect();
        prop_assert!(phases.is_sorted(), "{:?}", phases);
    }

    /// A service that has a server with weight before and after has one all the time.
    #[test]
    fn never_without_a_server(old in services(), new in services()) {
        let (old, new) = (config(old), config(new));
        let mut now = old.clone();
        for change in diff(&old, &new) {
            carry_out(&mut now, &change);
            for key in answering(&old, &new) {
                let service = now.service_by_key(&key);
                prop_assert!(service.is_some_and(eligible), "{key} after {change:?}");
            }
        }
    }

    /// A new service gets its servers before its scheduler, so it never refuses for lack of servers.
    #[test]
    fn new_services_are_bound_last(old in services(), new in services()) {
        let (old, new) = (config(old), config(new));
        let mut now = old.clone();
        for change in diff(&old, &new) {
            carry_out(&mut now, &change);
            for service in &now.services {
                if old.service_by_key(&service.key).is_none() && service.scheduler.is_some() {
                    prop_assert_eq!(Some(service), new.service_by_key(&service.key));
                }
            }
        }
    }
}

/// One server leaves drain with a threshold that it did not have, the other is drained. Found by
/// `never_without_a_server`.
#[test]
fn a_new_threshold_does_not_delay_the_only_server() {
    let [first, second] = [0, 1].map(|at| RealServer::new(address(at)));
    let with =
        |servers| Config::new().with_service(VirtualService::new(key(0)).with_servers(servers));
    let old = with(vec![first.clone(), second.clone().with_weight(0)]);
    let new = with(vec![first.with_weight(0), second.with_thresholds(5, 0)]);
    let first_change = diff(&old, &new).into_iter().next();
    assert!(matches!(first_change, Some(Change::EditServer { server, .. }) if server.weight == 1));
}
