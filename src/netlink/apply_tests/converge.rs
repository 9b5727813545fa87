//! What a refusal means, and what a reading shows.

use super::super::Status;
use super::super::converge::{Context, Reaction, is_visible, react};
use crate::config::{
    Config, Observed, RealServer, ServiceKey, ServiceSettings, SyncDaemon, SyncRole, Timeouts,
};
use crate::netlink::Refused;
use crate::netlink::plan::{Action, Drain};
use crate::netlink::wire::Command;
use Command::{
    DelDaemon, DelDest, DelService, NewDest, NewService, SetConfig, SetDest, SetService,
};

const PLAIN: Context = Context { leaves: false, bound_later: false };
const LEAVES: Context = Context { leaves: true, bound_later: false };
const BOUND: Context = Context { leaves: false, bound_later: true };

fn config(rules: &str) -> Config {
    rules.parse().expect("rules")
}

fn server(text: &str) -> RealServer {
    RealServer::new(text.parse().expect("an address"))
}

fn settings() -> ServiceSettings {
    config("-A -t 10.0.0.1:80 -s rr").services[0].settings()
}

fn key() -> ServiceKey {
    settings().key
}

fn daemon(role: SyncRole) -> SyncDaemon {
    let word = if role == SyncRole::Master { "master" } else { "backup" };
    config(&format!("--start-daemon {word} --mcast-interface eth0 --syncid 7")).daemons[0].clone()
}

fn set_timeouts() -> Action {
    let timeouts = Timeouts { tcp: Some(9), ..Timeouts::default() };
    Action::SetTimeouts { before: Timeouts::default(), timeouts }
}

fn add_server() -> Action {
    Action::AddServer { service: key(), server: server("10.0.1.1:80") }
}

fn edit_server() -> Action {
    let server = server("10.0.1.1:80");
    Action::EditServer { service: key(), before: server.clone().with_weight(9), server }
}

fn delete_server() -> Action {
    Action::DeleteServer { service: key(), server: server("10.0.1.1:80").address }
}

fn edit_service() -> Action {
    Action::EditService { before: settings(), service: settings() }
}

#[derive(Debug, PartialEq)]
enum To {
    Again,
    Done,
    Refused,
    Instead(Command),
}

#[test]
fn a_refusal_means_what_the_step_and_its_context_say() {
    use To::{Again, Done, Instead, Refused as Final};
    use libc::{EEXIST, EINVAL, ENOENT, ENOMEM, ESRCH};
    let add = || Action::AddService(settings());
    let delete = || Action::DeleteService(key());
    let stop = || Action::StopDaemon(daemon(SyncRole::Master));
    let cases = [
        (add_server(), NewDest, ENOMEM, PLAIN, Again),
        (stop(), DelDaemon, ENOMEM, PLAIN, Again),
        (set_timeouts(), SetConfig, EINVAL, PLAIN, Final),
        (add_server(), NewDest, EEXIST, PLAIN, Instead(SetDest)),
        (add_server(), SetDest, ENOENT, PLAIN, Instead(NewDest)),
        (add_server(), NewDest, ESRCH, PLAIN, Final),
        (add_server(), NewDest, ESRCH, LEAVES, Final),
        (edit_server(), SetDest, ENOENT, PLAIN, Instead(NewDest)),
        (edit_server(), SetDest, ENOENT, LEAVES, Done),
        (edit_server(), SetDest, ESRCH, LEAVES, Done),
        (edit_server(), SetDest, ESRCH, PLAIN, Final),
        (edit_server(), SetDest, EINVAL, LEAVES, Final),
        (add(), NewService, EEXIST, PLAIN, Instead(SetService)),
        (add(), NewService, EEXIST, BOUND, Done),
        (add(), SetService, ESRCH, PLAIN, Instead(NewService)),
        (add(), SetService, ESRCH, BOUND, Instead(NewService)),
        (add(), NewService, EINVAL, BOUND, Final),
        (edit_service(), SetService, ESRCH, PLAIN, Final),
        (delete_server(), DelDest, ENOENT, PLAIN, Done),
        (delete_server(), DelDest, ESRCH, PLAIN, Done),
        (delete_server(), DelDest, EINVAL, PLAIN, Final),
        (delete(), DelService, ESRCH, PLAIN, Done),
        (delete(), DelService, EINVAL, PLAIN, Final),
        (stop(), DelDaemon, ESRCH, PLAIN, Done),
        (stop(), DelDaemon, EINVAL, PLAIN, Final),
    ];
    for (action, command, errno, context, expected) in cases {
        let refused = Refused::new(command, crate::netlink::Object::Everything, errno);
        let to = match react(&action, refused, context) {
            Reaction::Again => Again,
            Reaction::Instead(request) => {
                assert_eq!(
                    request.object(),
                    super::super::converge::request(&action).expect("one").object()
                );
                Instead(request.command())
            }
            Reaction::Settled(Status::AlreadyDone) => Done,
            Reaction::Settled(status) => {
                assert_eq!(status, Status::Refused(refused));
                Final
            }
        };
        assert_eq!(to, expected, "{action:?} {command} {errno}");
    }
}

#[test]
fn a_reading_shows_what_is_done() {
    const RUNS: &str = "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.1.1 -w 1\n\
                        -a -t 10.0.0.1:80 -r 10.0.1.3 -w 1\n-A -t 10.0.0.2:80 -s wlc\n\
                        --start-daemon master --mcast-interface eth0 --syncid 7";
    let found = Observed::from(&config(RUNS));
    let add = |rules| Action::AddService(config(rules).services[0].settings());
    let edit = |rules| {
        let service = config(rules).services[0].settings();
        Action::EditService { before: settings(), service }
    };
    let start = |interface: &str, sync_id| {
        let interface = interface.to_owned();
        Action::StartDaemon(SyncDaemon { interface, sync_id, ..daemon(SyncRole::Master) })
    };
    let of =
        |text: &str, server| Action::DeleteServer { service: text.parse().expect("a key"), server };
    let address = |text: &str| text.parse().expect("an address");
    let heavy = server("10.0.1.1:80").with_weight(2);
    let cases = [
        (set_timeouts(), PLAIN, false),
        (
            Action::AwaitDrain {
                service: key(),
                server: address("10.0.1.9:80"),
                drain: Drain::default(),
            },
            PLAIN,
            false,
        ),
        (start("eth0", 7), PLAIN, true),
        (start("eth1", 7), PLAIN, false),
        (start("eth0", 8), PLAIN, false),
        (Action::StartDaemon(daemon(SyncRole::Backup)), PLAIN, false),
        (Action::StopDaemon(daemon(SyncRole::Master)), PLAIN, false),
        (Action::StopDaemon(daemon(SyncRole::Backup)), PLAIN, true),
        (add("-A -t 10.0.0.1:80 -s rr"), PLAIN, true),
        (add("-A -t 10.0.0.1:80 -s wlc"), PLAIN, false),
        (add("-A -t 10.0.0.1:80 -s wlc"), BOUND, true),
        (add("-A -t 10.0.0.9:80 -s rr"), PLAIN, false),
        (add("-A -t 10.0.0.9:80 -s rr"), BOUND, false),
        (edit("-A -t 10.0.0.1:80 -s rr"), PLAIN, true),
        (edit("-A -t 10.0.0.1:80 -s wlc"), PLAIN, false),
        (Action::DeleteService(key()), PLAIN, false),
        (Action::DeleteService("tcp 10.0.0.9:80".parse().expect("a key")), PLAIN, true),
        (add_server(), PLAIN, true),
        (edit_server(), PLAIN, true),
        (Action::AddServer { service: key(), server: heavy }, PLAIN, false),
        (Action::AddServer { service: key(), server: server("10.0.1.2:80") }, PLAIN, false),
        (delete_server(), PLAIN, false),
        (of("tcp 10.0.0.1:80", address("10.0.1.2:80")), PLAIN, true),
        (of("tcp 10.0.0.2:80", address("10.0.1.1:80")), PLAIN, true),
    ];
    for (action, context, expected) in cases {
        assert_eq!(is_visible(&action, &found, context), expected, "{action:?}");
    }
}
