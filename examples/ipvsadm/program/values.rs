//! Values, each read by itself: ipvsadm reports an unreadable value as soon as it reads it.

use std::net::IpAddr;

use vsched::SchedulerKind;
use vsched::config::{Command, Family, MAX_TIMEOUT, ServiceKey, SyncRole, Timeouts};

use super::line::{Given, Line, Refusal};
use super::names::Names;
use super::options::{SERVER, SERVICE, Verb};

/// The number of timeouts of `--set`.
pub(crate) const TIMEOUTS: usize = 3;
/// A service, so that the library can read other values.
const ANY_SERVICE: &str = "--fwmark-service=1";

/// Reads values in the order of the line: the meaning of some depends on the service before them.
pub(crate) struct Reader<'n> {
    names: &'n Names,
    /// Of the service so far.
    family: Option<Family>,
    /// Of a server's port: its service's, if that stands before it.
    protocol: Option<&'static str>,
    /// A firewall mark was given.
    marked: bool,
}

impl<'n> Reader<'n> {
    pub(crate) fn new(names: &'n Names) -> Self {
        Reader { names, family: None, protocol: None, marked: false }
    }

    /// Checks a value, and replaces names with numbers.
    pub(crate) fn read(&mut self, given: &mut Given) -> Result<(), Refusal> {
        let (kind, long) = (given.spec.kind, given.spec.long);
        if long == "ipv6" {
            self.family = Some(Family::Inet6);
            return if self.marked { Ok(()) } else { usage("-6 used before -f\n") };
        }
        let Some(typed) = given.value.clone() else { return Ok(()) };
        match kind {
            SERVICE => {
                self.protocol = match long {
                    "tcp-service" | "fwmark-service" => Some("tcp"),
                    "udp-service" => Some("udp"),
                    _ => Some("sctp"),
                };
                self.marked = long == "fwmark-service";
                if !self.marked {
                    given.value = Some(self.names.resolve(&typed, self.protocol));
                }
                let key = service(&[option(given)]);
                let key = key.map_err(|problem| told(given, &typed, &problem))?;
                self.family = Some(key.family());
                Ok(())
            }
            SERVER => {
                given.value = Some(self.names.resolve(&typed, self.protocol));
                alone(given, &typed, "delete-server", &[])
            }
            // The kernel decides which schedulers exist, and the scheduler what a flag means.
            "scheduler" | "pe" | "sched-flags" | "mcast-interface" => Ok(()),
            "netmask" if self.family == Some(Family::Inet6) => {
                alone(given, &typed, "add-service", &[ANY_SERVICE, "--ipv6"])
            }
            "mcast-group" => group(&typed).map(|_| ()),
            _ if given.spec.with.contains(&Verb::StartDaemon) => {
                number::<u32>(long, &typed).map(|_| ())
            }
            _ if given.spec.with.contains(&Verb::AddServer) => {
                alone(given, &typed, "add-server", &[])
            }
            _ => alone(given, &typed, "add-service", &[]),
        }
    }
}

pub(crate) fn usage<T>(problem: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Usage(problem.into()))
}

/// The option for the library: its long name, its value attached.
pub(crate) fn option(given: &Given) -> String {
    let long = given.spec.long;
    match given.value.as_deref() {
        // The kernel decides which schedulers and engines exist.
        Some(name) if long == "scheduler" && unknown_scheduler(name) => format!("--{long}=none"),
        Some(name) if long == "pe" => format!("--{long}={}", cut(name)),
        Some(value) => format!("--{long}={value}"),
        None => format!("--{long}"),
    }
}

pub(crate) fn unknown_scheduler(name: &str) -> bool {
    let in_linux = name.parse().is_ok_and(SchedulerKind::in_linux);
    !["", "none"].contains(&name) && !in_linux
}

/// Longest name of a scheduler, an engine or an interface, in bytes.
const LONGEST: usize = 15;

/// A name, cut to what the kernel accepts.
pub(crate) fn cut(name: &str) -> &str {
    let end = (0..=LONGEST).rev().find(|end| name.is_char_boundary(*end) && *end <= name.len());
    end.and_then(|end| name.get(..end)).unwrap_or_default()
}

/// The service that these options for the library name, or what is wrong with it.
pub(crate) fn service(options: &[String]) -> Result<ServiceKey, String> {
    let words = std::iter::once("--delete-service").chain(options.iter().map(String::as_str));
    match Command::from_words(&words.collect::<Vec<_>>()) {
        Ok(Command::DeleteService(key)) => Ok(key),
        Ok(_) => Err("a service is missing".to_owned()),
        Err(error) => Err(error.message().to_owned()),
    }
}

/// Lets the library read one value in an otherwise valid line. Errors about missing parts, which it reports
/// for the line's first word, are ignored.
fn alone(given: &Given, typed: &str, verb: &str, before: &[&str]) -> Result<(), Refusal> {
    let (verb, option) = (format!("--{verb}"), option(given));
    let mut words = vec![verb.as_str()];
    words.extend(before);
    words.push(&option);
    match Command::from_words(&words) {
        Err(error) if error.column() > 1 => Err(told(given, typed, error.message())),
        _ => Ok(()),
    }
}

fn told(given: &Given, typed: &str, problem: &str) -> Refusal {
    Refusal::Usage(format!("--{} `{typed}': {problem}", given.spec.long))
}

/// Checks flags, which any command may have at this point, against the scheduler.
pub(crate) fn flags(scheduler: Option<&str>, flags: Option<&str>) -> Result<(), Refusal> {
    let Some(flags) = flags else { return Ok(()) };
    let scheduler = scheduler.unwrap_or_default();
    let scheduler = if unknown_scheduler(scheduler) { "none" } else { scheduler };
    let (scheduler, list) = (format!("--scheduler={scheduler}"), format!("--sched-flags={flags}"));
    match Command::from_words(&["--add-service", ANY_SERVICE, &scheduler, &list]) {
        Err(error) => usage(format!("--sched-flags `{flags}': {}", error.message())),
        Ok(_) => Ok(()),
    }
}

fn within(text: &str, min: u32, max: u32) -> Option<u32> {
    let number = u32::try_from(text.parse::<i64>().ok()?).ok()?;
    (min..=max).contains(&number).then_some(number)
}

/// Numbers of a synchronization daemon, with minimum and maximum.
const NUMBERS: [(&str, u32, u32); 4] = [
    ("syncid", 0, 255),
    ("sync-maxlen", 1, 65507),
    ("mcast-port", 1, 65535),
    ("mcast-ttl", 1, 255),
];

/// One of [`NUMBERS`].
pub(crate) fn number<T: TryFrom<u32>>(name: &str, text: &str) -> Result<T, Refusal> {
    let limits = NUMBERS.iter().find(|(known, ..)| *known == name);
    let number = limits.and_then(|(_, min, max)| within(text, *min, *max));
    let number = number.and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| Refusal::Usage(format!("illegal {name} specified")))
}

/// The first three arguments of `--set`, which must be there before any of them is read.
pub(crate) fn timeouts(arguments: &[String]) -> Result<Timeouts, Refusal> {
    let Some(arguments) = arguments.get(..TIMEOUTS) else {
        return usage("--set option requires 3 timeout values");
    };
    let mut timeouts = Timeouts::default();
    let all = [&mut timeouts.tcp, &mut timeouts.tcp_fin, &mut timeouts.udp];
    for (seconds, text) in all.into_iter().zip(arguments) {
        *seconds = within(text, 0, MAX_TIMEOUT);
        if seconds.is_none() {
            return usage(format!("invalid timeout value `{text}' specified"));
        }
    }
    Ok(timeouts)
}

/// The value of a command on a daemon.
pub(crate) fn role(line: &Line) -> Result<SyncRole, Refusal> {
    match line.value.as_deref() {
        Some("master") => Ok(SyncRole::Master),
        Some("backup") => Ok(SyncRole::Backup),
        _ if line.verb == Verb::StopDaemon => usage("illegal start_daemon specified"),
        _ => usage("illegal start-daemon parameter specified"),
    }
}

pub(crate) fn group(text: &str) -> Result<IpAddr, Refusal> {
    match text.parse::<IpAddr>() {
        Ok(ip) if ip.is_multicast() => Ok(ip),
        _ if text.contains(':') => usage(format!("invalid IPv6 mcast-group `{text}'")),
        _ => usage(format!("invalid IPv4 mcast-group `{text}'")),
    }
}
