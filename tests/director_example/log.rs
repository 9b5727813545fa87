//! The example's log as JSON.

use serde_json::Value;

use crate::process::Process;
use crate::servers::{File, free_address, web_server};
use crate::service;

#[test]
fn each_line_of_a_json_log_is_an_object() {
    let (service, good, bad) = (service(), web_server("good"), free_address([127, 0, 0, 12]));
    let rules = format!(
        "-A -t {service} -s rr --vsched-ejection failures=1\n-A -f 7\n\
         -a -t {service} -r {good} -m\n-a -t {service} -r {bad} -m\n"
    );
    let file = File::new("log", &rules);
    let arguments = ["--rules", file.path(), "--requests", "4", "--log", "json"];
    let ended = Process::start(&arguments).end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let entries: Vec<Value> = ended
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let find = |event: &str| {
        let found = entries.iter().find(|entry| entry["event"] == event);
        found.unwrap_or_else(|| panic!("no {event}: {entries:?}"))
    };
    for entry in &entries {
        let time = entry["time"].as_str().expect("a time");
        let shape: String =
            time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert_eq!(shape, "0000-00-00T00:00:00.000Z", "{time}");
        assert!(time > "2025-" && time < "2100-", "{time}");
        assert!(entry["message"].is_string() && entry["level"].is_string(), "{entry}");
    }
    assert!(find("config")["message"].as_str().expect("a text").contains("fwmark 7"));
    let failed = find("failed");
    assert_eq!(failed["level"], "warning");
    assert_eq!(failed["service"], format!("tcp {service}"));
    assert_eq!(failed["server"], bad.to_string());
    let message = failed["message"].as_str().expect("a text");
    assert!(message.starts_with("Connection refused"), "{message}");
    let state = find("state");
    let message = state["message"].as_str().expect("a text");
    assert!(message.starts_with("ejected: "), "{message}");
    assert_eq!(state["server"], bad.to_string());
}

#[test]
fn errors_of_a_start_are_entries_too() {
    let arguments = ["--log", "json", "--rules", "no/such/file"];
    let ended = Process::start(&arguments).end();
    assert_eq!(ended.code, Some(2));
    let entry: Value = serde_json::from_str(&ended.stderr).expect("one object");
    assert_eq!(entry["level"], "error");
}
