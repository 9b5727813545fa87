//! Which requirements there are, by parts of a rule.

use vsched::Config;
use vsched::config::Forwarding;
use vsched::requirements::{Action, Role};

use super::host::Tree;
use super::{RIP4, VIP4, one, requirements, server, site};

#[test]
fn a_persistence_engine_is_a_module_if_it_can_be_one() {
    let names = ["sip", "my_engine2", "a2345678901234_", "", "a23456789012345_", "a-b", "a b", "é"];
    for (place, name) in names.into_iter().enumerate() {
        let mut config: Config = one(VIP4, RIP4, "-m").parse().expect("rules");
        config.services[0].persistence_engine = Some(name.to_owned());
        let all = config.requirements_at(&site()).of(Role::Director);
        let module = format!("modprobe ip_vs_pe_{name}");
        assert_eq!(all.commands().any(|command| command == module), place < 3, "{name}");
        assert_eq!(all.to_string().contains("ip_vs_pe_"), place < 3, "{name}");
    }
}

/// The ports of service and server, how packets are forwarded, the port where the program listens.
#[test]
fn a_server_listens_where_packets_arrive() {
    for (service, own, forwarding, expected) in [
        (80, 8080, Forwarding::Masq, Some(8080)),
        (80, 0, Forwarding::Masq, Some(80)),
        (80, 8080, Forwarding::Route, Some(80)),
        (0, 8080, Forwarding::Masq, None),
        (0, 0, Forwarding::Route, None),
    ] {
        let rules = format!("-A -t 192.0.2.1:{service} -p 60\n-a -t 192.0.2.1:{service} -r {RIP4}");
        let mut config: Config = rules.parse().expect("rules");
        config.services[0].servers[0].address.set_port(own);
        config.services[0].servers[0].forwarding = forwarding;
        let all = config.requirements_at(&site()).of(server("192.168.5.11"));
        let looks = all.iter().filter_map(|item| match &item.action {
            Action::Look(command) => command.split("sport = :").nth(1),
            _ => None,
        });
        let looks: Vec<&str> = looks.collect();
        let expected = expected.map(|port| format!("{port}'"));
        assert_eq!(looks, Vec::from_iter(expected.as_deref()), "{service} {own} {forwarding:?}");
    }
}

#[test]
fn a_finding_is_printed_below_its_requirement() {
    let all = requirements(&one(VIP4, RIP4, "-m"));
    for finding in all.check_in(Tree::new(&[]).path()) {
        let text = finding.to_string();
        assert_eq!(text, format!("{}\n# Here: {}", finding.requirement, finding.answer));
    }
}
