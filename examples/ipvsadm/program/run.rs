//! Carries out lines, and exits as ipvsadm does.

use std::io::{BufRead, Write};

use vsched::config::Observed;
use vsched::config::listing::Listing;
use vsched::netlink::{Error, Kernel};

use super::action::{Action, List, Subject};
use super::line::Refusal;
use super::names::Names;
use super::{connections, help, kernel_words, views};

const DONE: u8 = 0;
/// A listing failed.
const UNLISTED: u8 = 1;
/// The line does not make sense, or there is no IPVS.
const USAGE: u8 = 2;
/// The kernel refused, or a word is not an option: -1.
const REFUSED: u8 = 255;

/// How a line ends.
enum End {
    /// With this status; the next line of a restore follows.
    Line(u8),
    /// So that nothing follows.
    All(u8),
}

impl End {
    fn status(self) -> u8 {
        match self {
            End::Line(status) | End::All(status) => status,
        }
    }
}

/// Standard input, output and error.
pub(crate) struct Streams<'a> {
    pub(crate) input: &'a mut dyn BufRead,
    pub(crate) out: &'a mut dyn Write,
    pub(crate) err: &'a mut dyn Write,
}

impl Streams<'_> {
    /// Output that cannot be written is a failure.
    fn print(&mut self, text: &str) -> u8 {
        match self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()) {
            Ok(()) => DONE,
            Err(_) => UNLISTED,
        }
    }

    /// If this cannot be written, the status still reports the error.
    fn complain(&mut self, problem: &str) {
        let _ = writeln!(self.err, "{problem}");
    }

    fn refuse(&mut self, program: &str, refusal: Refusal) -> End {
        match refusal {
            Refusal::NoCommand => {
                self.complain(&format!(
                    "Try `{program} -h' or '{program} --help' for more information."
                ));
                End::All(REFUSED)
            }
            Refusal::Syntax(problem) => {
                self.complain(&problem);
                End::Line(REFUSED)
            }
            Refusal::Usage(problem) => {
                self.complain(&problem);
                End::All(USAGE)
            }
        }
    }

    fn help(&mut self) -> u8 {
        self.print(&format!("{}{}", help::VERSION, help::HELP))
    }
}

struct Session<'a> {
    program: &'a str,
    kernel: Kernel,
    table_size: u32,
    names: Names,
    restoring: bool,
    streams: Streams<'a>,
}

/// Runs one command line of a program that was called by this name; returns the exit status.
pub(crate) fn run<'a>(program: &'a str, words: &[String], mut streams: Streams<'a>) -> u8 {
    let names = Names::default();
    let action = match words {
        [] => Ok(Action::plain_list()),
        words => Action::read(words, &names),
    };
    let action = match action {
        Ok(Action::Help) => return streams.help(),
        Ok(Action::Version) => return streams.print(help::VERSION),
        Ok(action) => action,
        // Reported with or without IPVS: no kernel would carry out the line.
        Err(refusal) => return streams.refuse(program, refusal).status(),
    };
    match open() {
        Ok((kernel, table_size)) => {
            let mut session =
                Session { program, kernel, table_size, names, restoring: false, streams };
            session.carry_out(action).status()
        }
        Err(error) => {
            streams.complain(&format!("Can't initialize ipvs: {}", kernel_words::words(&error)));
            streams.complain("Is IP Virtual Server in the kernel, or there as the module ip_vs?");
            USAGE
        }
    }
}

fn open() -> Result<(Kernel, u32), Error> {
    let mut kernel = Kernel::open()?;
    let table_size = kernel.info()?.connection_table_size.unwrap_or_default();
    Ok((kernel, table_size))
}

impl Session<'_> {
    fn carry_out(&mut self, action: Action) -> End {
        match action {
            Action::Help => End::All(self.streams.help()),
            Action::Version => End::All(self.streams.print(help::VERSION)),
            Action::Restore if self.restoring => {
                self.streams.refuse(self.program, Refusal::NoCommand)
            }
            Action::Restore => self.restore(),
            Action::Save(numeric) => {
                // A partial text would lose the rest on restore.
                let text = self.read().and_then(|(observed, unreadable)| match unreadable {
                    None => Ok(views::rules(&observed, (!numeric).then_some(&self.names))),
                    Some(problem) => Err(problem),
                });
                self.show(text)
            }
            Action::List(list) => {
                let mut unreadable = None;
                let text = self.list(&list, &mut unreadable);
                match (self.show(text), unreadable) {
                    (End::Line(_), Some(problem)) => self.show(Err(problem)),
                    (end, _) => end,
                }
            }
            Action::Change(request) => match self.kernel.execute_one(&request) {
                Ok(()) => End::Line(DONE),
                Err(error) => {
                    self.streams.complain(&kernel_words::words(&error));
                    End::Line(REFUSED)
                }
            },
        }
    }

    /// The last line's status counts, unless an earlier one ends everything.
    fn restore(&mut self) -> End {
        self.restoring = true;
        let mut last = DONE;
        loop {
            let mut line = Vec::new();
            match self.streams.input.read_until(b'\n', &mut line) {
                Ok(0) => return End::Line(last),
                Ok(_) => {}
                Err(error) => {
                    self.streams.complain(&error.to_string());
                    return End::All(USAGE);
                }
            }
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches('\n');
            let words = line.split([' ', '\t']).filter(|word| !["", "ipvsadm"].contains(word));
            let words: Vec<String> = words.map(str::to_owned).collect();
            if words.is_empty() {
                continue;
            }
            let end = match Action::read(&words, &self.names) {
                Ok(action) => self.carry_out(action),
                Err(refusal) => self.streams.refuse(self.program, refusal),
            };
            match end {
                End::Line(status) => last = status,
                end @ End::All(_) => return end,
            }
        }
    }

    fn show(&mut self, text: Result<String, String>) -> End {
        match text {
            Ok(text) => End::Line(self.streams.print(&text)),
            Err(problem) => {
                self.streams.complain(&problem);
                End::All(UNLISTED)
            }
        }
    }

    /// Everything, and the objects that cannot be expressed.
    fn read(&mut self) -> Result<(Observed, Option<String>), String> {
        let reading = self.kernel.read().map_err(|error| kernel_words::words(&error))?;
        let unreadable = reading.unreadable.first().map(|unreadable| {
            let what = unreadable.object.map(|object| format!("{object}: ")).unwrap_or_default();
            format!("not understood: {what}{}", unreadable.error)
        });
        Ok((reading.observed, unreadable))
    }

    fn list(&mut self, list: &List, unreadable: &mut Option<String>) -> Result<String, String> {
        let kernel = &mut self.kernel;
        let told = |error: Error| kernel_words::words(&error);
        let observed = match &list.subject {
            Subject::Timeouts => {
                return Ok(views::timeouts(&kernel.timeouts().map_err(told)?));
            }
            Subject::Daemons => return Ok(views::daemons(&kernel.daemons().map_err(told)?)),
            Subject::Connections(engines) => {
                let file = std::fs::read_to_string(connections::FILE)
                    .map_err(|error| format!("{}: {error}", connections::FILE))?;
                let names = (!list.numeric).then_some(&self.names);
                return Ok(connections::table(&file, *engines, names));
            }
            Subject::Service(key) => {
                let Some(mut service) = kernel.read_service(key).map_err(told)? else {
                    return Err("No such service".to_owned());
                };
                service.servers = kernel.read_servers(key).map_err(told)?;
                let mut observed = Observed::default();
                observed.services.push(service);
                observed
            }
            Subject::Everything => {
                let (observed, problem) = self.read()?;
                *unreadable = problem;
                observed
            }
        };
        let mut listing = Listing::new(&observed).view(list.view);
        listing = listing.connection_table_size(self.table_size);
        if let Subject::Service(key) = &list.subject {
            listing = listing.only(key);
        }
        if list.exact {
            listing = listing.exact();
        }
        if list.unsorted {
            listing = listing.unsorted();
        }
        let names = (!list.numeric).then_some(&self.names);
        Ok(views::listing(&listing, list.view, names))
    }
}
