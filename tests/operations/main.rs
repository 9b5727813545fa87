//! docs/operations.md, the alerts and the dashboard agree with the metrics that are written, and
//! Prometheus itself accepts every query.
//!
//! Where promtool is missing this prints SKIPPED; with `VSCHED_PROGRAMS=required` in the environment
//! that is a failure.

#[path = "../common/installed.rs"]
mod installed;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use vsched::metrics::Options;
use vsched::{Config, Director};

const RULES: &str = "packaging/prometheus/vsched.rules.yml";
const DASHBOARD: &str = "packaging/grafana/vsched.json";

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Every metric that is written: its type.
fn written() -> BTreeMap<String, String> {
    let director = Director::new(&Config::default()).expect("valid");
    let text = director.metrics(&Options::new().with_servers().with_traffic());
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let split = |line: &str| {
        let (name, kind) = line.split_once(' ').expect("a type");
        (name.to_owned(), kind.to_owned())
    };
    let types: BTreeMap<_, _> = types.map(split).collect();
    assert!(types.len() > 30, "{types:?}");
    types
}

/// The names of metrics that a text mentions.
fn named(text: &str) -> BTreeSet<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !is_word(c));
    let prefixes = ["vsched_service", "vsched_server", "vsched_removed_"];
    let is_name = |word: &&str| {
        prefixes.iter().any(|prefix| word.starts_with(prefix))
            || matches!(*word, "vsched_build_info" | "vsched_clock_seconds")
    };
    words.filter(is_name).map(str::to_owned).collect()
}

/// The fenced blocks in this language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let body = |part: &str| part.split("```").next().expect("its end").to_owned();
    text.split(fence.as_str()).skip(1).map(body).collect()
}

fn strings<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get(key).and_then(Value::as_str));
            fields.values().for_each(|value| strings(value, key, found));
        }
        Value::Array(items) => items.iter().for_each(|item| strings(item, key, found)),
        _ => {}
    }
}

/// Every query of the dashboard, with values for its variables.
fn dashboard() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).expect("JSON");
    let (mut queries, mut ids) = (Vec::new(), BTreeSet::new());
    strings(&dashboard, "expr", &mut queries);
    for panel in dashboard["panels"].as_array().expect("panels") {
        assert!(ids.insert(panel["id"].as_u64()), "an id twice: {panel}");
        let place = |key| panel["gridPos"][key].as_u64().expect("a place");
        assert!(place("x") + place("w") <= 24, "{}", panel["title"]);
        assert!(panel["type"] == "row" || panel["targets"][0]["expr"].is_string(), "{panel}");
    }
    let filled = |query: &&str| {
        let query = query.replace("$__rate_interval", "5m");
        let query = query.replace("$instance", ".*").replace("$service", ".*");
        assert!(!query.contains('$'), "a variable that the dashboard has not: {query}");
        query
    };
    queries.iter().map(filled).collect()
}

fn promtool(arguments: &[&str]) {
    let Some(promtool) = installed::program("promtool") else { return };
    let output = Command::new(promtool).args(arguments).output().expect("it runs");
    let texts = [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
    assert!(output.status.success(), "{arguments:?}:\n{}", texts.concat());
}

/// Writes a file for promtool.
fn scratch(name: &str, text: &str) -> String {
    let folder = path("target/tmp/operations");
    fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join(name);
    fs::write(&file, text).expect("a file");
    file.display().to_string()
}

#[test]
fn the_table_lists_every_metric_with_its_type() {
    let text = read("docs/operations.md");
    let table = text.lines().skip_while(|line| !line.starts_with("| metric "));
    let rows = table.skip(2).take_while(|line| line.starts_with('|'));
    let row = |row: &str| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        assert!(cells.len() == 6 && !cells[4].is_empty(), "{row}");
        (cells[1].trim_matches('`').to_owned(), cells[2].to_owned())
    };
    assert_eq!(rows.map(row).collect::<BTreeMap<_, _>>(), written());
}

/// The states that the document explains are those that are written, in the order in which they count.
#[test]
fn the_table_of_states_is_complete() {
    let config: Config = "-A -t 10.0.0.1:80".parse().expect("rules");
    let text = Director::new(&config).expect("valid").metrics(&Options::new());
    let state = |line: &str| Some(line.split_once("state=\"")?.1.split('"').next()?.to_owned());
    let mut written: Vec<String> = text.lines().filter_map(state).collect();
    let document = read("docs/operations.md");
    let table = document.lines().skip_while(|line| !line.starts_with("| state "));
    let rows = table.skip(2).take_while(|line| line.starts_with('|'));
    let listed: Vec<&str> = rows.filter_map(|row| row.split('`').nth(1)).collect();
    // Up is what is left.
    written.rotate_left(1);
    assert_eq!(listed, written);
}

#[test]
fn queries_name_metrics_that_exist() {
    let written: BTreeSet<String> = written().into_keys().collect();
    let document = read("docs/operations.md");
    let dashboard = read(DASHBOARD);
    let alerts = read("tests/operations/alerts.yml");
    for (what, text) in [
        ("docs/operations.md", &document),
        (RULES, &read(RULES)),
        (DASHBOARD, &dashboard),
        ("alerts.yml", &alerts),
    ] {
        let used = named(text);
        assert!(used.len() > 5, "{what}: {used:?}");
        let unknown: Vec<_> = used.difference(&written).collect();
        assert!(unknown.is_empty(), "{what}: {unknown:?}");
    }
}

/// Each alert is explained, and tested.
#[test]
fn every_alert_is_explained_and_tested() {
    let (rules, document) = (read(RULES), read("docs/operations.md"));
    let tests = read("tests/operations/alerts.yml");
    let names = |text: &str, key: &str| -> BTreeSet<String> {
        let names =
            text.lines().filter_map(|line| line.trim_start_matches([' ', '-']).strip_prefix(key));
        names.map(str::to_owned).collect()
    };
    let alerts = names(&rules, "alert: ");
    assert_eq!(alerts.len(), 9);
    assert_eq!(names(&tests, "alertname: "), alerts);
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `Vsched"));
    let explained = rows.filter_map(|row| row.split('`').next());
    assert_eq!(explained.map(|name| format!("Vsched{name}")).collect::<BTreeSet<_>>(), alerts);
}

#[test]
fn prometheus_accepts_every_query() {
    let document = blocks(&read("docs/operations.md"), "promql");
    let dashboard = dashboard();
    assert!(document.len() >= 10 && dashboard.len() >= 15);
    let rule = |(number, query): (usize, &String)| {
        let query = query.trim().replace('\n', " ");
        format!("      - record: query:{number}\n        expr: {}\n", Value::from(query))
    };
    let rules = document.iter().chain(&dashboard).enumerate().map(rule).collect::<String>();
    let rules = format!("groups:\n  - name: queries\n    rules:\n{rules}");
    promtool(&["check", "rules", &scratch("queries.yml", &rules)]);
}

#[test]
fn prometheus_accepts_the_config_of_the_document() {
    let document = read("docs/operations.md");
    let [config] = blocks(&document, "yaml").try_into().expect("one");
    let config = config.replace("vsched.rules.yml", &path(RULES).display().to_string());
    promtool(&["check", "config", &scratch("prometheus.yml", &config)]);
}

#[test]
fn alerts_fire_when_they_should() {
    let tests =
        read("tests/operations/alerts.yml").replace("RULES", &path(RULES).display().to_string());
    promtool(&["test", "rules", &scratch("alerts.yml", &tests)]);
}

/// promtool's own opinion of names, types and help texts.
#[test]
fn prometheus_finds_nothing_to_criticize() {
    let config: Config =
        "-A -t 10.0.0.1:80 -p 300\n-a -t 10.0.0.1:80 -r 10.0.1.1".parse().expect("rules");
    let director = Director::new(&config).expect("valid");
    let text = director.metrics(&Options::new().with_servers().with_traffic());
    let file = scratch("metrics.txt", &text);
    if Command::new("promtool").arg("--version").output().is_err() {
        return promtool(&[]);
    }
    let input = fs::File::open(file).expect("written");
    let output = Command::new("promtool").args(["check", "metrics"]).stdin(input).output();
    let output = output.expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}");
}
