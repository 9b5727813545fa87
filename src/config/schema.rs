//! JSON Schema of a config: what the derived schemas cannot see. Limits come from the constants that
//! validation uses, names of schedulers and flags from the registry.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::field::Field;
use super::validate::{MAX_AFFINITY, MAX_ENGINE, MAX_INTERFACE, MAX_MESSAGE, SPILL_OVER};
use super::{
    Config, Ejection, GENERIC_FLAG_NAMES, MAX_MH_TABLE_INDEX, MAX_SERVERS, MAX_SERVICES,
    MAX_TIMEOUT, MAX_WEIGHT, MIN_MH_TABLE_INDEX, Name, Outliers, SchedulerFlags, SchedulerKind,
    ServiceKey, Sharing, SlowStart, TunnelChecksum, VirtualService,
};

const OCTET: &str = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
const PORT: &str = "0*(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5]?[0-9]{1,4})";
const MARK: &str = "0*[1-9][0-9]{0,9}";

/// An address and port, IPv6 in brackets.
fn endpoint() -> String {
    format!(r"({OCTET}(\.{OCTET}){{3}}|\[[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*\]):{PORT}")
}

/// 1 to `MAX_CHUNK`.
const CHUNKS: &str = "^chunks-([1-9]|[1-5][0-9]|6[0-4])$";

impl Config {
    /// Returns the JSON Schema (draft 2020-12) of a config as text, as in `docs/vsched.schema.json`.
    ///
    /// What it accepts, a config may still refuse: the schema knows the limits of each number and text, but
    /// not what depends on another field. [`validate`](Self::validate) knows both.
    ///
    /// ```
    /// let schema: serde_json::Value = serde_json::from_str(&vsched::Config::schema_text())?;
    /// assert_eq!(schema["$defs"]["RealServer"]["properties"]["weight"]["maximum"], 2_147_483_647);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn schema_text() -> String {
        let mut schema =
            SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Config>();
        schema.insert("$id".to_owned(), json!("urn:vsched:config"));
        // Never an error: all keys are texts.
        let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
        text.push('\n');
        text
    }
}

/// A 64-bit number, as a number or a text.
pub(super) struct Wide;

/// A type whose text is not derived.
macro_rules! texts {
    ($($type:ident $schema:expr;)+) => { $(
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    )+ };
}

texts! {
    ServiceKey json_schema!({
        "type": "string",
        "description": "The identity of a service: protocol, address and port, or a firewall mark.",
        "pattern": format!("^((tcp|udp|sctp) +{}|fwmark +{MARK}( +inet6?)?)$", endpoint()),
        "examples": ["tcp 192.168.4.5:80", "udp [2001:db8::1]:53", "fwmark 7", "fwmark 7 inet6"],
    });
    SchedulerKind json_schema!({
        "description": "The scheduler; `none` refuses every new connection.",
        "oneOf": SchedulerKind::ALL.iter()
            .map(|kind| json!({ "const": kind.name(), "description": kind.summary() }))
            .chain([json!({ "const": "none", "description": "no scheduler" })])
            .collect::<Vec<_>>(),
    });
    SchedulerFlags json_schema!({
        "type": "array",
        "items": { "enum": flags() },
    });
    Sharing json_schema!({
        "description": "Whether the workers of a director share scheduling state or each have their own.",
        "oneOf": [
            { "const": "exact",
              "description": "One sequence of picks for all workers: together they pick as one kernel would." },
            { "const": "per-worker", "description": "One sequence of picks per worker." },
            { "type": "string", "pattern": CHUNKS, "examples": ["chunks-16"],
              "description": "For rr and wrr: one sequence of picks for all workers, of which each takes 1 to 64 turns at once." },
        ],
    });
    Wide json_schema!({
        "description": "A number from 0 to 18446744073709551615, or a text of its digits.",
        "anyOf": [
            { "type": "integer", "minimum": 0, "maximum": u64::MAX },
            { "type": "string", "pattern": "^[0-9]+$" },
        ],
    });
    Name json_schema!({
        "type": "string",
        "description": "1 to 253 ASCII letters, digits and -_./@, one of them a letter.",
        "maxLength": Name::MAX,
        "pattern": "^[-_./@0-9]*[A-Za-z][-_./@0-9A-Za-z]*$",
        "examples": ["web"],
    });
}

/// The names of all schedulers' flags, the general ones first.
fn flags() -> Vec<&'static str> {
    let own = SchedulerKind::ALL.iter().flat_map(|kind| kind.flag_names());
    let own: Vec<_> = own.filter(|name| !GENERIC_FLAG_NAMES.contains(name)).collect();
    GENERIC_FLAG_NAMES.into_iter().chain(own).collect()
}

/// The schema of a field of this object.
fn property<'s>(schema: &'s mut Schema, name: &str) -> Option<&'s mut Map<String, Value>> {
    schema.get_mut("properties")?.get_mut(name)?.as_object_mut()
}

fn set(schema: &mut Schema, name: &str, key: &str, value: impl Into<Value>) {
    if let Some(field) = property(schema, name) {
        field.insert(key.to_owned(), value.into());
    }
}

fn limit(schema: &mut Schema, name: &str, least: impl Into<Value>, most: impl Into<Value>) {
    set(schema, name, "minimum", least);
    set(schema, name, "maximum", most);
}

fn limits<T>(schema: &mut Schema, fields: &[Field<T>]) {
    for Field { name, least, most, .. } in fields {
        limit(schema, name, *least, *most);
    }
    plain(schema);
}

/// Descriptions without examples in Rust, and without links, which lead nowhere outside of Rust's
/// documentation.
pub(super) fn plain(schema: &mut Schema) {
    fn clean(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                // Formats such as `uint32` are this generator's own; the limits say the same.
                fields.retain(|name, value| {
                    name != "format" || !value.as_str().is_some_and(|it| it.contains("int"))
                });
                for (name, value) in fields {
                    match value {
                        Value::String(text) if name == "description" => {
                            *text = without_links(&without_examples(text))
                        }
                        _ => clean(value),
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(clean),
            _ => {}
        }
    }
    if let Some(fields) = schema.as_object_mut() {
        let mut whole = Value::Object(std::mem::take(fields));
        clean(&mut whole);
        if let Value::Object(cleaned) = whole {
            *fields = cleaned;
        }
    }
}

fn without_examples(text: &str) -> String {
    text.split("```").step_by(2).map(str::trim_end).collect()
}

/// `[text](target)` and `` [`text`] `` become the text; lines of one paragraph are joined.
fn without_links(text: &str) -> String {
    let (mut result, mut rest) = (String::new(), text);
    while let Some((before, link)) = rest.split_once("[`") {
        let Some((name, after)) = link.split_once("`]") else { break };
        result.push_str(before);
        result.push_str(&format!("`{name}`"));
        let target = after.strip_prefix('(').and_then(|target| target.split_once(')'));
        rest = target.map_or(after, |(_, after)| after);
    }
    result.push_str(rest);
    let paragraphs =
        result.split("\n\n").map(|it| it.split_whitespace().collect::<Vec<_>>().join(" "));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

pub(super) fn config(schema: &mut Schema) {
    set(schema, "services", "maxItems", MAX_SERVICES);
    plain(schema);
}

pub(super) fn timeouts(schema: &mut Schema) {
    for name in ["tcp", "tcp_fin", "udp"] {
        limit(schema, name, 1, MAX_TIMEOUT);
    }
    plain(schema);
}

pub(super) fn daemon(schema: &mut Schema) {
    set(schema, "interface", "minLength", 1);
    set(schema, "interface", "maxLength", MAX_INTERFACE);
    limit(schema, "max_len", 1, MAX_MESSAGE);
    limit(schema, "port", 1, u16::MAX);
    limit(schema, "ttl", 1, u8::MAX);
    plain(schema);
}

/// Not derived from serde's text, which is another type's.
pub(super) fn service(schema: &mut Schema) {
    // The key does not matter: only what is not set.
    let defaults = VirtualService::new(ServiceKey::fwmark(1, super::Family::Inet));
    let written = serde_json::to_value(&defaults).unwrap_or_default();
    for name in ["scheduler", "servers"] {
        set(schema, name, "default", written.get(name).cloned().unwrap_or_default());
    }
    if let Some(field) = property(schema, "scheduler") {
        // A text, never null.
        if let Some(kinds) = field.remove("anyOf") {
            field.extend([("$ref".to_owned(), kinds[0]["$ref"].clone())]);
        }
    }
    let values = [
        ("mh_table_index", json!(defaults.mh_table_index)),
        ("one_packet", json!(defaults.one_packet)),
        ("affinity", json!(defaults.affinity)),
        ("sharing", json!(defaults.sharing)),
        ("ties", json!(defaults.ties)),
        ("flags", json!([])),
        ("panic_threshold", json!(defaults.panic_threshold)),
    ];
    for (name, value) in values {
        set(schema, name, "default", value);
    }
    limit(schema, "mh_table_index", MIN_MH_TABLE_INDEX, MAX_MH_TABLE_INDEX);
    limit(schema, "spill_over", SPILL_OVER.0, SPILL_OVER.1);
    limit(schema, "panic_threshold", 0, 100);
    set(schema, "servers", "maxItems", MAX_SERVERS);
    set(schema, "persistence_engine", "pattern", format!("^[!-~]{{1,{MAX_ENGINE}}}$"));
    schema.insert("required".to_owned(), json!(["key"]));
    schema.insert("additionalProperties".to_owned(), json!(false));
    plain(schema);
}

pub(super) fn persistence(schema: &mut Schema) {
    limit(schema, "timeout", 1, MAX_TIMEOUT);
    plain(schema);
}

pub(super) fn affinity(schema: &mut Schema) {
    limit(schema, "capacity", 1, MAX_AFFINITY);
    limit(schema, "expiration", 1, MAX_TIMEOUT);
    plain(schema);
}

pub(super) fn netmask(schema: &mut Schema) {
    let ways = [
        json!({ "type": "string", "pattern": format!(r"^{OCTET}(\.{OCTET}){{3}}$"), "examples": ["255.255.255.0"],
            "description": "IPv4: mask of the significant bits of the client address." }),
        json!({ "type": "integer", "minimum": 1, "maximum": 128,
            "description": "IPv6: prefix length." }),
    ];
    schema.insert("anyOf".to_owned(), json!(ways));
}

pub(super) fn server(schema: &mut Schema) {
    set(schema, "address", "pattern", format!("^{}$", endpoint()));
    set(schema, "address", "examples", json!(["192.168.5.11:80", "[2001:db8::5]:80"]));
    limit(schema, "weight", 0, MAX_WEIGHT);
    plain(schema);
}

pub(super) fn tunnel(schema: &mut Schema) {
    for way in schema.get_mut("oneOf").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(port) = way.pointer_mut("/properties/port") {
            port["minimum"] = json!(1);
        }
        let gre = way.pointer("/properties/type/const").is_some_and(|name| name == "gre");
        if let Some(checksum) = way.pointer_mut("/properties/checksum").filter(|_| gre) {
            // `remote` is for gue only.
            checksum["enum"] = json!([TunnelChecksum::None, TunnelChecksum::Full]);
        }
    }
    plain(schema);
}

pub(super) fn ejection(schema: &mut Schema) {
    limits(schema, Ejection::FIELDS);
}

pub(super) fn outliers(schema: &mut Schema) {
    limits(schema, Outliers::FIELDS);
}

pub(super) fn slow_start(schema: &mut Schema) {
    limits(schema, SlowStart::FIELDS);
}
