//! The example's guardrails on reloads, and its table's rows of removed servers.

use std::io::Read;
use std::net::SocketAddr;

use crate::process::Process;
use crate::servers::{File, ask, web_server};
use crate::{row, service, slow_client, slow_server};

/// A file of this kind with these services, each with its servers.
fn text(kind: &str, services: &[(SocketAddr, &[SocketAddr], u32)]) -> String {
    let mut text = String::new();
    for (service, servers, weight) in services {
        let rule = |server: &SocketAddr| format!("-a -t {service} -r {server} -m -w {weight}\n");
        let table = |server: &SocketAddr| {
            format!("{{\"address\":\"{server}\",\"forwarding\":\"masq\",\"weight\":{weight}}}")
        };
        text += &match kind {
            "rules" => {
                format!("-A -t {service}\n{}", servers.iter().map(rule).collect::<String>())
            }
            "json" => {
                let servers = servers.iter().map(table).collect::<Vec<_>>().join(",");
                let comma = if text.is_empty() { "" } else { "," };
                format!("{comma}{{\"key\":\"tcp {service}\",\"servers\":[{servers}]}}")
            }
            _ => {
                let table = |server| table(server).replace("\":", " = ").replace("{\"", "{");
                let servers = servers.iter().map(|server| table(server).replace(",\"", ","));
                let servers = servers.collect::<Vec<_>>().join(",");
                format!("[[services]]\nkey = \"tcp {service}\"\nservers = [{servers}]\n")
            }
        };
    }
    match kind {
        "json" if services.is_empty() => "{}".to_owned(),
        "json" => format!("{{\"services\":[{text}]}}"),
        _ => text,
    }
}

fn start(kind: &str, file: &File) -> Process {
    let option = if kind == "rules" { "--rules" } else { "--config" };
    Process::serving(&[option, file.path()])
}

/// Sends a signal to read the file; answers the log from then on up to this `end`, and the table.
fn reload(process: &Process, signal: &str, end: &str) -> (String, String) {
    let (printed, noted) = (process.printed(), process.noted().len());
    process.signal(signal);
    let table = process.next_table(printed);
    process.wait_for(end, |_, stderr| stderr[noted..].ends_with(end));
    (process.noted()[noted..].to_owned(), table)
}

/// What a refusal, and what a reload that does something, ends with.
const REFUSED: &str = "applies it all the same\n";
const RELOADED: &str = " removed\n";

#[test]
fn an_emptied_file_is_refused_unless_forced() {
    for kind in ["rules", "json", "toml"] {
        let (address, (slow, go)) = (service(), slow_server());
        let full = text(kind, &[(address, &[slow], 1)]);
        let file = File::new(&format!("emptied.{kind}"), &full);
        let process = start(kind, &file);
        let mut client = slow_client(address);

        file.write(&text(kind, &[]));
        let (log, table) = reload(&process, "HUP", REFUSED);
        let refusal = format!(
            "not reloaded: 1 of 1 servers (100 %) would be removed, at most 50 % may be; \
             most_deleted 100 would allow it: service tcp {address} as a whole: {slow}\n\
             not reloaded: signal USR2 applies it all the same\n"
        );
        assert_eq!(log, refusal, "{kind}");
        assert_eq!(row(&table, slow), Some(vec!["Masq", "1", "1", "0"]), "{kind}: {table}");
        let other = slow_client(address);

        // It is meant so. The connections live on, and the table names the server that has them.
        let (log, table) = reload(&process, "USR2", RELOADED);
        assert_eq!(log, "reloaded: 0 added, 0 changed, 0 drained, 2 removed\n", "{kind}");
        assert_eq!(row(&table, slow), None, "{table}");
        let removed = format!(
            "Removed servers with open connections: 1\n  \
             {slow} of service tcp {address}: 2 active, 0 inactive\n"
        );
        assert!(table.ends_with(&removed), "{kind}: {table}");
        drop(go);
        let mut rest = String::new();
        client.read_to_string(&mut rest).expect("the connection lives");
        assert_eq!(rest, "two");
        drop((client, other));
        process.wait_for_table("no removed servers", |table| !table.contains("Removed"));

        // A director without services takes any file again.
        file.write(&full);
        let (log, _) = reload(&process, "HUP", RELOADED);
        assert_eq!(log, "reloaded: 2 added, 0 changed, 0 drained, 0 removed\n", "{kind}");
        drop(slow_client(address));
    }
}

#[test]
fn a_file_that_was_cut_off_is_refused_and_half_of_it_is_not() {
    let (first, second) = (service(), service());
    let servers = [(); 4].map(|()| web_server("good"));
    let all = text("rules", &[(first, &servers[..2], 1), (second, &servers[2..], 1)]);
    let file = File::new("cut-off", &all);
    let process = start("rules", &file);

    let lines: Vec<&str> = all.lines().collect();
    // The first server only; not even that; half of a line, which is an error of its own.
    for (kept, why) in [
        (lines[..2].join("\n"), "3 of 4 servers (75 %) would be removed"),
        (lines[..1].join("\n"), "4 of 4 servers (100 %) would be removed"),
        (all[..all.len() - 30].to_owned(), "line 6, column"),
    ] {
        file.write(&kept);
        let end = if why.starts_with("line") { "\n" } else { REFUSED };
        let (log, table) = reload(&process, "HUP", end);
        assert!(log.starts_with("not reloaded: ") && log.contains(why), "{kept}: {log}");
        assert_eq!(table.matches("Masq").count(), 4, "{table}");
    }
    file.write(&lines[..3].join("\n"));
    let (log, table) = reload(&process, "HUP", RELOADED);
    assert_eq!(log, "reloaded: 0 added, 0 changed, 0 drained, 3 removed\n");
    // The servers that are gone had no connections.
    assert!(!table.contains("Removed servers"), "{table}");
    assert_eq!([ask(first), ask(second)], ["good", ""]);
}

#[test]
fn a_service_that_would_be_left_without_servers_is_refused() {
    let (first, second) = (service(), service());
    let (good, other) = (web_server("good"), web_server("other"));
    let all = text("rules", &[(first, &[good], 1), (second, &[other], 1)]);
    let file = File::new("closed", &all);
    let process = start("rules", &file);
    let quiesced = text("rules", &[(first, &[good], 1), (second, &[other], 0)]);
    let without = text("rules", &[(first, &[good], 1), (second, &[], 1)]);
    for closed in [&quiesced, &without] {
        file.write(closed);
        let (log, _) = reload(&process, "HUP", REFUSED);
        let refusal = format!(
            "not reloaded: service tcp {second}: has eligible servers and would have none; \
             may_close_services would allow it\n\
             not reloaded: signal USR2 applies it all the same\n"
        );
        assert_eq!(log, refusal);
        assert_eq!([ask(first), ask(second)], ["good", "other"]);
    }
    let (log, _) = reload(&process, "USR2", RELOADED);
    assert_eq!(log, "reloaded: 0 added, 0 changed, 0 drained, 1 removed\n");
    assert_eq!([ask(first), ask(second)], ["good", ""]);
}

#[test]
fn a_file_without_services_is_refused_where_there_are_no_servers_to_count() {
    let address = service();
    let file = File::new("no-servers", &format!("-A -t {address}\n"));
    let process = start("rules", &file);
    file.write("");
    let (log, _) = reload(&process, "HUP", REFUSED);
    let refusal = "not reloaded: there would be no service to serve; signal USR2 applies it all \
                   the same\n";
    assert_eq!(log, refusal);
    let (log, table) = reload(&process, "USR2", RELOADED);
    assert_eq!(log, "reloaded: 0 added, 0 changed, 0 drained, 1 removed\n");
    assert!(!table.contains(&address.to_string()), "{table}");
}
