//! The log: lines for people, or one JSON object per line for programs.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use vsched::config::ServiceKey;

/// Entries kept for the status page.
const KEPT: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Lines,
    Json,
}

impl FromStr for Format {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "lines" => Ok(Format::Lines),
            "json" => Ok(Format::Json),
            _ => Err("lines or json"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    Info,
    Warning,
    Error,
}

/// One message.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Entry {
    /// In UTC, as RFC 3339 writes it.
    time: String,
    level: Level,
    /// What kind of message this is: one word.
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<SocketAddr>,
    message: String,
}

impl Entry {
    pub(crate) fn new(level: Level, event: &'static str, message: impl Into<String>) -> Self {
        let time = timestamp(SystemTime::now());
        Entry { time, level, event, service: None, server: None, message: message.into() }
    }

    pub(crate) fn info(event: &'static str, message: impl Into<String>) -> Self {
        Entry::new(Level::Info, event, message)
    }

    pub(crate) fn warning(event: &'static str, message: impl Into<String>) -> Self {
        Entry::new(Level::Warning, event, message)
    }

    pub(crate) fn error(event: &'static str, message: impl Into<String>) -> Self {
        Entry::new(Level::Error, event, message)
    }

    pub(crate) fn of(mut self, service: &ServiceKey, server: Option<SocketAddr>) -> Self {
        self.service = Some(service.to_string());
        self.server = server;
        self
    }

    /// The text for people: without the time, which a terminal does not need and systemd adds.
    fn line(&self) -> String {
        let service = self.service.iter().map(|service| format!("service {service}: "));
        let server = self.server.iter().map(|server| format!("server {server}: "));
        service.chain(server).collect::<String>() + &self.message
    }
}

/// The format, and the latest entries.
pub(crate) struct Log {
    pub(crate) format: Format,
    latest: VecDeque<Entry>,
}

impl Log {
    pub(crate) fn new() -> Self {
        Log { format: Format::Lines, latest: VecDeque::new() }
    }

    /// Keeps this entry; returns it as a line.
    pub(crate) fn add(&mut self, entry: Entry) -> String {
        let line = match self.format {
            Format::Lines => entry.line(),
            // Strings and numbers: this cannot fail.
            Format::Json => serde_json::to_string(&entry).unwrap_or_default(),
        };
        if self.latest.len() == KEPT {
            self.latest.pop_front();
        }
        self.latest.push_back(entry);
        line
    }

    /// The newest first.
    pub(crate) fn latest(&self) -> Vec<Entry> {
        self.latest.iter().rev().cloned().collect()
    }
}

/// Milliseconds since 1970.
pub(crate) fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    since.as_millis().try_into().unwrap_or(u64::MAX)
}

/// A time such as `2026-11-30T04:46:18.123Z`.
fn timestamp(time: SystemTime) -> String {
    let milliseconds = milliseconds(time);
    let (days, rest) = (milliseconds / 86_400_000, milliseconds % 86_400_000);
    // The Gregorian calendar repeats every 400 years, 146,097 days. Years that begin in March have the
    // leap day at their end.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let (hours, minutes) = (rest / 3_600_000, rest / 60_000 % 60);
    let (seconds, rest) = (rest / 1_000 % 60, rest % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{rest:03}Z")
}
