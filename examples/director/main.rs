//! A TCP and UDP director in user space, embedding vsched.
//!
//! `cargo run --release --example director` sets up a laboratory to experiment with, and `-- --help`
//! explains the rest. Read `relay/dial.rs` first: it picks the real server of a connection, and another one
//! if that fails.

mod arguments;
mod capacity;
mod client;
mod display;
mod failures;
mod front;
mod laboratory;
mod limits;
mod relay;
mod servable;
mod signals;
mod slab;
mod source;
mod web_server;

use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use vsched::config::Protocol;

use crate::arguments::{Arguments, Source};
use crate::capacity::Watch;
use crate::display::Screen;
use crate::front::Front;
use crate::laboratory::Laboratory;
use crate::signals::{Removal, Request};
use crate::source::Wanted;

const TICK: Duration = Duration::from_secs(1);
const FAILED: u8 = 1;
const WRONG: u8 = 2;

/// An event for the main thread.
pub(crate) enum Event {
    Signal(Request),
    /// A line for the log.
    Note(String),
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
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            screen.print(arguments::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            screen.note(&format!("director: {error} (--help tells more)"));
            return ExitCode::from(WRONG);
        }
    };
    match run(&arguments, &mut screen) {
        Ok(code) => code,
        Err(Failure(code, text)) => {
            screen.note(&text);
            ExitCode::from(code)
        }
    }
}

fn run(arguments: &Arguments, screen: &mut Screen) -> Result<ExitCode, Failure> {
    let failed = |error: std::io::Error| Failure(FAILED, format!("director: {error}"));
    let (sender, events) = sync_channel(1024);
    signals::watch(sender.clone()).map_err(failed)?;
    let mut front = Front::start(arguments, sender.clone()).map_err(failed)?;
    let wanted = match &arguments.source {
        Source::Laboratory { port } => set_up(*port, &mut front, screen)?,
        source => read(source).map_err(|error| Failure(WRONG, error))?,
    };
    let begun = front.serve(wanted, Removal::Guarded).map_err(|error| Failure(WRONG, error))?;
    begun.iter().for_each(|note| screen.note(note));
    if front.services().is_empty() {
        return Err(Failure(FAILED, "director: there is no service to serve".into()));
    }
    screen.print(&format!("{}\n", front.room()));
    for (key, address) in front.services() {
        let hint = match arguments.requests {
            Some(_) => String::new(),
            None if key.protocol() == Some(Protocol::Udp) => String::new(),
            None => format!(", try: curl http://{}/", client::reachable(address)),
        };
        screen.print(&format!("serving {key}{hint}\n"));
    }
    if let Some(requests) = arguments.requests {
        let mut services = front.services();
        services.retain(|(key, _)| key.protocol() == Some(Protocol::Tcp));
        client::start(services, requests, sender).map_err(failed)?;
    }
    let code = attend(arguments, &mut front, screen, &events);
    let cut = front.cut();
    if cut > 0 {
        screen.note(&format!("{cut} connections were still open and have been cut"));
    }
    screen.print(&front.report());
    Ok(code)
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

fn read(source: &Source) -> Result<Wanted, String> {
    match source {
        Source::Laboratory { .. } => Err("the laboratory has no file to read again".into()),
        Source::Rules(path) => source::rules_file(path),
        Source::Config(path) => source::config_file(path),
    }
}

/// Handles signals, the clock and the screen until all workers have stopped.
fn attend(
    arguments: &Arguments,
    front: &mut Front,
    screen: &mut Screen,
    events: &Receiver<Event>,
) -> ExitCode {
    // If stopped early, --requests has failed.
    let mut all_answered = arguments.requests.is_none();
    let mut stopping = false;
    let mut stopped = 0;
    let started = Instant::now();
    let mut watch = Watch::default();
    let mut next_tick = started + TICK;
    while stopped < arguments.workers {
        let now = Instant::now();
        if now >= next_tick {
            next_tick = now + TICK;
            front.director().tick(started.elapsed());
            if let (false, Some(line)) = (stopping, watch.look(front.capacity(), now)) {
                screen.note(&line);
            }
            if arguments.requests.is_none() && !stopping {
                screen.refresh(&display::table(front.director()));
            }
            // Do not wait forever for a worker that died of a bug.
            if front.is_finished() {
                break;
            }
        }
        match events.recv_timeout(next_tick.saturating_duration_since(now)) {
            Ok(Event::Signal(Request::Stop)) => {
                let grace = if stopping { Duration::ZERO } else { arguments.grace };
                front.stop(Instant::now() + grace);
                stopping = true;
            }
            Ok(Event::Signal(Request::Table)) => screen.print(&front.explained_report()),
            Ok(Event::Signal(Request::Reload(_))) if stopping => {}
            Ok(Event::Signal(Request::Reload(removal))) => {
                reload(arguments, front, screen, removal);
                screen.print(&front.report());
            }
            Ok(Event::Note(line)) => screen.note(&line),
            Ok(Event::Answer(line)) => screen.print(&format!("{line}\n")),
            Ok(Event::Requested { all_answered: all }) => {
                all_answered = all;
                front.stop(Instant::now() + arguments.grace);
                stopping = true;
            }
            Ok(Event::WorkerStopped) => stopped += 1,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    if all_answered && stopping { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
}

/// Reads the file again. After an error, the director continues unchanged.
fn reload(arguments: &Arguments, front: &mut Front, screen: &mut Screen, removal: Removal) {
    match read(&arguments.source).and_then(|wanted| front.serve(wanted, removal)) {
        Ok(notes) => notes.iter().for_each(|note| screen.note(note)),
        // An error may have several lines.
        Err(error) => error.lines().for_each(|line| screen.note(&format!("not reloaded: {line}"))),
    }
}
