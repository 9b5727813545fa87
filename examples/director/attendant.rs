//! The main thread once everything runs: signals, the clock, the screen, and what others may see.

use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::arguments::Arguments;
use crate::capacity::Watch;
use crate::display::{self, Screen};
use crate::front::Front;
use crate::health::HealthChecker;
use crate::log::Entry;
use crate::notify::Notifier;
use crate::signals::{Removal, Request};
use crate::status::Shared;
use crate::{Event, FAILED, TICK, read};

pub(crate) struct Attendant<'a> {
    pub(crate) arguments: &'a Arguments,
    pub(crate) front: Front,
    pub(crate) screen: &'a mut Screen,
    /// What the status page shows.
    pub(crate) shared: Shared,
    pub(crate) checker: Option<HealthChecker>,
    pub(crate) notifier: Notifier,
}

impl Attendant<'_> {
    /// Attends until all workers have stopped.
    pub(crate) fn attend(mut self, events: &Receiver<Event>) -> ExitCode {
        // If stopped early, --requests has failed.
        let mut all_answered = self.arguments.requests.is_none();
        let mut stopping = false;
        let mut stopped = 0;
        let started = Instant::now();
        let mut watch = Watch::default();
        let mut next_tick = started + TICK;
        self.follow();
        let summary = self.look();
        self.notifier.ready(&summary);
        while stopped < self.arguments.workers {
            let now = Instant::now();
            if now >= next_tick {
                next_tick = now + TICK;
                self.front.director().tick(started.elapsed());
                if let (false, Some(entry)) = (stopping, watch.look(self.front.capacity(), now)) {
                    self.screen.log(entry);
                }
                self.tick(watch.is_saturated(), stopping);
                // Do not wait forever for a worker that died of a bug.
                if self.front.is_finished() {
                    break;
                }
            }
            match events.recv_timeout(next_tick.saturating_duration_since(now)) {
                Ok(Event::Signal(Request::Stop)) => {
                    let grace = if stopping { Duration::ZERO } else { self.arguments.grace };
                    self.stop(grace);
                    stopping = true;
                }
                Ok(Event::Signal(Request::Table)) => {
                    let text = self.progress() + &self.front.explained_report();
                    self.screen.print(&text);
                }
                Ok(Event::Signal(Request::Reload(_))) if stopping => {}
                Ok(Event::Signal(Request::Reload(removal))) => self.reload(removal),
                Ok(Event::Note(line)) => self.screen.log(Entry::warning("note", line)),
                Ok(Event::Log(entry)) => self.screen.log(entry),
                Ok(Event::Answer(line)) => self.screen.print(&format!("{line}\n")),
                Ok(Event::Requested { all_answered: all }) => {
                    all_answered = all;
                    self.stop(self.arguments.grace);
                    stopping = true;
                }
                Ok(Event::WorkerStopped) => stopped += 1,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.report_end();
        if all_answered && stopping { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
    }

    fn stop(&mut self, grace: Duration) {
        self.front.stop(Instant::now() + grace);
        self.notifier.stopping();
        self.shared.lock().snapshot.stopping = true;
    }

    /// Reads the file again. After an error, the director continues unchanged.
    fn reload(&mut self, removal: Removal) {
        self.notifier.reloading();
        let served =
            read(&self.arguments.source).and_then(|wanted| self.front.serve(wanted, removal));
        match served {
            Ok(notes) => {
                notes.into_iter().for_each(|note| self.screen.log(Entry::info("reload", note)));
                self.follow();
            }
            // An error may have several lines.
            Err(error) => error.lines().for_each(|line| {
                self.screen.log(Entry::error("reload", format!("not reloaded: {line}")));
            }),
        }
        let text = self.progress() + &self.front.report();
        self.screen.print(&text);
        let summary = self.shared.lock().snapshot.summary();
        self.notifier.ready(&summary);
    }

    fn follow(&self) {
        if let Some(checker) = &self.checker {
            checker.follow(&self.front.director().config());
        }
    }

    /// Looks at everything, and logs what has changed. Returns the summary.
    fn look(&mut self) -> String {
        let failures = self.front.failures();
        let mut tracker = self.shared.lock();
        let entries = tracker.look(self.front.director(), |key| failures.unanswered_of(*key));
        let summary = tracker.snapshot.summary();
        drop(tracker);
        entries.into_iter().for_each(|entry| self.screen.log(entry));
        summary
    }

    fn tick(&mut self, saturated: bool, stopping: bool) {
        let summary = self.look();
        let mut tracker = self.shared.lock();
        tracker.second_over();
        let snapshot = &mut tracker.snapshot;
        snapshot.saturated = saturated;
        snapshot.room = self.front.capacity().connections();
        snapshot.events = self.screen.log.latest();
        let table = display::progress(snapshot);
        drop(tracker);
        if !stopping {
            self.notifier.alive(&summary);
            if self.arguments.requests.is_none() {
                self.screen.refresh(&table);
            }
        }
    }

    fn progress(&mut self) -> String {
        self.look();
        display::progress(&self.shared.lock().snapshot)
    }

    fn report_end(&mut self) {
        let cut = self.front.cut();
        if cut > 0 {
            let message = format!("{cut} connections were still open and have been cut");
            self.screen.log(Entry::warning("cut", message));
        }
        let text = self.progress() + &self.front.report();
        self.screen.print(&text);
    }
}
