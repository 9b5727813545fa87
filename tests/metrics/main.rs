//! Metrics, as a real client of Prometheus reads them.
//!
//! Where python3 or its module prometheus_client is missing this prints SKIPPED; with
//! `VSCHED_PROGRAMS=required` in the environment that is a failure.

#[path = "../common/installed.rs"]
mod installed;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use vsched::config::{Observed, ObservedService, Statistics};
use vsched::metrics::{self, Format, Options};
use vsched::{Config, Director, Flow, Holder, Outcome, ServerState, Worker};

const FORMATS: [Format; 2] = [Format::Prometheus, Format::OpenMetrics];
/// What a persistence engine may be called, and a label must escape.
const HOSTILE: &str = r#"a"b\n\\{},="#;

/// A service per kind of setting, with a server in every state.
fn director() -> (Director, Worker) {
    let rules = "
        -A -t 10.1.0.1:80 -s wlc
        -a -t 10.1.0.1:80 -r 10.9.0.1 -m -w 3
        -a -t 10.1.0.1:80 -r 10.9.0.2 -m -w 0
        -a -t 10.1.0.1:80 -r 10.9.0.3 -m -x 1
        -a -t 10.1.0.1:80 -r 10.9.0.4 -m
        -a -t 10.1.0.1:80 -r 10.9.0.5 -m
        -a -t 10.1.0.1:80 -r 10.9.0.6 -m
        -a -t 10.1.0.1:80 -r 10.9.0.7 -m
        -A -u [2001:db8::1]:53 -s lblc -p 300
        -a -u [2001:db8::1]:53 -r [2001:db8::2]:53 -m
        -A -f 7 -6 -s sh
        -A -f 7 -s rr
        -a -f 7 -r 10.9.0.1:0
    ";
    let mut config: Config = rules.parse().expect("rules");
    config.services[0].servers[6].priority = 1;
    config.services[0].ejection = Some(Default::default());
    config.services[1].persistence_engine = Some(HOSTILE.into());
    config.services[3].panic_threshold = 50;
    let director = Director::new(&config).expect("valid");
    director.tick(Duration::from_millis(1_500));
    let worker = director.worker();
    let id = |service: &str, server: &str| {
        director.server(director.service(service).expect("it runs"), server).expect("it runs")
    };
    let web = |n| id("tcp 10.1.0.1:80", &format!("10.9.0.{n}:80"));
    for _ in 0..2 {
        let _open = worker.open(web(1), vsched::Activity::Active).expect("it runs");
    }
    let _open = worker.open(web(3), vsched::Activity::Inactive).expect("it runs");
    let hold = |server, holder, state| director.set_state(server, holder, state).expect("it runs");
    hold(web(4), Holder::Administrator, ServerState::Draining);
    hold(web(5), Holder::HealthChecker, ServerState::Down);
    hold(id("fwmark 7", "10.9.0.1:0"), Holder::HealthChecker, ServerState::Down);
    for _ in 0..5 {
        worker.report(web(6), Outcome::Failed, None).expect("it runs");
    }
    let latency = Some(Duration::from_micros(1_500));
    worker.report(web(1), Outcome::Done, latency).expect("it runs");
    worker.report(web(1), Outcome::Abandoned, None).expect("it runs");
    let dns = director.service("udp [2001:db8::1]:53").expect("it runs");
    let source = "[2001:db8::9]:1000".parse().expect("an address");
    let flow = Flow::udp(source, "[2001:db8::1]:53".parse().expect("an address"));
    let _open = worker.connect(dns, &flow).expect("a server is up").into_lease();
    let none = director.service("fwmark 7 inet6").expect("it runs");
    assert!(worker.pick_server(none, &flow).is_err());
    (director, worker)
}

/// What a kernel observes: everything counts.
fn kernel() -> Observed {
    let (director, _worker) = director();
    let mut observed = Observed::from(&director.config());
    let mut next = 0;
    let mut statistics = || {
        next += 1000;
        let mut statistics = Statistics::default();
        statistics.connections = next;
        statistics.packets_in = next + 1;
        statistics.packets_out = next + 2;
        statistics.bytes_in = (1 << 53) - next;
        statistics.bytes_out = next + 4;
        statistics.refused = next + 5;
        statistics
    };
    for service in &mut observed.services {
        service.statistics = statistics();
        service.servers.iter_mut().for_each(|server| server.statistics = statistics());
    }
    observed
}

/// A series: name and labels.
type Series = (String, BTreeMap<String, String>);
/// A family: name, type and help.
type Head = (String, String, String);

struct Read {
    heads: Vec<Head>,
    series: BTreeMap<Series, f64>,
}

impl Read {
    /// The only value of this metric with these labels, among others.
    fn one(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let fits = |(known, has): &Series| {
            let has =
                |(label, value): &(&str, &str)| has.get(*label).is_some_and(|known| known == value);
            known == name && labels.iter().all(has)
        };
        let found: Vec<f64> = self
            .series
            .iter()
            .filter(|(series, _)| fits(series))
            .map(|(_, value)| *value)
            .collect();
        assert_eq!(found.len(), 1, "{name} {labels:?}: {found:?}");
        found[0]
    }

    fn has(&self, name: &str, service: &str) -> bool {
        let of = |labels: &BTreeMap<String, String>| {
            labels.get("service").is_some_and(|it| it == service)
        };
        self.series.keys().any(|(known, labels)| known == name && of(labels))
    }
}

fn python() -> Option<&'static str> {
    installed::python("import prometheus_client.openmetrics", "python3-prometheus-client")
}

/// As the real client reads it.
fn read(python: &str, text: &str, format: Format) -> Read {
    let name = match format {
        Format::Prometheus => "prometheus",
        _ => "openmetrics",
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/metrics/read.py");
    let mut child = Command::new(python)
        .args(["-B", script, name])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it is installed");
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "refused:\n{text}");
    let families: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON");
    let word = |value: &Value| value.as_str().expect("a text").to_owned();
    let mut read = Read { heads: Vec::new(), series: BTreeMap::new() };
    for family in &families {
        let head = (word(&family["name"]), word(&family["type"]), word(&family["help"]));
        read.heads.push(head);
        for sample in family["samples"].as_array().expect("samples") {
            let labels = sample["labels"].as_object().expect("labels");
            let labels = labels.iter().map(|(label, value)| (label.clone(), word(value)));
            let series = (word(&sample["name"]), labels.collect());
            let value = sample["value"].as_f64().expect("a number");
            let before = read.series.insert(series.clone(), value);
            assert_eq!(before, None, "twice: {series:?}");
        }
    }
    read
}

fn every() -> Vec<(&'static str, Options)> {
    let new = Options::new();
    vec![
        ("services", new),
        ("servers", new.with_servers()),
        ("traffic", new.with_traffic()),
        ("everything", new.with_servers().with_traffic()),
    ]
}

/// The same in both formats, without a series twice, whatever is asked for.
#[test]
fn the_real_client_reads_the_same_in_both_formats() {
    let Some(python) = python() else { return };
    let (director, _worker) = director();
    let kernel = kernel();
    for (what, options) in every() {
        let texts = |format| {
            let options = options.with_format(format);
            let mut observed = String::new();
            metrics::write(&kernel, &options, &mut observed).expect("a string");
            [director.metrics(&options), observed]
        };
        let [prometheus, open] =
            FORMATS.map(|format| texts(format).map(|text| read(python, &text, format)));
        for (one, other) in prometheus.iter().zip(&open) {
            assert!(one.series.len() > 30, "{what}: {}", one.series.len());
            assert_eq!(one.series, other.series, "{what}");
            let names = |read: &Read| {
                let names = read.heads.iter().map(|(name, _, help)| {
                    (name.trim_end_matches("_info").to_owned(), help.clone())
                });
                names.collect::<Vec<_>>()
            };
            assert_eq!(names(one), names(other), "{what}");
            let unique: BTreeSet<&String> = one.heads.iter().map(|(name, ..)| name).collect();
            assert_eq!(unique.len(), one.heads.len(), "{what}: a family twice");
            assert!(one.heads.iter().all(|(_, _, help)| help.ends_with('.')), "{what}");
        }
    }
}

/// What is written is what is observed.
#[test]
fn the_numbers_are_those_observed() {
    let Some(python) = python() else { return };
    let (director, _worker) = director();
    let all = Options::new().with_servers().with_traffic();
    for format in FORMATS {
        let options = all.with_format(format);
        let mut text = String::new();
        metrics::write(&kernel(), &options, &mut text).expect("a string");
        compare(&kernel(), &read(python, &text, format));
        let read = read(python, &director.metrics(&options), format);
        compare(&director.observe(), &read);
        assert_eq!(read.one("vsched_clock_seconds", &[]), 1.5);
        assert_eq!(read.one("vsched_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), 1.0);
        let hostile = [("persistence_engine", HOSTILE), ("scheduler", "lblc")];
        assert_eq!(read.one("vsched_service_info", &hostile), 1.0);
        let web = [("service", "tcp 10.1.0.1:80")];
        assert_eq!(read.one("vsched_service_active_connections", &web), 2.0);
        assert_eq!(read.one("vsched_service_inactive_connections", &web), 1.0);
        let panic = |service| read.one("vsched_service_panic", &[("service", service)]);
        assert_eq!((panic("fwmark 7"), panic("fwmark 7 inet6")), (1.0, 0.0));
        let states = ["up", "quiesced", "overloaded", "draining", "down", "ejected", "standby"];
        for (n, state) in (1..).zip(states) {
            let server = format!("10.9.0.{n}:80");
            let labels = [web[0], ("server", &server), ("state", state)];
            assert_eq!(read.one("vsched_server_state", &labels), 1.0, "{server} {state}");
            let labels = [web[0], ("state", state)];
            assert_eq!(read.one("vsched_service_servers", &labels), 1.0, "{state}");
        }
        let first = [web[0], ("server", "10.9.0.1:80")];
        assert_eq!(read.one("vsched_server_latency_seconds", &first), 0.0015);
        let ejected = [web[0], ("server", "10.9.0.6:80")];
        assert_eq!(read.one("vsched_server_consecutive_failures", &ejected), 5.0);
    }
}

fn compare(observed: &Observed, read: &Read) {
    assert_eq!(read.one("vsched_services", &[]), observed.services.len() as f64);
    for service in &observed.services {
        let key = service.settings.key.to_string();
        let one = |name: &str| read.one(&format!("vsched_service_{name}"), &[("service", &key)]);
        let total = &service.statistics;
        assert_eq!(one("connections_total"), total.connections as f64);
        assert_eq!(one("refused_total"), total.refused as f64);
        assert_eq!(one("received_bytes_total"), total.bytes_in as f64);
        assert_eq!(one("sent_bytes_total"), total.bytes_out as f64);
        assert_eq!(one("received_packets_total"), total.packets_in as f64);
        assert_eq!(one("sent_packets_total"), total.packets_out as f64);
        let maps = [("affinity", service.remembered), ("template", service.templates)];
        for (what, map) in maps {
            assert_eq!(read.has(&format!("vsched_service_{what}_entries"), &key), map.is_some());
            if let Some(map) = map {
                assert_eq!(one(&format!("{what}_entries")), f64::from(map.entries));
                assert_eq!(one(&format!("{what}_capacity")), f64::from(map.capacity));
                assert_eq!(one(&format!("{what}_refused_total")), map.refused as f64);
            }
        }
        servers(&key, service, read);
    }
}

fn servers(key: &str, service: &ObservedService, read: &Read) {
    let total = |name: &str, labels: &[(&str, &str)]| -> f64 {
        let fits = |(known, has): &Series| {
            let mut labels = [("service", key)].into_iter().chain(labels.iter().copied());
            known == name
                && labels.all(|(label, value)| has.get(label).is_some_and(|it| it == value))
        };
        read.series.iter().filter(|(series, _)| fits(series)).map(|(_, value)| value).sum()
    };
    // Each is in one state, and the sums agree.
    let count = service.servers.len() as f64;
    assert_eq!(total("vsched_service_servers", &[]), count, "{key}");
    assert_eq!(total("vsched_server_state", &[]), count, "{key}");
    let states: BTreeSet<&str> = read
        .series
        .keys()
        .filter(|(name, _)| name == "vsched_service_servers")
        .map(|(_, labels)| labels["state"].as_str())
        .collect();
    assert_eq!(states.len(), 7, "{states:?}");
    for state in states {
        let state = [("state", state)];
        assert_eq!(total("vsched_service_servers", &state), total("vsched_server_state", &state));
    }
    for what in ["active", "inactive"] {
        let of_service = total(&format!("vsched_service_{what}_connections"), &[]);
        assert_eq!(of_service, total(&format!("vsched_server_{what}_connections"), &[]), "{key}");
    }
    for server in &service.servers {
        let address = server.server.address.to_string();
        let labels = [("service", key), ("server", &*address)];
        let one = |name: &str| read.one(&format!("vsched_server_{name}"), &labels);
        assert_eq!(one("connections_total"), server.statistics.connections as f64);
        assert_eq!(one("received_bytes_total"), server.statistics.bytes_in as f64);
        assert_eq!(one("sent_bytes_total"), server.statistics.bytes_out as f64);
        assert_eq!(one("received_packets_total"), server.statistics.packets_in as f64);
        assert_eq!(one("sent_packets_total"), server.statistics.packets_out as f64);
        assert_eq!(one("active_connections"), f64::from(server.counts.active));
        assert_eq!(one("inactive_connections"), f64::from(server.counts.inactive));
        assert_eq!(one("template_entries"), f64::from(server.counts.persistent));
        assert_eq!(one("overloaded"), f64::from(u8::from(server.counts.overloaded)));
        assert_eq!(one("ejected"), f64::from(u8::from(server.health.ejected)));
        assert_eq!(one("weight"), f64::from(server.server.weight));
        assert_eq!(one("effective_weight"), f64::from(server.effective_weight));
        assert_eq!(one("consecutive_failures"), f64::from(server.health.consecutive_failures));
        let outcomes = [
            ("done", server.health.done),
            ("failed", server.health.failed),
            ("abandoned", server.health.abandoned),
        ];
        for (outcome, count) in outcomes {
            let labels = [labels[0], labels[1], ("outcome", outcome)];
            assert_eq!(read.one("vsched_server_outcomes_total", &labels), count as f64);
        }
        let measured = total("vsched_server_latency_seconds", &labels[1..]);
        assert_eq!(measured, server.health.latency.map_or(0.0, |it| it.as_secs_f64()));
    }
}

/// Without Python, too: the text of a small config, letter by letter.
#[test]
fn the_text_of_one_service() {
    let config: Config =
        "-A -t 10.1.0.1:80 -s rr\n-a -t 10.1.0.1:80 -r 10.9.0.1 -m".parse().expect("rules");
    let director = Director::new(&config).expect("valid");
    let expected = include_str!("one_service.txt");
    let text = director.metrics(&Options::new().with_servers());
    let version = concat!("version=\"", env!("CARGO_PKG_VERSION"), "\"");
    let text = text.replace(version, "version=\"VERSION\"");
    if text != expected && std::env::var_os("WRITE_METRICS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/metrics/one_service.txt");
        std::fs::write(path, text).expect("a file that can be written");
        return;
    }
    assert_eq!(text, expected, "WRITE_METRICS=1 cargo test --test metrics writes the text");
}

#[test]
fn sharing_is_a_label_as_in_a_config() {
    for sharing in ["exact", "per-worker", "chunks-16"] {
        let rules = format!("-A -t 10.1.0.1:80 -s rr --vsched-sharing {sharing}");
        let config: Config = rules.parse().expect("rules");
        let text = Director::new(&config).expect("valid").metrics(&Options::new());
        let label = format!("scheduler=\"rr\",sharing=\"{sharing}\"");
        assert!(text.contains(&label), "{text}");
    }
}

/// A family's series follow its head, and no head comes twice.
#[test]
fn families_are_contiguous() {
    let (director, _worker) = director();
    for (_, options) in every() {
        for format in FORMATS {
            let text = director.metrics(&options.with_format(format));
            let body = match format {
                Format::OpenMetrics => text.strip_suffix("# EOF\n").expect("the end"),
                _ => text.as_str(),
            };
            let (mut heads, mut now) = (BTreeSet::new(), String::new());
            for line in body.lines() {
                let mut words = line.split([' ', '{']);
                match line.strip_prefix("# ") {
                    Some(head) => {
                        let mut words = head.split(' ');
                        let (what, name) = (words.next(), words.next().expect("a name"));
                        assert!(heads.insert((what, name.to_owned())), "{line}");
                        now = name.to_owned();
                    }
                    None => {
                        assert!(words.next().is_some_and(|name| name.starts_with(&now)), "{line}")
                    }
                }
            }
        }
    }
}

/// A counter follows its server through a removal and its return.
#[test]
fn a_server_with_connections_continues_to_count() {
    let (director, worker) = director();
    let config = director.config();
    let options = Options::new().with_servers();
    let count = |text: &str, name: &str| -> Option<u64> {
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.rsplit(' ').next()?.parse().ok()
    };
    let key = "udp [2001:db8::1]:53";
    let name = format!("vsched_server_connections_total{{service=\"{key}\",");
    let removed = "vsched_removed_servers ";
    let text = director.metrics(&options);
    assert_eq!((count(&text, &name), count(&text, removed)), (Some(1), Some(0)));
    let mut without = config.clone();
    without.services[1].servers.clear();
    director.apply(&without).expect("valid");
    let text = director.metrics(&options);
    assert_eq!((count(&text, &name), count(&text, removed)), (None, Some(1)));
    director.apply(&config).expect("valid");
    let text = director.metrics(&options);
    assert_eq!((count(&text, &name), count(&text, removed)), (Some(1), Some(0)));
    drop(worker);
}
