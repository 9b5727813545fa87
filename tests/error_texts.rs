//! Error texts are fit for a terminal and a log, whatever the input: no invisible characters, no
//! cursor movement, one line per problem, and never much longer than the problem.
#![cfg(feature = "serde")]

use serde::de::DeserializeOwned;
use vsched::SchedulerKind;
use vsched::config::listing::Listing;
use vsched::config::{
    Affinity, Command, Config, Ejection, Family, Forwarding, KernelRules, Netmask, Observed,
    OutlierMethod, Outliers, Persistence, Protocol, RealServer, ServiceKey, Sharing, SlowStart,
    SyncDaemon, SyncRole, Thresholds, Ties, Timeouts, Tunnel, TunnelChecksum, VirtualService,
};
use vsched::{Director, Flow};

/// What an attacker would write, and how it may be seen in a text.
fn hostile() -> Vec<(String, &'static str)> {
    let escaped = [
        ("a\0b", r"\0"),
        ("\x1b[31mred\x07", r"\u{1b}[31mred\u{7}"),
        ("\u{202e}abc", r"\u{202e}abc"),
        ("a\u{2066}b\u{200f}", r"a\u{2066}b\u{200f}"),
        ("x\u{9b}31m\u{feff}", r"x\u{9b}31m\u{feff}"),
        ("x\u{3164}y\u{2028}", r"x\u{3164}y\u{2028}"),
    ];
    let escaped = escaped.map(|(text, seen)| (text.to_owned(), seen));
    let long = ["a".repeat(1 << 20), "\u{202e}".repeat(1 << 18), "1.".repeat(1 << 19)];
    let long = long.map(|text| (text, "...[cut, "));
    escaped.into_iter().chain(long).collect()
}

/// What can only stand in a text that is not split into lines.
fn hostile_lines() -> Vec<(String, &'static str)> {
    let lines =
        [("a\nerror: b", r"a\nerror: b"), ("a\r\nb", r"a\r\nb"), ("a\nin `b`", r"a\nin `b`")];
    hostile().into_iter().chain(lines.map(|(text, seen)| (text.to_owned(), seen))).collect()
}

type Read = fn(&str) -> String;

fn rules(text: &str) -> String {
    match text.parse::<Config>() {
        Ok(config) => config.validate().expect_err("hostile").to_string(),
        Err(error) => {
            assert!(error.message().chars().count() < 500);
            error.to_string()
        }
    }
}

/// Entry points that get the text within a line.
const LINES: &[(&str, Read)] = &[
    ("a command", |text| rules(text)),
    ("a second word", |text| rules(&format!("-C {text}"))),
    ("an option", |text| rules(&format!("-C --{text}"))),
    ("a letter", |text| rules(&format!("-A -{text}"))),
    ("a later letter", |text| rules(&format!("-A -f 7 -6{text}"))),
    ("a value that is none", |text| rules(&format!("-C --clear={text}"))),
    ("an address", |text| rules(&format!("-A -t {text}"))),
    ("a host's name", |text| rules(&format!("-A -t a{text}:80"))),
    ("an address in brackets", |text| rules(&format!("-A -t [{text}]:80"))),
    ("a port", |text| rules(&format!("-A -t 10.0.0.1:{text}"))),
    ("a mark", |text| rules(&format!("-A -f {text}"))),
    ("a scheduler", |text| rules(&format!("-A -t 10.0.0.1:80 -s {text}"))),
    ("a flag", |text| rules(&format!("-A -t 10.0.0.1:80 -s rr -b {text}"))),
    ("a timeout", |text| rules(&format!("-A -t 10.0.0.1:80 -p {text}"))),
    ("a mask", |text| rules(&format!("-A -t 10.0.0.1:80 -p -M {text}"))),
    ("a prefix", |text| rules(&format!("-A -t [::1]:80 -p -M x{text}"))),
    ("an engine", |text| rules(&format!("-A -f 7 -p --pe {text}"))),
    ("a server", |text| rules(&format!("-a -t 10.0.0.1:80 -r {text}"))),
    ("a weight", |text| rules(&format!("-a -t 10.0.0.1:80 -r 10.0.0.2 -w {text}"))),
    ("a threshold", |text| rules(&format!("-a -t 10.0.0.1:80 -r 10.0.0.2 -x {text}"))),
    ("a kind of tunnel", |text| {
        rules(&format!("-a -t 10.0.0.1:80 -r 10.0.0.2 -i --tun-type {text}"))
    }),
    ("a kind of tunnel without a tunnel", |text| {
        rules(&format!("-a -t 10.0.0.1:80 -r 10.0.0.2 --tun-type gue --tun-port {text}"))
    }),
    ("a pair", |text| rules(&format!("-A -f 7 --vsched-ejection {text}"))),
    ("a pair's key", |text| rules(&format!("-A -f 7 --vsched-ejection {text}=1"))),
    ("a pair's number", |text| rules(&format!("-A -f 7 --vsched-slow-start least={text}"))),
    ("a pair's name", |text| rules(&format!("-A -f 7 --vsched-ejection outliers={text}"))),
    ("ties", |text| rules(&format!("-A -f 7 --vsched-ties {text}"))),
    ("an option twice", |text| rules(&format!("-A -f 7 -p --pe={text} --pe={text}"))),
];

fn json(text: &str) -> String {
    match serde_json::from_str::<Config>(text) {
        Ok(config) => config.validate().expect_err("hostile").to_string(),
        Err(error) => {
            assert!(error.line() > 0, "{error}");
            error.to_string()
        }
    }
}

fn string(text: &str) -> String {
    serde_json::to_string(text).expect("JSON")
}

fn by_itself<T: DeserializeOwned>(field: &str) -> String {
    let text = format!("{{{}: 1}}", string(field));
    serde_json::from_str::<T>(&text).err().expect("hostile").to_string()
}

fn name<T: DeserializeOwned>(text: &str) -> String {
    serde_json::from_str::<T>(&string(text)).err().expect("hostile").to_string()
}

fn json_service(fields: &str) -> String {
    json(&format!(r#"{{"services": [{{"key": "tcp 10.0.0.1:80", {fields}}}]}}"#))
}

fn json_server(fields: &str) -> String {
    json_service(&format!(r#""servers": [{{"address": "10.0.0.2:80", {fields}}}]"#))
}

fn daemon(interface: &str) -> SyncDaemon {
    SyncDaemon::new(SyncRole::Master, interface.to_owned())
}

fn with_engine(engine: &str) -> Config {
    let mut service = VirtualService::new("tcp 10.0.0.1:80".parse().expect("a key"));
    service.persistence = Some(Persistence::default());
    service.persistence_engine = Some(engine.to_owned());
    Config::new().with_service(service)
}

/// Entry points that get any text.
const TEXTS: &[(&str, Read)] = &[
    ("words of a command", |text| {
        Command::from_words(&["-A", text]).expect_err("hostile").to_string()
    }),
    ("words of a command, the first", |text| {
        Command::from_words(&[text]).expect_err("hostile").to_string()
    }),
    ("a key", |text| text.parse::<ServiceKey>().expect_err("hostile").to_string()),
    ("a key's protocol", |text| {
        format!("{text} x").parse::<ServiceKey>().expect_err("hostile").to_string()
    }),
    ("a key's address", |text| {
        format!("tcp {text}").parse::<ServiceKey>().expect_err("hostile").to_string()
    }),
    ("a scheduler's name", |text| text.parse::<SchedulerKind>().expect_err("hostile").to_string()),
    ("a service of a director", |text| {
        let director = Director::new(&Config::default()).expect("a director");
        assert_eq!(director.service_for(&Flow::default()), None);
        director.service(text).expect_err("hostile").to_string()
    }),
    ("an interface that is none", |text| {
        let config = Config::new().with_daemon(daemon(&format!("{text} {text}")));
        config.validate().expect_err("hostile").to_string()
    }),
    ("an engine that is none", |text| {
        with_engine(&format!("{text} {text}")).validate().expect_err("hostile").to_string()
    }),
    ("JSON: a field", |text| json(&format!("{{{}: 1}}", string(text)))),
    ("JSON: a field of a service", |text| json_service(&format!("{}: 1", string(text)))),
    ("JSON: a field of a server", |text| json_server(&format!("{}: 1", string(text)))),
    ("JSON: a field of persistence", |text| {
        json_service(&format!(r#""persistence": {{{}: 1}}"#, string(text)))
    }),
    ("JSON: a key", |text| json(&format!(r#"{{"services": [{{"key": {}}}]}}"#, string(text)))),
    ("JSON: a scheduler", |text| json_service(&format!(r#""scheduler": {}"#, string(text)))),
    ("JSON: a flag", |text| json_service(&format!(r#""flags": [{}]"#, string(text)))),
    ("JSON: a sharing", |text| json_service(&format!(r#""sharing": {}"#, string(text)))),
    ("JSON: ties", |text| json_service(&format!(r#""ties": {}"#, string(text)))),
    ("JSON: a field of ejection", |text| {
        json_service(&format!(r#""ejection": {{{}: 1}}"#, string(text)))
    }),
    ("JSON: outliers", |text| {
        json_service(&format!(r#""ejection": {{"outliers": {{"method": {}}}}}"#, string(text)))
    }),
    ("JSON: a field of slow start", |text| {
        json_service(&format!(r#""slow_start": {{{}: 1}}"#, string(text)))
    }),
    ("JSON: a mask", |text| {
        json_service(&format!(r#""persistence": {{"netmask": {}}}"#, string(text)))
    }),
    ("JSON: a number", |text| json(&format!(r#"{{"seed": {}}}"#, string(text)))),
    ("JSON: a truth", |text| {
        json(&format!(r#"{{"expire_quiescent_template": {}}}"#, string(text)))
    }),
    ("JSON: a list", |text| json(&format!(r#"{{"services": {}}}"#, string(text)))),
    ("JSON: everything", |text| json(&string(text))),
    ("JSON: kernel rules", |text| json(&format!(r#"{{"kernel_rules": {}}}"#, string(text)))),
    ("JSON: a server", |text| json_service(&format!(r#""servers": [{}]"#, string(text)))),
    ("JSON: an address", |text| {
        json_service(&format!(r#""servers": [{{"address": {}}}]"#, string(text)))
    }),
    ("JSON: a forwarding method", |text| {
        json_server(&format!(r#""forwarding": {}"#, string(text)))
    }),
    ("JSON: a field of a forwarding method", |text| {
        json_server(&format!(r#""forwarding": {{{}: 1}}"#, string(text)))
    }),
    ("JSON: a kind of tunnel", |text| {
        json_server(&format!(r#""forwarding": {{"tunnel": {{"type": {}}}}}"#, string(text)))
    }),
    ("JSON: a weight", |text| json_server(&format!(r#""weight": {}"#, string(text)))),
    ("JSON: a service by itself", |text| {
        let text = format!("{{{}: 1}}", string(text));
        serde_json::from_str::<VirtualService>(&text).expect_err("hostile").to_string()
    }),
    ("JSON: a server by itself", |text| {
        let text = format!("{{{}: 1}}", string(text));
        serde_json::from_str::<RealServer>(&text).expect_err("hostile").to_string()
    }),
    ("JSON: a field of persistence by itself", |text| by_itself::<Persistence>(text)),
    ("JSON: a field of timeouts by itself", |text| by_itself::<Timeouts>(text)),
    ("JSON: a field of affinity by itself", |text| by_itself::<Affinity>(text)),
    ("JSON: a field of thresholds by itself", |text| by_itself::<Thresholds>(text)),
    ("JSON: a field of a daemon by itself", |text| by_itself::<SyncDaemon>(text)),
    ("JSON: a family by itself", |text| name::<Family>(text)),
    ("JSON: a protocol by itself", |text| name::<Protocol>(text)),
    ("JSON: kernel rules by themselves", |text| name::<KernelRules>(text)),
    ("JSON: a sharing by itself", |text| name::<Sharing>(text)),
    ("JSON: ties by themselves", |text| name::<Ties>(text)),
    ("JSON: a method by itself", |text| name::<OutlierMethod>(text)),
    ("JSON: a field of ejection by itself", |text| by_itself::<Ejection>(text)),
    ("JSON: a field of outliers by itself", |text| by_itself::<Outliers>(text)),
    ("JSON: a field of slow start by itself", |text| by_itself::<SlowStart>(text)),
    ("JSON: a role by itself", |text| name::<SyncRole>(text)),
    ("JSON: a checksum by itself", |text| name::<TunnelChecksum>(text)),
    ("JSON: a tunnel by itself", |text| {
        let text = format!(r#"{{"type": {}}}"#, string(text));
        serde_json::from_str::<Tunnel>(&text).expect_err("hostile").to_string()
    }),
    ("JSON: a mask by itself", |text| {
        serde_json::from_str::<Netmask>(&string(text)).expect_err("hostile").to_string()
    }),
    ("JSON: a forwarding method by itself", |text| {
        serde_json::from_str::<Forwarding>(&string(text)).expect_err("hostile").to_string()
    }),
    ("a JSON value: a field", |text| {
        let value = serde_json::json!({ text: 1 });
        serde_json::from_value::<Config>(value).expect_err("hostile").to_string()
    }),
];

#[cfg(feature = "netlink")]
mod netlink {
    use super::{Read, daemon, with_engine};
    use vsched::Config;
    use vsched::config::Observed;
    use vsched::netlink::plan::{Plan, Policy};
    use vsched::netlink::wire::Header;
    use vsched::netlink::{Namespace, Request};

    /// A plan from nothing to this config, as text.
    fn plan(config: &Config) -> String {
        let plan = Plan::new(config.clone(), &Observed::default(), &Policy::default());
        plan.map_or_else(|error| error.to_string(), |plan| plan.to_string().trim_end().to_owned())
    }

    pub(super) const TEXTS: &[(&str, Read)] = &[
        ("an engine to the kernel", |text| {
            let engine = format!("{text}-is-too-long-for-a-kernel");
            let request = Request::add_service(&with_engine(&engine).services[0]);
            let message = request.message();
            let header = Header::new(28, 1, 1);
            message.encode(header, &mut Vec::new()).expect_err("hostile").to_string()
        }),
        ("an interface in a plan", |text| plan(&Config::new().with_daemon(daemon(text)))),
        ("a namespace", |text| {
            let options = vsched::netlink::Options::default()
                .with_namespace(Namespace::at(format!("/nowhere/{text}")));
            vsched::netlink::Kernel::with_options(&options)
                .map(drop)
                .expect_err("hostile")
                .to_string()
        }),
    ];
}
#[cfg(not(feature = "netlink"))]
mod netlink {
    pub(super) const TEXTS: &[(&str, super::Read)] = &[];
}

fn is_harmless(c: char) -> bool {
    // As Rust prints a character in quotes, apart from the escapes of quotes themselves.
    let hidden = "\u{115f}\u{1160}\u{2800}\u{3164}\u{ffa0}".contains(c);
    !hidden && ("'\"\\".contains(c) || c.escape_debug().count() == 1)
}

fn check(what: &str, text: &str, said: &str, seen: &str) {
    let shown: String = text.chars().take(30).collect();
    let whole = said.chars().count() < 1200;
    assert!(whole, "{what}: {shown:?} of {} bytes: {} bytes", text.len(), said.len());
    let bad = said.chars().find(|c| !is_harmless(*c));
    assert_eq!(bad, None, "{what}: {shown:?}: {said:?}");
    assert!(said.contains(seen), "{what}: {seen:?} is not to be seen in {said:?}");
}

#[test]
fn no_entry_point_passes_on_what_it_was_given_as_it_is() {
    for (what, read) in LINES {
        for (text, seen) in hostile() {
            let said = read(&text);
            // A letter stands for itself, and an option's value may not be told at all.
            let seen = if said.contains(seen) { seen } else { "line 1" };
            check(what, &text, &said, seen);
        }
    }
    for (what, read) in TEXTS.iter().chain(netlink::TEXTS) {
        for (text, seen) in hostile_lines() {
            check(what, &text, &read(&text), seen);
        }
    }
}

#[test]
fn many_problems_are_counted() {
    let server = RealServer::new("0.0.0.0:0".parse().expect("an address"));
    let mut service = VirtualService::new("tcp 10.0.0.1:80".parse().expect("a key"));
    service.servers = vec![server; 50_000];
    let config = Config::new().with_service(service);
    let error = config.validate().expect_err("the unspecified address, and 49999 times again");
    assert_eq!(error.problems().len(), 99_999);
    let text = error.to_string();
    assert_eq!(text.lines().count(), 101);
    assert!(text.ends_with("\nand 99899 more"), "{}", &text[text.len() - 100..]);
    assert!(text.len() < 20_000);
    let director = Director::new(&config).map(drop).expect_err("the same");
    assert_eq!(director.to_string(), text);
}

#[test]
fn a_place_is_told_although_the_rest_is_cut() {
    let field = "a".repeat(100_000);
    let text = format!("{{\n\"{field}\": 1}}");
    let error = serde_json::from_str::<Config>(&text).expect_err("an unknown field");
    assert_eq!((error.line(), error.column()), (2, 100_002));
    let said = error.to_string();
    assert!(said.contains("expected one of `kernel_rules`, `seed`"), "{said}");
    let place = " at line 2 column 100002";
    assert!(said.ends_with(place), "{said}");
    // So much of both ends.
    let (begin, rest) = said.split_once("...[cut, ").expect("it is cut");
    let (_, end) = rest.split_once(" bytes]...").expect("it is cut");
    assert_eq!((begin.len(), end.len()), (120, 320), "{said}");
    // What will do is passed on as the format says it.
    let toml =
        toml::from_str::<Config>("kernel_rules = \"A\"\nsed = 1").expect_err("unknown").to_string();
    assert!(toml.starts_with("TOML parse error at line 2, column 1"), "{toml}");
    assert!(toml.contains("unknown field `sed`"), "{toml}");
    let field = format!("\"a\\n{}\" = 1", "b".repeat(100_000));
    let toml = toml::from_str::<Config>(&field).expect_err("unknown").to_string();
    assert!(
        toml.starts_with("TOML parse error at line 1, column 1: unknown field `a\\nb"),
        "{toml}"
    );
    assert!(toml.len() < 700 && toml.trim_end().lines().count() == 1, "{toml}");
    let nested = "[[services]]\nservice = \"fwmark 7\"\nservers = [{ adress = 1 }]";
    let toml = toml::from_str::<Config>(nested).expect_err("unknown").to_string();
    assert!(toml.starts_with("TOML parse error at line 3, column"), "{toml}");
    assert!(toml.contains("unknown field `adress`, expected one of `address`"), "{toml}");
}

#[test]
fn names_that_are_printed_move_nothing() {
    let engine = "sip\n-C\u{202e}\x1b";
    let config = with_engine(engine);
    let listing = Listing::new(&Observed::from(&config)).to_string();
    assert!(listing.contains(r"pe sip\n-C\u{202e}\u{1b}"), "{listing}");
    assert_eq!(listing.lines().count(), 4, "{listing}");
    let rules = config.to_rules().to_string();
    assert_eq!(rules.lines().count(), 1, "one command: {rules}");
}
