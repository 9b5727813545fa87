//! Parses the tables strictly: anything unknown is an error with its line and what was expected.

use std::net::SocketAddr;

use vsched::Activity;
use vsched::config::KernelRules;

use super::addresses::addresses;

/// Destination port of connections, and port of servers, unless said.
pub(crate) const PORT: u16 = 80;
const CLIENT_PORT: u16 = 40000;

/// Every scheduler of the kernel: a name in a table is one of these, or a slip of the pen.
const SCHEDULERS: [&str; 15] = [
    "rr", "wrr", "lc", "wlc", "sed", "nq", "fo", "ovf", "sh", "dh", "mh", "lblc", "lblcr", "twos",
    "none",
];

#[derive(Debug)]
pub(crate) enum Line {
    Row(Row),
    /// What cannot run yet, and why.
    Later {
        name: String,
        reason: String,
    },
}

#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) line: usize,
    pub(crate) name: String,
    pub(crate) generations: Vec<KernelRules>,
    pub(crate) services: Vec<Service>,
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) kind: Kind,
    pub(crate) scheduler: String,
    pub(crate) flags: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Tcp,
    Tcp6,
    Udp,
    Sctp,
    Fwmark,
}

#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) text: String,
    pub(crate) action: Action,
}

#[derive(Debug)]
pub(crate) enum Action {
    Add(Vec<Server>),
    Apply(Vec<Server>),
    Edit(Vec<Server>),
    Delete(Vec<u8>),
    Scheduler(String),
    Recreate,
    On(Kind),
    /// Server and port; `None` = refused.
    Pick(Vec<Option<(u8, u16)>>),
    Tally(Vec<(u8, u32)>),
    From(Vec<SocketAddr>),
    To(Vec<SocketAddr>),
    Mark(u32),
    Open(u8, Activity, u32),
    Fin(Vec<u8>),
    Expire(Vec<u8>),
    /// Server, active, inactive.
    Counts(Vec<(u8, u32, u32)>),
}

/// A server as far as it is described.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) number: u8,
    pub(crate) weight: Option<u32>,
    pub(crate) upper: Option<u32>,
    pub(crate) lower: Option<u32>,
    pub(crate) port: Option<u16>,
}

/// Reads a whole table.
pub(crate) fn read(text: &str) -> Result<Vec<Line>, String> {
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let number = index + 1;
        let read = match columns[..] {
            ["later", name, reason, scenario, observed] => {
                later(name, [reason, scenario, observed])
            }
            ["later", ..] => Err("expected later | name | why | scenario | observed".to_owned()),
            [name, generations, services, steps] => row(number, name, generations, services, steps),
            _ => Err("expected name | generations | services | steps".to_owned()),
        };
        lines.push(read.map_err(|why| format!("line {number}: {why}"))?);
    }
    Ok(lines)
}

fn later(name: &str, rest: [&str; 3]) -> Result<Line, String> {
    if name.is_empty() || rest.contains(&"") {
        return Err("expected something in each column".to_owned());
    }
    let (name, reason) = (name.to_owned(), rest[0].to_owned());
    Ok(Line::Later { name, reason })
}

fn row(
    line: usize,
    name: &str,
    generations: &str,
    services: &str,
    steps: &str,
) -> Result<Line, String> {
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err(format!("expected a name without blanks, found `{name}`"));
    }
    let generations = match generations {
        "A" => vec![KernelRules::A],
        "B" => vec![KernelRules::B],
        "A B" => vec![KernelRules::A, KernelRules::B],
        other => return Err(format!("expected `A`, `B` or `A B`, found `{other}`")),
    };
    let services: Vec<Service> =
        services.split(',').map(|text| service(text.trim())).collect::<Result<_, _>>()?;
    let mut read = Vec::new();
    for (index, text) in steps.split(';').map(str::trim).enumerate() {
        let action = action(text).map_err(|why| format!("step {}: {why}", index + 1))?;
        if matches!(action, Action::Apply(_)) && index > 0 {
            return Err(format!("step {}: only the first can apply", index + 1));
        }
        let text = text.to_owned();
        read.push(Step { text, action });
    }
    let proves = |step: &Step| matches!(step.action, Action::Pick(_) | Action::Tally(_));
    if !read.iter().any(proves) {
        return Err("expected a pick or a tally in the row".to_owned());
    }
    Ok(Line::Row(Row { line, name: name.to_owned(), generations, services, steps: read }))
}

fn service(text: &str) -> Result<Service, String> {
    let mut words = text.split_whitespace();
    let kind = kind(words.next().unwrap_or_default())?;
    let scheduler = scheduler(words.next().unwrap_or_default())?;
    let flags = words.map(str::to_owned).collect();
    Ok(Service { kind, scheduler, flags })
}

fn kind(word: &str) -> Result<Kind, String> {
    match word {
        "tcp" => Ok(Kind::Tcp),
        "tcp6" => Ok(Kind::Tcp6),
        "udp" => Ok(Kind::Udp),
        "sctp" => Ok(Kind::Sctp),
        "fwmark" => Ok(Kind::Fwmark),
        _ => Err(format!("expected tcp, tcp6, udp, sctp or fwmark, found `{word}`")),
    }
}

fn scheduler(word: &str) -> Result<String, String> {
    if SCHEDULERS.contains(&word) {
        Ok(word.to_owned())
    } else {
        Err(format!("expected a scheduler of the kernel, found `{word}`"))
    }
}

fn action(text: &str) -> Result<Action, String> {
    let mut words = text.split_whitespace();
    let verb = words.next().unwrap_or_default();
    let words: Vec<&str> = words.collect();
    Ok(match (verb, &words[..]) {
        ("recreate", []) => Action::Recreate,
        ("scheduler", [name]) => Action::Scheduler(scheduler(name)?),
        ("on", [name]) => Action::On(kind(name)?),
        ("mark", [mark]) => Action::Mark(number(mark, "a mark")?),
        ("open", [server, activity, count]) => Action::Open(
            number(server, "a server")?,
            match *activity {
                "active" => Activity::Active,
                "inactive" => Activity::Inactive,
                other => return Err(format!("expected active or inactive, found `{other}`")),
            },
            number(count, "how many")?,
        ),
        (
            "add" | "apply" | "edit" | "delete" | "pick" | "tally" | "from" | "to" | "fin"
            | "expire" | "counts",
            [_, ..],
        ) => list(verb, &words)?,
        _ => return Err(format!("expected a step, found `{text}`")),
    })
}

fn list(verb: &str, words: &[&str]) -> Result<Action, String> {
    let numbers = || each(words, |word| number(word, "a server"));
    Ok(match verb {
        "add" => Action::Add(each(words, server)?),
        "apply" => Action::Apply(each(words, server)?),
        "edit" => Action::Edit(each(words, server)?),
        "delete" => Action::Delete(numbers()?),
        "pick" => Action::Pick(each(words, answer)?),
        "tally" => Action::Tally(each(words, tally)?),
        "from" => Action::From(each(words, |word| addresses(word, CLIENT_PORT))?.concat()),
        "to" => Action::To(each(words, |word| addresses(word, PORT))?.concat()),
        "fin" => Action::Fin(numbers()?),
        "expire" => Action::Expire(numbers()?),
        _ => Action::Counts(each(words, counts)?),
    })
}

fn each<T>(words: &[&str], read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    words.iter().map(|word| read(word)).collect()
}

fn server(word: &str) -> Result<Server, String> {
    let mut parts = word.split(':');
    let mut server = Server {
        number: number(parts.next().unwrap_or_default(), "a server")?,
        weight: None,
        upper: None,
        lower: None,
        port: None,
    };
    for part in parts {
        let (letter, value) = part.split_at(part.len().min(1));
        let again = match letter {
            "w" => server.weight.replace(number(value, "a weight")?).is_some(),
            "u" => server.upper.replace(number(value, "a threshold")?).is_some(),
            "l" => server.lower.replace(number(value, "a threshold")?).is_some(),
            "p" => server.port.replace(number(value, "a port")?).is_some(),
            _ => {
                return Err(format!("expected w, u, l or p and a number, found `{part}`"));
            }
        };
        if again {
            return Err(format!("expected each letter once, found `{word}`"));
        }
    }
    Ok(server)
}

fn answer(word: &str) -> Result<Option<(u8, u16)>, String> {
    if word == "X" {
        return Ok(None);
    }
    let (server, port) = match word.split_once(':') {
        Some((server, port)) => (server, number(port, "a port")?),
        None => (word, PORT),
    };
    Ok(Some((number(server, "a server or X")?, port)))
}

fn tally(word: &str) -> Result<(u8, u32), String> {
    let (server, count) =
        word.split_once('=').ok_or_else(|| format!("expected server=count, found `{word}`"))?;
    Ok((number(server, "a server")?, number(count, "a count")?))
}

fn counts(word: &str) -> Result<(u8, u32, u32), String> {
    let parts = word.split_once('=').and_then(|(server, counts)| {
        let (active, inactive) = counts.split_once('+')?;
        Some((server, active, inactive))
    });
    let (server, active, inactive) =
        parts.ok_or_else(|| format!("expected server=active+inactive, found `{word}`"))?;
    Ok((number(server, "a server")?, number(active, "a count")?, number(inactive, "a count")?))
}

fn number<T: std::str::FromStr>(word: &str, what: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("expected {what}, found `{word}`"))
}
