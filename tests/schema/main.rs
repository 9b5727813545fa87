//! The JSON Schema of a config, as a real validator applies it, beside what the crate itself accepts.
//!
//! Where python3 or its module jsonschema is missing this prints SKIPPED; with
//! `VSCHED_PROGRAMS=required` in the environment that is a failure.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/installed.rs"]
mod installed;
mod reference;

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use common::Random;
use serde_json::{Value, json};
use vsched::config::{RealServer, VirtualService};
use vsched::{Config, SchedulerKind};

fn python() -> Option<&'static str> {
    installed::python("from jsonschema import Draft202012Validator", "python3-jsonschema")
}

/// The validator's first problem with each document.
fn problems(python: &str, documents: &[Value]) -> Vec<Option<String>> {
    let schema: Value = serde_json::from_str(&Config::schema_text()).expect("JSON");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schema/validate.py");
    let mut child = Command::new(python)
        .args(["-B", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it is installed");
    let task = json!({ "schema": schema, "documents": documents }).to_string();
    child.stdin.take().expect("a pipe").write_all(task.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "not a schema");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// What the crate itself says.
fn refused(document: &Value) -> Option<String> {
    match serde_json::from_value::<Config>(document.clone()) {
        Ok(config) => config.validate().err().map(|error| error.to_string()),
        Err(error) => Some(error.to_string()),
    }
}

#[test]
fn the_committed_schema_is_the_codes() {
    let text = Config::schema_text();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/vsched.schema.json");
    let committed = fs::read_to_string(path).unwrap_or_default();
    if committed != text && std::env::var_os("WRITE_SCHEMA").is_some() {
        fs::write(path, text).expect("a file that can be written");
        return;
    }
    assert!(committed == text, "make schema writes docs/vsched.schema.json");
}

#[test]
fn what_the_crate_writes_is_valid() {
    let Some(python) = python() else { return };
    let mut documents = vec![json!({}), json!({ "services": [] }), reference::json()];
    documents.push(reference::toml());
    for kind in SchedulerKind::ALL.iter().copied().map(Some).chain([None]) {
        let key = "tcp [2001:db8::1]:80".parse().expect("a key");
        let mut service = VirtualService::new(key);
        service.scheduler = kind;
        let server = RealServer::new("[2001:db8::2]:80".parse().expect("an address"));
        let services = vec![service.with_server(server)];
        let config = Config::new().with_services(services).with_seed(u64::MAX);
        documents.push(serde_json::to_value(&config).expect("JSON"));
    }
    for (document, problem) in documents.iter().zip(problems(python, &documents)) {
        assert_eq!((problem, refused(document)), (None, None), "{document}");
    }
}

/// Every number, text and switch of a full config, changed to another value: what the crate accepts,
/// the schema accepts.
#[test]
fn the_schema_refuses_nothing_that_the_crate_accepts() {
    let Some(python) = python() else { return };
    let mut places = Vec::new();
    leaves(&reference::json(), String::new(), &mut places);
    assert!(places.len() > 50, "{places:?}");
    let mut random = Random(7);
    let words = [
        "",
        "none",
        "rr",
        "mh",
        "up",
        "tcp 10.0.0.1:80",
        "udp [::1]:53",
        "fwmark 4294967295",
        "fwmark 9 inet",
        "10.0.0.9:080",
        "[fd00::9]:1",
        "255.255.0.0",
        "10",
        "18446744073709551615",
        "web.example/1@x",
        "masq",
        "local",
        "sh-port",
        "flag-2",
        "exact",
        "rotate",
        "A",
        "backup",
    ];
    let documents = places.iter().flat_map(|place| {
        let numbers = [0, 1, 2, 50, 100, 128, 1000, 65_535, 1 << 20, i64::MAX];
        let numbers = numbers.map(|number| json!(number));
        let any = json!(random.below(1 << 32));
        let values = numbers.into_iter().chain([any, json!(true), json!(-1), json!(null)]);
        let values = values.chain(words.map(|word| json!(word)));
        values
            .map(|value| {
                let mut document = reference::json();
                *document.pointer_mut(place).expect("it is there") = value;
                document
            })
            .collect::<Vec<_>>()
    });
    let documents: Vec<Value> = documents.collect();
    let mut both = (0, 0);
    for (document, problem) in documents.iter().zip(problems(python, &documents)) {
        let refused = refused(document);
        assert!(
            problem.is_none() || refused.is_some(),
            "{}: {document}",
            problem.unwrap_or_default()
        );
        both.0 += usize::from(refused.is_none());
        both.1 += usize::from(problem.is_some() && refused.is_some());
    }
    assert!(both.0 > 100 && both.1 > 1000, "accepted, refused: {both:?}");
}

fn leaves(value: &Value, path: String, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| leaves(value, format!("{path}/{name}"), found));
        }
        Value::Array(items) => (0..)
            .zip(items)
            .for_each(|(place, value): (usize, _)| leaves(value, format!("{path}/{place}"), found)),
        _ => found.push(path),
    }
}

/// Place, value: each is an error in an editor already, not first when the config is read.
#[test]
fn what_is_wrong_in_itself_is_refused_by_both() {
    let Some(python) = python() else { return };
    let service = "/services/0";
    let server = "/services/0/servers/0";
    let wrong = [
        ("", json!({ "service": [] })),
        ("", json!({ "services": [{}] })),
        ("", json!({ "services": [{ "key": "tcp 10.0.0.1:80", "servers": [{}] }] })),
        ("/kernel_rules", json!("C")),
        ("/seed", json!(-1)),
        ("/seed", json!("1e3")),
        ("/timeouts/tcp", json!(0)),
        ("/timeouts/udp", json!(2_678_401)),
        ("/daemons/0/role", json!("slave")),
        ("/daemons/0/interface", json!("")),
        ("/daemons/0/interface", json!("0123456789abcdef")),
        ("/daemons/0/sync_id", json!(256)),
        ("/daemons/0/max_len", json!(0)),
        ("/daemons/0/max_len", json!(65_508)),
        ("/daemons/0/port", json!(0)),
        ("/daemons/0/ttl", json!(0)),
        (service, json!({ "key": "tcp 10.0.0.1:80", "weight": 1 })),
        ("/services/0/key", json!("tcp 10.0.0.1")),
        ("/services/0/key", json!("tcp 10.0.0.256:80")),
        ("/services/0/key", json!("tcp 10.0.0.1:65536")),
        ("/services/0/key", json!("icmp 10.0.0.1:80")),
        ("/services/0/key", json!("fwmark 0")),
        ("/services/0/key", json!("tcp localhost:80")),
        ("/services/0/scheduler", json!("RR")),
        ("/services/0/scheduler", json!(null)),
        ("/services/0/flags", json!(["sh-ports"])),
        ("/services/0/mh_table_index", json!(7)),
        ("/services/0/mh_table_index", json!(18)),
        ("/services/0/name", json!("10.0.0.1")),
        ("/services/0/name", json!("two words")),
        ("/services/0/persistence/timeout", json!(0)),
        ("/services/0/persistence/netmask", json!("255.255.255")),
        ("/services/0/persistence/netmask", json!(129)),
        ("/services/0/persistence_engine", json!("")),
        ("/services/0/persistence_engine", json!("0123456789abcdef")),
        ("/services/0/one_packet", json!("yes")),
        ("/services/0/affinity/capacity", json!(0)),
        ("/services/0/affinity/capacity", json!(16_777_217)),
        ("/services/0/affinity/expiration", json!(0)),
        ("/services/0/sharing", json!("per worker")),
        ("/services/0/ties", json!("first")),
        ("/services/0/ejection/failures", json!(65_536)),
        ("/services/0/ejection/interval", json!(0)),
        ("/services/0/ejection/max_share", json!(101)),
        ("/services/0/ejection/trials", json!(0)),
        ("/services/0/ejection/outliers/method", json!("mode")),
        ("/services/0/ejection/outliers/least_servers", json!(1)),
        ("/services/0/slow_start/duration", json!(0)),
        ("/services/0/slow_start/least", json!(0)),
        ("/services/0/spill_over", json!(99)),
        ("/services/0/spill_over", json!(1001)),
        ("/services/0/panic_threshold", json!(101)),
        (server, json!({ "address": "10.9.0.1:80", "heaviness": 1 })),
        ("/services/0/servers/0/address", json!("10.9.0.1")),
        ("/services/0/servers/0/address", json!("[10.9.0.1]:80")),
        ("/services/0/servers/0/weight", json!(2_147_483_648u32)),
        ("/services/0/servers/0/weight", json!(-1)),
        ("/services/0/servers/0/weight", json!(1.5)),
        ("/services/0/servers/0/forwarding", json!("tunnel")),
        ("/services/0/servers/0/forwarding", json!("nat")),
        ("/services/0/servers/0/forwarding", json!({ "tunnel": { "type": "vxlan" } })),
        ("/services/0/servers/0/forwarding", json!({ "tunnel": { "type": "gue", "port": 0 } })),
        ("/services/0/servers/0/forwarding", json!({ "tunnel": { "type": "ipip", "port": 1 } })),
        (
            "/services/0/servers/0/forwarding",
            json!({ "tunnel": { "type": "gre", "checksum": "remote" } }),
        ),
        ("/services/0/servers/0/thresholds/upper", json!("many")),
        ("/services/0/servers/0/priority", json!(256)),
        ("/services/0/servers/0/user_data", json!("x")),
    ];
    let document = |(place, value): &(&str, Value)| {
        let mut document = reference::json();
        // A field that the reference leaves out, too.
        let (parent, name) = place.rsplit_once('/').unwrap_or(("", ""));
        match document.pointer_mut(place) {
            Some(there) => *there = value.clone(),
            None => document.pointer_mut(parent).expect(place)[name] = value.clone(),
        }
        document
    };
    let documents: Vec<Value> = wrong.iter().map(document).collect();
    for ((wrong, document), problem) in
        wrong.iter().zip(&documents).zip(problems(python, &documents))
    {
        assert!(problem.is_some(), "the schema accepts {wrong:?}");
        assert!(refused(document).is_some(), "the crate accepts {wrong:?}");
    }
}
