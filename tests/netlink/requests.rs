//! The requests for a command line equal those that ipvsadm sends.

use vsched::config::rules::Rules;
use vsched::config::{Forwarding, RealServer, ServiceKey, SyncDaemon, SyncRole, Timeouts};
use vsched::netlink::wire::{Command, Header, INET, Message};
use vsched::netlink::{Cause, Request};

use crate::recorded::{Case, Recorded, Way, cases};
use crate::tree::{Node, tree};

/// What ipvsadm sends beyond what the kernel looks at: everything but the key in commands that take
/// a key, the nest of the service in commands about a server among them.
const NOT_SENT: &[(Command, u16, &[u16])] = &[
    (Command::DelService, 1, &[6, 7, 8, 9]),
    (Command::GetService, 1, &[6, 7, 8, 9]),
    (Command::Zero, 1, &[6, 7, 8, 9]),
    (Command::NewDest, 1, &[6, 7, 8, 9]),
    (Command::SetDest, 1, &[6, 7, 8, 9]),
    (Command::DelDest, 1, &[6, 7, 8, 9]),
    (Command::DelDest, 2, &[3, 4, 13, 14, 15, 5, 6]),
    (Command::DelDaemon, 3, &[2, 3]),
];

/// A scheduler that this crate does not have, so that its types cannot say it.
const UNKNOWN_SCHEDULER: &str = "-A -t 10.0.0.8:80 -s nosuch";

fn daemon(role: SyncRole, interface: &str, sync_id: u8) -> SyncDaemon {
    let interface = interface.to_owned();
    SyncDaemon::new(role, interface).with_sync_id(sync_id)
}

fn timeouts(tcp: u32, tcp_fin: u32, udp: u32) -> Timeouts {
    Timeouts::default().with_tcp(tcp).with_tcp_fin(tcp_fin).with_udp(udp)
}

fn masqueraded(address: &str) -> RealServer {
    let server = RealServer::new(address.parse().expect("an address"));
    server.with_forwarding(Forwarding::Masq)
}

/// What the crate makes of a command line; `None` for those that read.
fn request(command: &str) -> Option<Request> {
    let key = |text: &str| text.parse::<ServiceKey>().expect("a key");
    let (master, backup) = (SyncRole::Master, SyncRole::Backup);
    Some(match command {
        "-Z" => Request::zero(),
        "-Z -t 10.0.0.1:80" => Request::zero_service(&key("tcp 10.0.0.1:80")),
        "-Z -f 99" => Request::zero_service(&key("fwmark 99")),
        "--set 1000 60 400" => Request::set_timeouts(timeouts(1000, 60, 400)),
        "--set 0 0 500" => Request::set_timeouts(timeouts(0, 0, 500)),
        "--start-daemon master --mcast-interface lo --syncid 5" => {
            Request::start_daemon(&daemon(master, "lo", 5))
        }
        "--start-daemon backup --mcast-interface lo --syncid 6 --sync-maxlen 1400 --mcast-group 224.0.0.90 --mcast-port 9000 --mcast-ttl 3" => {
            Request::start_daemon(
                &daemon(backup, "lo", 6)
                    .with_max_len(1400)
                    .with_group("224.0.0.90".parse().expect("a group"))
                    .with_port(9000)
                    .with_ttl(3),
            )
        }
        "--start-daemon backup --mcast-interface lo" => {
            Request::start_daemon(&daemon(backup, "lo", 0))
        }
        "--start-daemon master --mcast-interface nosuch0" => {
            Request::start_daemon(&daemon(master, "nosuch0", 0))
        }
        "--start-daemon master --mcast-interface d0 --mcast-group ff05::5a --sync-maxlen 1300" => {
            Request::start_daemon(
                &daemon(master, "d0", 0)
                    .with_max_len(1300)
                    .with_group("ff05::5a".parse().expect("a group")),
            )
        }
        "--stop-daemon master" => Request::stop_daemon(master),
        "--stop-daemon backup" => Request::stop_daemon(backup),
        // The rules text refuses these two before a kernel can.
        "-a -t 10.0.0.1:80 -r 10.9.0.13 -m -x 1 -y 2" => {
            let server = masqueraded("10.9.0.13:80").with_thresholds(1, 2);
            Request::add_server(&key("tcp 10.0.0.1:80"), &server)
        }
        "-a -t 10.0.0.1:80 -r 224.0.0.1 -m" => {
            Request::add_server(&key("tcp 10.0.0.1:80"), &masqueraded("224.0.0.1:80"))
        }
        _ if command.starts_with("-L") => return None,
        _ => {
            let rules: Rules = command.parse().unwrap_or_else(|error| panic!("{command}: {error}"));
            let mut commands = rules.commands();
            let request = commands.next().and_then(Request::from_command).expect("a command");
            assert!(commands.next().is_none());
            request
        }
    })
}

/// The last message that ipvsadm sent; before it come questions of its own.
fn sent(case: &Case) -> Recorded {
    let sent = case.messages().into_iter().rfind(|message| message.way == Way::Sent);
    sent.unwrap_or_else(|| panic!("{}: nothing was sent", case.command))
}

fn encoded(message: &Message, header: Header) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(header, &mut bytes).expect("a message");
    bytes
}

/// The payload's tree without what need not be sent.
fn needed(command: Command, payload: &[u8]) -> Vec<Node> {
    let needed = |node: Node| match node {
        Node::Nest(kind, mut inside) => {
            for (_, _, dropped) in
                NOT_SENT.iter().filter(|(c, nest, _)| (*c, *nest) == (command, kind))
            {
                inside.retain(|node| !dropped.contains(&node.kind()));
            }
            let inet = inside.contains(&Node::Value(11, INET.to_ne_bytes().to_vec()));
            for node in inside.iter_mut().filter(|_| kind == 2 && inet) {
                if let Node::Value(1, address) = node {
                    // Of an IPv4 address the kernel reads four bytes. Beside an IPv6 service ipvsadm
                    // leaves the rest of that address behind them.
                    address[4..].fill(0);
                }
            }
            Node::Nest(kind, inside)
        }
        value => value,
    };
    tree(payload).into_iter().map(needed).collect()
}

#[test]
fn requests_are_ipvsadms_byte_for_byte() {
    let (mut compared, mut identical) = (0, 0);
    for case in cases() {
        if case.command == UNKNOWN_SCHEDULER {
            continue;
        }
        let Some(request) = request(&case.command) else { continue };
        let theirs = sent(&case);
        let command = request.message().command;
        let ours = encoded(&request.message(), theirs.header);
        let (ours, name) = (&ours[16..], &case.command);
        assert_eq!(ours[..4], theirs.payload[..4], "{name}: generic header");
        // Equal in order, too; the nested flag is ipvsadm's habit and ours.
        assert_eq!(tree(ours), needed(command, &theirs.payload), "{name}");
        compared += 1;
        identical += usize::from(ours == theirs.payload);
    }
    assert!(compared >= 60, "{compared} compared");
    // All that take a whole service, all about daemons, timeouts, everything.
    assert!(identical >= 28, "{identical} identical");
}

#[test]
fn what_ipvsadm_sends_is_read_and_written_again_byte_for_byte() {
    let mut compared = 0;
    for case in cases() {
        for theirs in case.messages().iter().filter(|message| message.way == Way::Sent) {
            let payload = theirs.data().expect("a message of the family");
            let message = Message::decode(payload).expect("a message");
            let ours = encoded(&message, theirs.header);
            assert_eq!(&ours[16..], payload, "{}", case.command);
            compared += 1;
        }
    }
    assert!(compared >= 160, "{compared} compared");
}

#[test]
fn refusals_are_told_as_ipvsadm_tells_them() {
    let causes = [
        ("Service already exists", Cause::Exists),
        ("Destination already exists", Cause::Exists),
        ("Daemon has already run", Cause::Exists),
        ("Scheduler or persistence engine not found", Cause::NoScheduler),
        ("No such service", Cause::NoService),
        ("Service not defined", Cause::NoService),
        ("No such destination", Cause::NoServer),
        ("No daemon is running", Cause::NoDaemon),
        ("No such device", Cause::NoInterface),
        ("Numerical result out of range", Cause::Range),
        (
            "Invalid operation.  Possibly wrong module version, address not unicast, ...",
            Cause::Invalid,
        ),
    ];
    let mut met = Vec::new();
    for case in cases().iter().filter(|case| case.exit != 0) {
        let messages = case.messages();
        let answer = messages.last().expect("an answer").packet().answer();
        let Ok(vsched::netlink::wire::Answer::Acknowledged(errno)) = answer else {
            panic!("{}: {answer:?}", case.command)
        };
        let command = Message::decode(&sent(case).payload).expect("a message").command;
        let object = vsched::netlink::Object::Everything;
        let refused = vsched::netlink::Refused::new(command, object, errno);
        let known = causes.iter().find(|(text, _)| *text == case.stderr);
        let (text, cause) = known.unwrap_or_else(|| panic!("{}: {}", case.command, case.stderr));
        assert_eq!(refused.cause(), *cause, "{}", case.command);
        met.push(*text);
    }
    for (text, _) in causes {
        assert!(met.contains(&text), "{text} was not met");
    }
}
