//! The command line.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::*;

use crate::health::{Check, Checks};
use crate::log::Format;

/// Where the services come from.
#[derive(Debug)]
pub(crate) enum Source {
    Laboratory { port: Option<u16> },
    Rules(PathBuf),
    Config(PathBuf),
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Serve,
    Check,
    Help,
    Version,
}

#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) action: Action,
    pub(crate) source: Source,
    pub(crate) requests: Option<u64>,
    pub(crate) workers: usize,
    pub(crate) connect_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) grace: Duration,
    pub(crate) checks: Option<Checks>,
    pub(crate) status: Option<SocketAddr>,
    pub(crate) log: Format,
}

impl Arguments {
    fn new() -> Self {
        Arguments {
            action: Action::Serve,
            source: Source::Laboratory { port: None },
            requests: None,
            workers: std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
            connect_timeout: Duration::from_secs(2),
            idle_timeout: Duration::from_secs(900),
            grace: Duration::from_secs(5),
            checks: None,
            status: None,
            log: Format::Lines,
        }
    }
}

pub(crate) fn parse(
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Arguments, lexopt::Error> {
    let mut file: Option<Source> = None;
    let mut port = None;
    let (mut check, mut checks, mut tuned) = (None, Checks::default(), false);
    let mut parsed = Arguments::new();
    let mut parser =
        lexopt::Parser::from_iter(std::iter::once(OsString::from("director")).chain(arguments));
    while let Some(argument) = parser.next()? {
        if let Long("health-interval" | "health-timeout" | "fall" | "rise") = argument {
            tuned = true;
        }
        let source = match argument {
            Short('h') | Long("help") => return Ok(Arguments { action: Action::Help, ..parsed }),
            Short('V') | Long("version") => {
                return Ok(Arguments { action: Action::Version, ..parsed });
            }
            Long("rules") => Some(Source::Rules(parser.value()?.into())),
            Long("config") => Some(Source::Config(parser.value()?.into())),
            other => {
                match other {
                    Long("check") => parsed.action = Action::Check,
                    Long("port") => port = Some(parser.value()?.parse_with(port_number)?),
                    Long("requests") => parsed.requests = Some(parser.value()?.parse()?),
                    Long("workers") => parsed.workers = parser.value()?.parse_with(workers)?,
                    Long("connect-timeout") => parsed.connect_timeout = duration(&mut parser)?,
                    Long("idle-timeout") => parsed.idle_timeout = duration(&mut parser)?,
                    Long("grace") => parsed.grace = duration(&mut parser)?,
                    Long("health") => {
                        check = Some(parser.value()?.parse_with(str::parse::<Check>)?)
                    }
                    Long("health-interval") => checks.interval = duration(&mut parser)?,
                    Long("health-timeout") => checks.timeout = duration(&mut parser)?,
                    Long("fall") => checks.fall = parser.value()?.parse_with(times)?,
                    Long("rise") => checks.rise = parser.value()?.parse_with(times)?,
                    Long("status") => parsed.status = Some(parser.value()?.parse_with(listener)?),
                    Long("log") => parsed.log = parser.value()?.parse_with(str::parse)?,
                    other => return Err(other.unexpected()),
                }
                None
            }
        };
        if source.is_some() && std::mem::replace(&mut file, source).is_some() {
            return Err("give one of --rules and --config, once".into());
        }
    }
    parsed.source = match file {
        Some(_) if port.is_some() => {
            return Err("--port is for the laboratory; a file names its own ports".into());
        }
        None if parsed.action == Action::Check => {
            return Err("--check needs a file: --rules or --config".into());
        }
        Some(source) => source,
        None => Source::Laboratory { port },
    };
    parsed.checks = match check {
        None if tuned => return Err("--health says what to check: tcp or http:/path".into()),
        None => None,
        Some(check) => Some(Checks { check, ..checks }),
    };
    Ok(parsed)
}

fn duration(parser: &mut lexopt::Parser) -> Result<Duration, lexopt::Error> {
    parser.value()?.parse_with(seconds)
}

/// An address to listen on: on the loopback address if only a port is given.
fn listener(text: &str) -> Result<SocketAddr, &'static str> {
    match (text.parse(), port_number(text)) {
        (Ok(address), _) => Ok(address),
        (_, Ok(port)) => Ok((Ipv4Addr::LOCALHOST, port).into()),
        _ => Err("a port, or an address such as 127.0.0.1:9000 or [::1]:9000"),
    }
}

fn times(text: &str) -> Result<u32, &'static str> {
    match text.parse() {
        Ok(times @ 1..=1000) => Ok(times),
        _ => Err("a number from 1 to 1000"),
    }
}

fn port_number(text: &str) -> Result<u16, &'static str> {
    match text.parse() {
        Ok(port @ 1..) => Ok(port),
        _ => Err("a port is a number from 1 to 65535"),
    }
}

fn workers(text: &str) -> Result<usize, &'static str> {
    match text.parse() {
        Ok(workers @ 1..=256) => Ok(workers),
        _ => Err("a number from 1 to 256"),
    }
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.01..=86_400.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("a number of seconds from 0.01 to 86400"),
    }
}
