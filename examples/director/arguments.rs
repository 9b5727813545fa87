//! The command line.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::*;

pub(crate) const HELP: &str = "\
A TCP and UDP director in user space: accepts connections on virtual services, picks a real
server for each with vsched, and copies bytes both ways (LVS-NAT, done by a proxy).

Usage: director [OPTIONS]

Without --rules and --config it sets up a laboratory on loopback addresses: one virtual service,
scheduler wrr, and two tiny web servers of weights 2 and 1 that answer their own address.

  --rules FILE               Run ipvsadm commands, one after the other, as a kernel would
  --config FILE              Run a config, .json or .toml, applied as a whole
  --port PORT                Port of the laboratory [default: 8080, or the next free one]
  --requests N               Send N HTTP requests through the services, one after the other,
                             print each answer and the table, and stop
  --workers N                Threads that relay connections [default: one per core]
  --connect-timeout SECONDS  Time a real server has to accept a connection [default: 2]
  --idle-timeout SECONDS     Silence that ends a connection [default: 900]; after a FIN of
                             either side 120 seconds do, unless this is shorter
  --udp-timeout SECONDS      Silence that ends a UDP session [default: the file's, or 300]; with
                             one-packet scheduling (-o) there are none, and each datagram is
                             scheduled by itself. At the end they are not waited for
  --grace SECONDS            Time open connections have to finish at the end [default: 5]
  -h, --help                 Print this

Signals: HUP reads the file again; connections, their counts and rotations live on. A file
         that removes more than half of the servers, or leaves a service that has servers
         with a weight above 0 without any, is refused: it may have been emptied or cut off.
         USR2 reads the file again and applies it, whatever it removes.
         USR1 prints the table, and which server is next and why. INT and TERM stop: no new connections, open ones may finish;
         a second one cuts those short.

Exit: 0 stopped as asked, and every one of --requests was answered
      1 a request was not answered, or nothing could be served
      2 wrong command line, or a wrong file
";

/// Where the services come from.
#[derive(Debug)]
pub(crate) enum Source {
    Laboratory { port: Option<u16> },
    Rules(PathBuf),
    Config(PathBuf),
}

#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) source: Source,
    pub(crate) requests: Option<u64>,
    pub(crate) workers: usize,
    pub(crate) connect_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    /// `None` if the file may say it.
    pub(crate) udp_timeout: Option<Duration>,
    pub(crate) grace: Duration,
}

/// `None` if help is wanted.
pub(crate) fn parse(
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Option<Arguments>, lexopt::Error> {
    let mut file: Option<Source> = None;
    let mut port = None;
    let mut parsed = Arguments {
        source: Source::Laboratory { port: None },
        requests: None,
        workers: std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
        connect_timeout: Duration::from_secs(2),
        idle_timeout: Duration::from_secs(900),
        udp_timeout: None,
        grace: Duration::from_secs(5),
    };
    let mut parser =
        lexopt::Parser::from_iter(std::iter::once(OsString::from("director")).chain(arguments));
    while let Some(argument) = parser.next()? {
        let source = match argument {
            Short('h') | Long("help") => return Ok(None),
            Long("rules") => Source::Rules(parser.value()?.into()),
            Long("config") => Source::Config(parser.value()?.into()),
            Long("port") => {
                port = Some(parser.value()?.parse_with(port_number)?);
                continue;
            }
            Long("requests") => {
                parsed.requests = Some(parser.value()?.parse()?);
                continue;
            }
            Long("workers") => {
                parsed.workers = parser.value()?.parse_with(workers)?;
                continue;
            }
            Long("connect-timeout") => {
                parsed.connect_timeout = parser.value()?.parse_with(seconds)?;
                continue;
            }
            Long("idle-timeout") => {
                parsed.idle_timeout = parser.value()?.parse_with(seconds)?;
                continue;
            }
            Long("udp-timeout") => {
                parsed.udp_timeout = Some(parser.value()?.parse_with(seconds)?);
                continue;
            }
            Long("grace") => {
                parsed.grace = parser.value()?.parse_with(seconds)?;
                continue;
            }
            other => return Err(other.unexpected()),
        };
        if file.replace(source).is_some() {
            return Err("give one of --rules and --config, once".into());
        }
    }
    parsed.source = match file {
        Some(_) if port.is_some() => {
            return Err("--port is for the laboratory; a file names its own ports".into());
        }
        Some(source) => source,
        None => Source::Laboratory { port },
    };
    Ok(Some(parsed))
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
