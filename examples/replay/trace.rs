//! One recorded line: reads it, and names what is wrong with one that is malformed.
//!
//! The format is described in `tests/data/traces/README.md`. Every deviation is an error: a
//! half-understood trace would prove half of what it claims.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde_json::{Map, Value};
use vsched::config::{Forwarding, KernelRules, MAX_WEIGHT, RealServer, ServiceKey};

/// The life of one service in a kernel.
pub(crate) struct Trace {
    pub(crate) place: Place,
    pub(crate) kernel: String,
    pub(crate) generation: KernelRules,
    /// A name only: this build need not know the scheduler.
    pub(crate) scheduler: String,
    pub(crate) flags: Vec<String>,
    pub(crate) service: ServiceKey,
    pub(crate) steps: Vec<Step>,
}

/// File and line, counted from 1.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) file: String,
    pub(crate) line: usize,
}

pub(crate) struct Step {
    pub(crate) event: Event,
    /// As recorded, for reports.
    pub(crate) text: String,
}

pub(crate) enum Event {
    Add(RealServer),
    Edit(RealServer),
    Delete(SocketAddr),
    Scheduler(String),
    Pick {
        connection: u64,
        client: SocketAddr,
        destination: SocketAddr,
        server: Option<SocketAddr>,
    },
    Inactive(u64),
    Expire(u64),
    Counts(Vec<(SocketAddr, u32, u32)>),
}

/// A line, or one event of it, that cannot be replayed.
#[derive(Debug)]
pub(crate) struct Malformed {
    file: String,
    line: usize,
    event: Option<usize>,
    problem: String,
}

impl Malformed {
    pub(crate) fn new(place: &Place, event: Option<usize>, problem: impl Into<String>) -> Self {
        Malformed { file: place.file.clone(), line: place.line, event, problem: problem.into() }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        if let Some(event) = self.event {
            write!(f, "event {event}: ")?;
        }
        f.write_str(&self.problem)
    }
}

impl std::error::Error for Malformed {}

const FIELDS: [&str; 7] =
    ["kernel", "generation", "scheduler", "flags", "service", "complete", "events"];

impl Trace {
    /// Reads one line.
    pub(crate) fn read(place: Place, line: &str) -> Result<Self, Malformed> {
        let whole = |problem: String| Malformed::new(&place, None, problem);
        let value: Value =
            serde_json::from_str(line).map_err(|error| whole(format!("not JSON: {error}")))?;
        let fields = Fields::of(&value).map_err(whole)?;
        let mut steps = Vec::new();
        for (index, value) in fields.list("events").map_err(whole)?.iter().enumerate() {
            let event =
                event(value).map_err(|problem| Malformed::new(&place, Some(index), problem))?;
            let text = value.to_string();
            steps.push(Step { event, text });
        }
        let trace = || {
            if fields.get("complete", "true", Value::as_bool)? {
                Ok(Trace {
                    place: place.clone(),
                    kernel: fields.text("kernel")?,
                    generation: fields.get("generation", "\"A\" or \"B\"", generation)?,
                    scheduler: fields.text("scheduler")?,
                    flags: fields.flags()?,
                    service: fields.key()?,
                    steps,
                })
            } else {
                Err("`complete`: expected true: the recording was cut off".to_owned())
            }
        };
        trace().map_err(whole)
    }
}

struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    fn of(value: &'a Value) -> Result<Self, String> {
        let object =
            value.as_object().ok_or_else(|| format!("expected a JSON object, found {value}"))?;
        match object.keys().find(|key| !FIELDS.contains(&key.as_str())) {
            None => Ok(Fields(object)),
            Some(unknown) => {
                Err(format!("unknown field `{unknown}`; expected {}", FIELDS.join(", ")))
            }
        }
    }

    fn get<T>(
        &self,
        field: &str,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<T, String> {
        let value = self
            .0
            .get(field)
            .ok_or_else(|| format!("missing field `{field}`: expected {expected}"))?;
        read(value).ok_or_else(|| format!("`{field}`: expected {expected}, found {value}"))
    }

    fn text(&self, field: &str) -> Result<String, String> {
        self.get(field, "a text", |value| {
            let text = value.as_str().filter(|text| !text.is_empty());
            text.map(str::to_owned)
        })
    }

    fn list(&self, field: &str) -> Result<&'a Vec<Value>, String> {
        self.get(field, "an array", Value::as_array)
    }

    fn flags(&self) -> Result<Vec<String>, String> {
        self.get("flags", "an array of flag names", |value| {
            let names = value.as_array()?.iter();
            names.map(|name| name.as_str().map(str::to_owned)).collect()
        })
    }

    fn key(&self) -> Result<ServiceKey, String> {
        let key = self.text("service")?;
        key.parse().map_err(|error| format!("`service`: {error}"))
    }
}

fn generation(value: &Value) -> Option<KernelRules> {
    match value.as_str()? {
        "A" => Some(KernelRules::A),
        "B" => Some(KernelRules::B),
        _ => None,
    }
}

const SHAPES: [(&str, &str); 8] = [
    ("add", "[\"add\", server, weight, upper, lower]"),
    ("edit", "[\"edit\", server, weight, upper, lower]"),
    ("delete", "[\"delete\", server]"),
    ("scheduler", "[\"scheduler\", name]"),
    (
        "pick",
        "[\"pick\", id, client address, client port, destination address, destination port, server or null]",
    ),
    ("inactive", "[\"inactive\", id]"),
    ("expire", "[\"expire\", id]"),
    ("counts", "[\"counts\", [[server, active, inactive], …]]"),
];

fn event(value: &Value) -> Result<Event, String> {
    let (kind, rest) = value
        .as_array()
        .and_then(|array| array.split_first())
        .and_then(|(kind, rest)| Some((kind.as_str()?, rest)))
        .ok_or_else(|| format!("expected an array that starts with a kind, found {value}"))?;
    Ok(match (kind, rest) {
        ("add", [server, weight, upper, lower]) => {
            Event::Add(real_server(server, weight, upper, lower)?)
        }
        ("edit", [server, weight, upper, lower]) => {
            Event::Edit(real_server(server, weight, upper, lower)?)
        }
        ("delete", [server]) => Event::Delete(address(server)?),
        ("scheduler", [name]) => Event::Scheduler(
            name.as_str()
                .ok_or_else(|| format!("expected the name of a scheduler, found {name}"))?
                .to_owned(),
        ),
        ("pick", [id, client, client_port, to, to_port, server]) => Event::Pick {
            connection: connection(id)?,
            client: SocketAddr::new(ip(client)?, port(client_port)?),
            destination: SocketAddr::new(ip(to)?, port(to_port)?),
            server: match server {
                Value::Null => None,
                server => Some(address(server)?),
            },
        },
        ("inactive", [id]) => Event::Inactive(connection(id)?),
        ("expire", [id]) => Event::Expire(connection(id)?),
        ("counts", [Value::Array(rows)]) => {
            Event::Counts(rows.iter().map(counts).collect::<Result<_, _>>()?)
        }
        (kind, _) => {
            return Err(match SHAPES.iter().find(|(known, _)| *known == kind) {
                Some((_, shape)) => format!("expected {shape}, found {value}"),
                None => format!(
                    "unknown kind `{kind}`; expected {}",
                    SHAPES.map(|(kind, _)| kind).join(", ")
                ),
            });
        }
    })
}

fn counts(row: &Value) -> Result<(SocketAddr, u32, u32), String> {
    match row.as_array().map(Vec::as_slice) {
        Some([server, active, inactive]) => Ok((
            address(server)?,
            number(active, "active connections", u32::MAX)?,
            number(inactive, "inactive connections", u32::MAX)?,
        )),
        _ => Err(format!("expected [server, active, inactive], found {row}")),
    }
}

fn real_server(
    server: &Value,
    weight: &Value,
    upper: &Value,
    lower: &Value,
) -> Result<RealServer, String> {
    let upper = number(upper, "an upper threshold", u32::MAX)?;
    let lower = number(lower, "a lower threshold", u32::MAX)?;
    Ok(RealServer::new(address(server)?)
        .with_forwarding(Forwarding::Masq)
        .with_weight(number(weight, "a weight", MAX_WEIGHT)?)
        .with_thresholds(upper, lower))
}

fn number(value: &Value, what: &str, most: u32) -> Result<u32, String> {
    value
        .as_u64()
        .and_then(|number| u32::try_from(number).ok())
        .filter(|number| *number <= most)
        .ok_or_else(|| format!("expected {what} from 0 to {most}, found {value}"))
}

fn port(value: &Value) -> Result<u16, String> {
    value
        .as_u64()
        .and_then(|port| u16::try_from(port).ok())
        .ok_or_else(|| format!("expected a port from 0 to 65535, found {value}"))
}

fn connection(value: &Value) -> Result<u64, String> {
    value.as_u64().ok_or_else(|| format!("expected the number of a connection, found {value}"))
}

fn ip(value: &Value) -> Result<IpAddr, String> {
    value
        .as_str()
        .and_then(|ip| ip.parse().ok())
        .ok_or_else(|| format!("expected an IP address, found {value}"))
}

fn address(value: &Value) -> Result<SocketAddr, String> {
    value
        .as_str()
        .and_then(|address| address.parse().ok())
        .ok_or_else(|| format!("expected a server as \"ADDRESS:PORT\", found {value}"))
}
