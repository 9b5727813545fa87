//! A TCP and UDP director in user space, embedding vsched.
//!
//! `cargo run --release --example director` sets up a laboratory to experiment with, and `-- --help`
//! explains the rest. Read `relay/dial.rs` first: it picks the real server of a connection, and another one
//! if that fails, and reports how it went. Then `health.rs`, which takes servers out and back, and `front.rs`,
//! which applies configs. `tracker.rs` and `status.rs` show what happens.

#[cfg(not(target_os = "linux"))]
compile_error!("the example director needs Linux: splice, SO_REUSEPORT and IP_PKTINFO");

mod arguments;
mod attendant;
mod capacity;
mod check;
mod client;
mod display;
mod failures;
mod front;
mod health;
mod help;
mod http;
mod laboratory;
mod limits;
mod log;
mod notify;
mod relay;
mod servable;
mod signals;
mod slab;
mod snapshot;
mod source;
mod status;
mod tracker;

use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use vsched::config::Protocol;

use crate::arguments::{Action, Arguments, Source};
use crate::attendant::Attendant;
use crate::display::Screen;
use crate::front::Front;
use crate::health::HealthChecker;
use crate::laboratory::Laboratory;
use crate::log::Entry;
use crate::notify::Notifier;
use crate::signals::{Removal, Request};
use crate::source::Wanted;
use crate::status::Shared;

const TICK: Duration = Duration::from_secs(1);
const FAILED: u8 = 1;
const WRONG: u8 = 2;

/// An event for the main thread.
pub(crate) enum Event {
    Signal(Request),
    /// A line for the log.
    Note(String),
    Log(Entry),
    /// The response to one of `--requests`.
    Answer(String),
    /// All `--requests` are done.
    Requested {
        all_answered: bool,
    },
    WorkerStopped,
}

/// Why the program failed, with its exit code.
struct Failure(u8, String);

fn main() -> ExitCode {
    let mut screen = Screen::new();
    let arguments = match arguments::parse(std::env::args_os().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => {
            screen.log(Entry::error("usage", format!("director: {error} (--help tells more)")));
            return ExitCode::from(WRONG);
        }
    };
    screen.log.format = arguments.log;
    let result = match arguments.action {
        Action::Help => {
            screen.print(help::HELP);
            Ok(ExitCode::SUCCESS)
        }
        Action::Version => {
            screen.print(help::VERSION);
            Ok(ExitCode::SUCCESS)
        }
        Action::Check => read(&arguments.source).and_then(check::check).map_or_else(
            |error| Err(Failure(WRONG, error)),
            |text| {
                screen.print(&text);
                Ok(ExitCode::SUCCESS)
            },
        ),
        Action::Serve => run(&arguments, &mut screen),
    };
    result.unwrap_or_else(|Failure(code, text)| {
        screen.log(Entry::error("failure", text));
        ExitCode::from(code)
    })
}

fn run(arguments: &Arguments, screen: &mut Screen) -> Result<ExitCode, Failure> {
    let failed = |error: std::io::Error| Failure(FAILED, format!("director: {error}"));
    let (sender, events) = sync_channel(1024);
    signals::watch(sender.clone()).map_err(failed)?;
    let (notifier, notified) = Notifier::from_environment();
    if let Err(error) = notified {
        screen.log(Entry::warning("notify", format!("NOTIFY_SOCKET: {error}")));
    }
    let mut front = Front::start(arguments, sender.clone()).map_err(failed)?;
    let wanted = match &arguments.source {
        Source::Laboratory { port } => set_up(*port, &mut front, screen)?,
        source => read(source).map_err(|error| Failure(WRONG, error))?,
    };
    let shared = Shared::new();
    let director = front.director().clone();
    let checks = arguments.checks.clone();
    let checker = checks.map(|checks| HealthChecker::start(checks, director.clone())).transpose();
    let checker = checker.map_err(failed)?;
    let listener = arguments.status.map(|address| {
        let named = |error| Failure(FAILED, format!("director: --status {address}: {error}"));
        TcpListener::bind(address).map_err(named)
    });
    let listener = listener.transpose()?;
    let begun = front.serve(wanted, Removal::Guarded).map_err(|error| Failure(WRONG, error))?;
    begun.into_iter().for_each(|note| screen.log(Entry::warning("config", note)));
    if front.services().is_empty() {
        return Err(Failure(FAILED, "director: there is no service to serve".into()));
    }
    // Before anything is shown.
    shared.lock().look(front.director(), |_| 0);
    let page = listener.map(|listener| status::start(listener, shared.clone(), director.clone()));
    let page = page.transpose().map_err(failed)?;
    screen.print(&format!("{}\n", front.room()));
    for (key, address) in front.services() {
        let hint = match arguments.requests {
            Some(_) => String::new(),
            None if key.protocol() == Some(Protocol::Udp) => String::new(),
            None => format!(", try: curl http://{}/", client::reachable(address)),
        };
        screen.print(&format!("serving {key}{hint}\n"));
    }
    if let Some(page) = page {
        screen.print(&format!("status: http://{}/\n", client::reachable(page)));
    }
    if let Some(requests) = arguments.requests {
        let mut services = front.services();
        services.retain(|(key, _)| key.protocol() == Some(Protocol::Tcp));
        client::start(services, requests, sender).map_err(failed)?;
    }
    let attendant = Attendant { arguments, front, screen, shared, checker, notifier };
    Ok(attendant.attend(&events))
}

fn set_up(port: Option<u16>, front: &mut Front, screen: &mut Screen) -> Result<Wanted, Failure> {
    let laboratory = Laboratory::start(port)
        .map_err(|error| Failure(FAILED, format!("director: no laboratory: {error}")))?;
    if port.is_none() && laboratory.moved {
        let port = laboratory.address.port();
        screen.print(&format!("port 8080 is taken, so this is on port {port}\n"));
    }
    screen.print(&laboratory.rules);
    front.adopt(laboratory.address, laboratory.listener);
    source::rules(&laboratory.rules, "laboratory").map_err(|error| Failure(WRONG, error))
}

pub(crate) fn read(source: &Source) -> Result<Wanted, String> {
    match source {
        Source::Laboratory { .. } => Err("the laboratory has no file to read again".into()),
        Source::Rules(path) => source::rules_file(path),
        Source::Config(path) => source::config_file(path),
    }
}
