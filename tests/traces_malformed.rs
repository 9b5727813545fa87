//! Malformed traces are refused, each with its file, line, event and what was expected.

#[path = "../examples/replay/engine.rs"]
#[allow(dead_code, reason = "reports of mismatches are tested in traces.rs")]
mod engine;

use engine::trace::{Malformed, Place, Trace};
use serde_json::{Value, json};

const ADD: &str = r#"["add","10.9.0.1:80",1,0,0]"#;
const PICK: &str = r#"["pick",1,"172.16.0.1",4000,"10.1.0.1",80,"10.9.0.1:80"]"#;

fn trace() -> Value {
    json!({
        "kernel": "7.2.7",
        "generation": "B",
        "scheduler": "rr",
        "flags": [],
        "service": "tcp 10.1.0.1:80",
        "complete": true,
        "events": [],
    })
}

fn refusal(line: &str) -> Option<Malformed> {
    let place = Place { file: "some.jsonl".to_owned(), line: 7 };
    let replayed = Trace::read(place, line).and_then(|trace| engine::replay(&trace).map(|_| ()));
    replayed.err()
}

fn with(field: &str, value: Value) -> String {
    let mut trace = trace();
    trace[field] = value;
    trace.to_string()
}

fn check(line: &str, expected: &str) {
    let refusal = refusal(line).unwrap_or_else(|| panic!("accepted: {line}"));
    assert_eq!(refusal.to_string(), format!("some.jsonl:7: {expected}"), "{line}");
}

#[test]
fn the_model_of_the_tables_is_well_formed() {
    let events = format!("[{ADD},{PICK},[\"inactive\",1],[\"expire\",1],[\"scheduler\",\"none\"]]");
    let events: Value = serde_json::from_str(&events).expect("JSON");
    assert!(refusal(&with("events", events)).is_none());
}

#[test]
fn malformed_lines() {
    check("", "not JSON: EOF while parsing a value at line 1 column 0");
    check("{\"kernel\":", "not JSON: EOF while parsing a value at line 1 column 10");
    check("[]", "expected a JSON object, found []");
    check("{}", "missing field `events`: expected an array");
    for field in ["kernel", "generation", "scheduler", "flags", "service", "complete", "events"] {
        let mut trace = trace();
        trace.as_object_mut().expect("an object").remove(field);
        let refusal = refusal(&trace.to_string()).expect("refused").to_string();
        let missing = format!("some.jsonl:7: missing field `{field}`: expected ");
        assert!(refusal.starts_with(&missing), "{refusal}");
    }
    let rows = [
        ("kernel", json!(6.1), "`kernel`: expected a text, found 6.1"),
        ("kernel", json!(""), "`kernel`: expected a text, found \"\""),
        ("generation", json!("C"), "`generation`: expected \"A\" or \"B\", found \"C\""),
        ("scheduler", json!(null), "`scheduler`: expected a text, found null"),
        ("flags", json!("sh-port"), "`flags`: expected an array of flag names, found \"sh-port\""),
        ("flags", json!([1]), "`flags`: expected an array of flag names, found [1]"),
        ("flags", json!(["sh-port"]), "`flags`: rr has no flag `sh-port`"),
        (
            "service",
            json!("tcp 10.1.0.1"),
            "`service`: service key `tcp 10.1.0.1`: expected a numeric `ADDRESS:PORT`, IPv6 as \
             `[ADDRESS]:PORT`",
        ),
        ("complete", json!(1), "`complete`: expected true, found 1"),
        ("complete", json!(false), "`complete`: expected true: the recording was cut off"),
        ("events", json!({}), "`events`: expected an array, found {}"),
        (
            "speed",
            json!(1),
            "unknown field `speed`; expected kernel, generation, scheduler, flags, service, \
             complete, events",
        ),
    ];
    for (field, value, expected) in rows {
        check(&with(field, value), expected);
    }
}

/// Event 0 is a server, event 1 its connection 1; what is wrong is event 2.
#[test]
fn malformed_events() {
    let server = "expected a server as \"ADDRESS:PORT\", found";
    let rows = [
        ("5", "expected an array that starts with a kind, found 5".to_owned()),
        ("[]", "expected an array that starts with a kind, found []".to_owned()),
        (
            r#"["remove","10.9.0.1:80"]"#,
            "unknown kind `remove`; expected add, edit, delete, scheduler, pick, inactive, \
             expire, counts"
                .to_owned(),
        ),
        (
            r#"["add","10.9.0.2:80",1,0]"#,
            "expected [\"add\", server, weight, upper, lower], found [\"add\",\"10.9.0.2:80\",1,0]"
                .to_owned(),
        ),
        (
            r#"["delete","10.9.0.1:80",1]"#,
            "expected [\"delete\", server], found [\"delete\",\"10.9.0.1:80\",1]".to_owned(),
        ),
        (r#"["add","10.9.0.2",1,0,0]"#, format!("{server} \"10.9.0.2\"")),
        (r#"["edit",1,1,0,0]"#, format!("{server} 1")),
        (
            r#"["edit","10.9.0.1:80",-1,0,0]"#,
            "expected a weight from 0 to 2147483647, found -1".to_owned(),
        ),
        (
            r#"["edit","10.9.0.1:80",2147483648,0,0]"#,
            "expected a weight from 0 to 2147483647, found 2147483648".to_owned(),
        ),
        (
            r#"["edit","10.9.0.1:80",1,4294967296,0]"#,
            "expected an upper threshold from 0 to 4294967295, found 4294967296".to_owned(),
        ),
        (
            r#"["edit","10.9.0.1:80",1,0,"2"]"#,
            "expected a lower threshold from 0 to 4294967295, found \"2\"".to_owned(),
        ),
        (r#"["scheduler",3]"#, "expected the name of a scheduler, found 3".to_owned()),
        (
            r#"["pick",2,"172.16.0",4000,"10.1.0.1",80,null]"#,
            "expected an IP address, found \"172.16.0\"".to_owned(),
        ),
        (
            r#"["pick",2,"172.16.0.1",65536,"10.1.0.1",80,null]"#,
            "expected a port from 0 to 65535, found 65536".to_owned(),
        ),
        (r#"["pick",2,"172.16.0.1",4000,"10.1.0.1",80,"none"]"#, format!("{server} \"none\"")),
        (r#"["inactive","1"]"#, "expected the number of a connection, found \"1\"".to_owned()),
        (
            r#"["counts",[["10.9.0.1:80",1]]]"#,
            "expected [server, active, inactive], found [\"10.9.0.1:80\",1]".to_owned(),
        ),
        (
            r#"["counts",[["10.9.0.1:80",1,0.5]]]"#,
            "expected inactive connections from 0 to 4294967295, found 0.5".to_owned(),
        ),
        // Well formed, and not possible where it stands.
        (ADD, "service tcp 10.1.0.1:80: server 10.9.0.1:80: exists already".to_owned()),
        (
            r#"["edit","10.9.0.2:80",1,0,0]"#,
            "service tcp 10.1.0.1:80: server 10.9.0.2:80: no such server".to_owned(),
        ),
        (
            r#"["delete","10.9.0.2:80"]"#,
            "service tcp 10.1.0.1:80: server 10.9.0.2:80: no such server".to_owned(),
        ),
        (r#"["inactive",2]"#, "expected the number of an open connection, found 2".to_owned()),
        (r#"["expire",2]"#, "expected the number of an open connection, found 2".to_owned()),
        (PICK, "expected the number of a new connection, found 1".to_owned()),
        (
            r#"["pick",2,"172.16.0.1",4000,"10.1.0.1",80,"10.9.0.2:80"]"#,
            "expected a server of the service, found 10.9.0.2:80".to_owned(),
        ),
        (
            r#"["pick",2,"172.16.0.1",4000,"10.1.0.1",81,null]"#,
            "expected a packet to tcp 10.1.0.1:80: no other is recorded".to_owned(),
        ),
    ];
    for (event, expected) in rows {
        let events = format!("[{ADD},{PICK},{event}]");
        let events = serde_json::from_str(&events).expect("JSON");
        check(&with("events", events), &format!("event 2: {expected}"));
    }
    let twice = format!("[{ADD},{PICK},[\"inactive\",1],[\"inactive\",1]]");
    let twice = serde_json::from_str(&twice).expect("JSON");
    check(&with("events", twice), "event 3: expected an active connection; 1 is inactive already");
}
