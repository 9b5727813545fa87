//! A line becomes something to do. Rules are read by the library's own parser.

use std::net::{IpAddr, Ipv6Addr};

use vsched::SchedulerKind;
use vsched::config::listing::View;
use vsched::config::{Command, MAX_TIMEOUT, ServiceKey, SyncDaemon, SyncRole, Timeouts};
use vsched::netlink::Request;

use super::line::{Line, Refusal};
use super::names::Names;
use super::options::{SERVER, SERVICE, Verb};

/// Longest name of a scheduler, an engine or an interface, in bytes.
const LONGEST: usize = 15;

/// What a line asks for.
#[derive(Debug)]
pub(crate) enum Action {
    Help,
    Version,
    Restore,
    /// True for numbers instead of names.
    Save(bool),
    List(List),
    Change(Box<Request>),
}

/// A listing.
#[derive(Debug)]
pub(crate) struct List {
    pub(crate) subject: Subject,
    pub(crate) numeric: bool,
    pub(crate) view: View,
    pub(crate) exact: bool,
    pub(crate) unsorted: bool,
}

/// What is listed.
#[derive(Debug)]
pub(crate) enum Subject {
    Everything,
    Service(ServiceKey),
    /// True with the columns of persistence engines.
    Connections(bool),
    Timeouts,
    Daemons,
}

impl Action {
    /// What no arguments at all ask for.
    pub(crate) fn plain_list() -> Self {
        Action::List(List {
            subject: Subject::Everything,
            numeric: false,
            view: View::Plain,
            exact: false,
            unsorted: false,
        })
    }

    /// Reads a line that is split into words.
    pub(crate) fn read(words: &[String], names: &Names) -> Result<Self, Refusal> {
        let line = Line::read(words)?;
        let request = match line.verb {
            Verb::Help => return Ok(Action::Help),
            Verb::Version => return Ok(Action::Version),
            Verb::Restore => return Ok(Action::Restore),
            Verb::Save => return Ok(Action::Save(line.has("numeric"))),
            Verb::List => return Ok(Action::List(list(&line, names)?)),
            Verb::Zero if line.has_kind(SERVICE) => Request::zero_service(&service(&line, names)?),
            Verb::Zero => Request::zero(),
            Verb::Set => Request::set_timeouts(timeouts(&line.arguments)?),
            Verb::StartDaemon => Request::start_daemon(&daemon(&line)?),
            Verb::StopDaemon => Request::stop_daemon(role(&line)?),
            _ => change(&line, names)?,
        };
        Ok(Action::Change(Box::new(request)))
    }
}

fn usage<T>(problem: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Usage(problem.into()))
}

/// The words for the library: long names, values attached, numbers for names.
fn words(line: &Line, names: &Names, verb: &str) -> Vec<String> {
    let mut words = vec![format!("--{verb}")];
    // Of a server's port: its service's, if that stands before it.
    let mut protocol = None;
    for given in &line.options {
        let long = given.spec.long;
        let Some(value) = given.value.as_deref() else {
            words.push(format!("--{long}"));
            continue;
        };
        protocol = match long {
            "tcp-service" | "fwmark-service" => Some("tcp"),
            "udp-service" => Some("udp"),
            "sctp-service" => Some("sctp"),
            _ => protocol,
        };
        let is_address = [SERVICE, SERVER].contains(&given.spec.kind) && long != "fwmark-service";
        words.push(match long {
            _ if is_address => format!("--{long}={}", names.resolve(value, protocol)),
            // Which schedulers and engines there are is for the kernel to say.
            "scheduler" if unknown_scheduler(value) => format!("--{long}=none"),
            "pe" => format!("--{long}={}", cut(value)),
            _ => format!("--{long}={value}"),
        });
    }
    words
}

fn unknown_scheduler(name: &str) -> bool {
    !["", "none"].contains(&name) && name.parse::<SchedulerKind>().is_err()
}

/// As much of a name as the kernel takes.
fn cut(name: &str) -> &str {
    let end = (0..=LONGEST).rev().find(|end| name.is_char_boundary(*end) && *end <= name.len());
    end.and_then(|end| name.get(..end)).unwrap_or_default()
}

fn command(line: &Line, names: &Names, verb: &str) -> Result<Command, Refusal> {
    let words = words(line, names, verb);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Command::from_words(&words)
        .map_err(|error| Refusal::Usage(format!("`{}': {}", error.word(), error.message())))
}

fn change(line: &Line, names: &Names) -> Result<Request, Refusal> {
    let verb = if line.verb == Verb::Clear { "clear" } else { line.verb.name() };
    let request = Request::from(&command(line, names, verb)?);
    let scheduler = line.value_of("scheduler").filter(|name| unknown_scheduler(name));
    let Some(name) = scheduler else { return Ok(request) };
    let mut message = request.message();
    if let Some(service) = &mut message.service {
        service.scheduler = Some(cut(name).to_owned());
    }
    Ok(Request::raw(message, request.object()))
}

/// The service of commands that take nothing else.
fn service(line: &Line, names: &Names) -> Result<ServiceKey, Refusal> {
    let words = words(line, names, "delete-service");
    let about = |word: &&String| word.contains("-service") || *word == "--ipv6";
    let words: Vec<&str> = words.iter().filter(about).map(String::as_str).collect();
    match Command::from_words(&words) {
        Ok(Command::DeleteService(key)) => Ok(key),
        Ok(_) => usage("a service is missing"),
        Err(error) => usage(format!("`{}': {}", error.word(), error.message())),
    }
}

fn list(line: &Line, names: &Names) -> Result<List, Refusal> {
    let subject = match () {
        () if line.has("connection") => Subject::Connections(line.has("persistent-conn")),
        () if line.has_kind(SERVICE) => Subject::Service(service(line, names)?),
        () if line.has("timeout") => Subject::Timeouts,
        () if line.has("daemon") => Subject::Daemons,
        () => Subject::Everything,
    };
    let views = [
        ("stats", View::Statistics),
        ("rate", View::Rates),
        ("thresholds", View::Thresholds),
        ("persistent-conn", View::PersistentConnections),
        ("tun-info", View::TunnelInfo),
    ];
    let view = views.into_iter().find(|(name, _)| line.has(name));
    number(line, "syncid", 0, 255)?;
    Ok(List {
        subject,
        numeric: line.has("numeric"),
        view: view.map_or(View::Plain, |(_, view)| view),
        exact: line.has("exact"),
        unsorted: line.has("nosort"),
    })
}

fn within(text: &str, min: u32, max: u32) -> Option<u32> {
    let number = u32::try_from(text.parse::<i64>().ok()?).ok()?;
    (min..=max).contains(&number).then_some(number)
}

fn timeouts(arguments: &[String]) -> Result<Timeouts, Refusal> {
    let mut seconds = [0; 3];
    for (seconds, text) in seconds.iter_mut().zip(arguments) {
        match within(text, 0, MAX_TIMEOUT) {
            Some(number) => *seconds = number,
            None => return usage(format!("invalid timeout value `{text}' specified")),
        }
    }
    let [tcp, tcp_fin, udp] = seconds.map(Some);
    Ok(Timeouts { tcp, tcp_fin, udp })
}

fn number(line: &Line, name: &str, min: u32, max: u32) -> Result<Option<u32>, Refusal> {
    match line.value_of(name) {
        None => Ok(None),
        Some(text) => match within(text, min, max) {
            None => usage(format!("illegal {name} specified")),
            number => Ok(number),
        },
    }
}

fn role(line: &Line) -> Result<SyncRole, Refusal> {
    match line.value.as_deref() {
        Some("master") => Ok(SyncRole::Master),
        Some("backup") => Ok(SyncRole::Backup),
        _ if line.verb == Verb::StopDaemon => usage("illegal start_daemon specified"),
        _ => usage("illegal start-daemon parameter specified"),
    }
}

fn daemon(line: &Line) -> Result<SyncDaemon, Refusal> {
    let small = |name, min, max| {
        let number = number(line, name, min, max)?;
        Ok(number.and_then(|number| u16::try_from(number).ok()))
    };
    let byte = |name, min| {
        let number = number(line, name, min, 255)?;
        Ok(number.and_then(|number| u8::try_from(number).ok()))
    };
    let interface = line.value_of("mcast-interface").filter(|name| !name.is_empty());
    Ok(SyncDaemon {
        role: role(line)?,
        interface: cut(interface.unwrap_or("eth0")).to_owned(),
        sync_id: byte("syncid", 0)?.unwrap_or(0),
        max_len: small("sync-maxlen", 1, 65507)?,
        group: line.value_of("mcast-group").map(group).transpose()?,
        port: small("mcast-port", 1, 65535)?,
        ttl: byte("mcast-ttl", 1)?,
    })
}

fn group(text: &str) -> Result<IpAddr, Refusal> {
    match text.parse::<IpAddr>() {
        Ok(ip) if ip.is_multicast() => Ok(ip),
        _ if text.parse::<Ipv6Addr>().is_ok() => {
            usage(format!("invalid IPv6 mcast-group `{text}'"))
        }
        _ => usage(format!("invalid IPv4 mcast-group `{text}'")),
    }
}
