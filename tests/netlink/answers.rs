//! A kernel's answers are parsed completely, down to the listing that ipvsadm made of them.

use vsched::config::listing::{Listing, View};
use vsched::config::{Observed, ServiceKey, Timeouts};
use vsched::netlink::wire::{Command, Header, Message};

use crate::recorded::{Case, Way, cases};
use crate::tree::{sorted, tree};

fn decoded(case: &Case, command: Command) -> Vec<Message> {
    let messages = case.messages();
    let received = messages.iter().filter(|message| message.way == Way::Received);
    let decoded = received
        .filter_map(|message| message.data())
        .map(|payload| Message::decode(payload).expect("a message"));
    decoded.filter(|message| message.command == command).collect()
}

#[test]
fn every_answer_is_read_and_written_again() {
    let mut commands = Vec::new();
    for case in cases() {
        for theirs in case.messages().iter().filter(|message| message.way == Way::Received) {
            let Some(payload) = theirs.data() else { continue };
            let message = Message::decode(payload).expect("a message");
            let mut ours = Vec::new();
            message.encode(theirs.header, &mut ours).expect("a message");
            // Order, padding and the nested flag differ.
            let normal = |payload| sorted(&tree(payload), 0);
            assert_eq!(normal(&ours[16..]), normal(payload), "{}", case.command);
            assert_eq!(Message::decode(&ours[16..]).expect("ours"), message);
            commands.push(message.command);
        }
    }
    use Command::{NewDaemon, NewDest, NewService, SetConfig, SetInfo};
    for (command, least) in
        [(NewService, 30), (NewDest, 40), (NewDaemon, 3), (SetConfig, 1), (SetInfo, 75)]
    {
        let met = commands.iter().filter(|met| **met == command).count();
        assert!(met >= least, "{command}: {met}");
    }
}

/// What the case's dumps tell, put together as `Kernel::read` does.
fn observed(case: &Case) -> Observed {
    let mut observed = Observed::default();
    let mut asked: Option<ServiceKey> = None;
    for recorded in case.messages() {
        let Some(payload) = recorded.data() else { continue };
        let message = Message::decode(payload).expect("a message");
        match (recorded.way, message.command) {
            (Way::Sent, Command::GetDest) => {
                asked = Some(message.service.expect("a service").key().expect("a key"));
            }
            (Way::Received, Command::NewService) => {
                let service = message.service.expect("a service");
                observed.services.push(service.observed().expect("a service"));
            }
            (Way::Received, Command::NewDest) => {
                let key = asked.expect("a question");
                let known = observed.services.iter_mut().find(|s| s.settings.key == key);
                let server = message.dest.expect("a server").observed(key.family());
                known.expect("its service").servers.push(server.expect("a server"));
            }
            _ => {}
        }
    }
    observed
}

#[test]
fn listings_of_what_was_read_are_ipvsadms() {
    let mut figures = 0;
    for (arguments, view, only) in [
        ("-L -n", View::Plain, None),
        ("-L -n --stats -u 10.0.0.20:53", View::Statistics, Some("udp 10.0.0.20:53")),
        ("-L -n -t 10.0.0.1:80", View::Plain, Some("tcp 10.0.0.1:80")),
        ("-L -n -f 7 -6", View::Plain, Some("fwmark 7 inet6")),
    ] {
        let cases = cases();
        let matching: Vec<&Case> = cases.iter().filter(|case| case.command == arguments).collect();
        assert!(!matching.is_empty(), "{arguments}");
        for case in matching {
            let observed = observed(case);
            let mut listing = Listing::new(&observed).view(view);
            if let Some(only) = only {
                listing = listing.only(&only.parse().expect("a key"));
            }
            let text = listing.to_string();
            assert_eq!(text.lines().collect::<Vec<_>>(), case.stdout, "{arguments}");
            figures += observed.services.iter().map(|s| s.statistics.bytes_in).sum::<u64>();
        }
    }
    assert!(figures > 0, "figures were met");
}

#[test]
fn timeouts_daemons_and_the_version_are_ipvsadms() {
    for case in cases() {
        let info = decoded(&case, Command::SetInfo);
        assert_eq!(info[0].info.version, Some(0x0001_0201), "{}", case.command);
        assert_eq!(info[0].info.connection_table_size, Some(4096));
        if case.command == "-L --timeout" {
            let answer = decoded(&case, Command::SetConfig).remove(0);
            let timeouts = Timeouts::default().with_tcp(1000).with_tcp_fin(60).with_udp(500);
            assert_eq!(answer.timeouts, timeouts);
            assert_eq!(case.stdout, ["Timeout (tcp tcpfin udp): 1000 60 500"]);
        }
        if case.command == "-L --daemon" {
            let lines: Vec<String> =
                decoded(&case, Command::NewDaemon).iter().map(daemon_line).collect();
            assert_eq!(lines, case.stdout);
        }
    }
}

fn daemon_line(message: &Message) -> String {
    let daemon = message.daemon.as_ref().expect("a daemon").daemon().expect("a daemon");
    let role = format!("{:?}", daemon.role).to_lowercase();
    format!(
        "{role} sync daemon (mcast={}, syncid={}, maxlen={}, group={}, port={}, ttl={})",
        daemon.interface,
        daemon.sync_id,
        daemon.max_len.expect("a length"),
        daemon.group.expect("a group"),
        daemon.port.expect("a port"),
        daemon.ttl.expect("a time to live"),
    )
}

#[test]
fn what_old_and_new_kernels_leave_out_or_add_does_not_matter() {
    let case = cases().into_iter().find(|case| case.command == "-L -n -f 7 -6").expect("the case");
    let header = Header::new(28, 0, 1);
    // Without the family of the server, as before 3.18; without 64 bits, as before 4.1.
    let mut message = decoded(&case, Command::NewDest).remove(0);
    let key: ServiceKey = "fwmark 7 inet6".parse().expect("a key");
    let whole = message.dest.clone().expect("a server").observed(key.family());
    let dest = message.dest.as_mut().expect("a server");
    (dest.family, dest.statistics64) = (None, None);
    assert_eq!(dest.observed(key.family()), whole);
    // With unknown attributes at every depth.
    let mut bytes = Vec::new();
    message.encode(header, &mut bytes).expect("a message");
    let unknown =
        [&9u16.to_ne_bytes()[..], &77u16.to_ne_bytes(), &[1, 2, 3, 4, 5, 0, 0, 0]].concat();
    let mut payload = bytes[16..].to_vec();
    let nest = u16::from_ne_bytes([payload[4], payload[5]]) + 12;
    payload[4..6].copy_from_slice(&nest.to_ne_bytes());
    payload.extend_from_slice(&unknown);
    payload.extend_from_slice(&unknown);
    assert_eq!(Message::decode(&payload), Ok(message));
}
