//! Quotes untrusted text in messages: legible, short, and safe for a terminal or a log.

use std::fmt::{self, Write};

/// Longest quotation, in characters.
const LONGEST: usize = 80;
/// Longest message of another crate that is passed on complete, in characters: messages of serde's
/// formats about an unknown field list all known fields.
#[cfg(feature = "serde")]
const LONGEST_MESSAGE: usize = 600;
/// Number of characters kept of a longer message, at its beginning and at its end, where the position
/// is.
#[cfg(feature = "serde")]
const KEPT: (usize, usize) = (120, 320);

/// A text of unknown origin within a message: control characters, bidirectional marks, other invisible
/// characters and backslashes are escaped, and it is cut after 80 characters.
///
/// A text that was cut ends in `...[cut, 10000000 bytes]`, with its full length.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Quoted(text) = self;
        let (end, whole) = fitting(text.char_indices(), LONGEST);
        escape(&text[..end], f)?;
        if whole { Ok(()) } else { write!(f, "...[cut, {} bytes]", text.len()) }
    }
}

/// Like [`Quoted`], but never cut: for names that are short at their source, such as the kernel's.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(self.0, f)
    }
}

/// A word of a text that will be parsed again: complete, with only those characters escaped that would
/// end the word or the line, which do not occur in a valid config.
pub(crate) struct OneWord<'a>(pub(crate) &'a str);

impl fmt::Display for OneWord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| {
            if matches!(c, ' ' | '\t' | '\n') {
                write!(f, "{}", c.escape_unicode())
            } else {
                f.write_char(c)
            }
        })
    }
}

/// The length in bytes of the longest prefix that has at most `most` characters once it is escaped, and
/// whether that is the whole text.
fn fitting(chars: impl Iterator<Item = (usize, char)>, most: usize) -> (usize, bool) {
    let (mut end, mut used) = (0, 0);
    for (at, c) in chars {
        used += shown(c).count();
        if used > most {
            return (end, false);
        }
        end = at + c.len_utf8();
    }
    (end, true)
}

fn escape(text: &str, to: &mut impl Write) -> fmt::Result {
    text.chars().flat_map(shown).try_for_each(|c| to.write_char(c))
}

/// Escapes a message, whose backslashes may already be escapes.
#[cfg(feature = "serde")]
fn escape_message(text: &str, to: &mut String) -> fmt::Result {
    let mut parts = text.split('\\');
    escape(parts.next().unwrap_or_default(), to)?;
    parts.try_for_each(|part| {
        to.push('\\');
        escape(part, to)
    })
}

/// A character as it is printed, escaped if it is invisible.
fn shown(c: char) -> impl Iterator<Item = char> {
    let (plain, escaped, blank) = match c {
        // Quotes need no escape: messages do not delimit quotations with them.
        '\'' | '"' => (Some(c), None, None),
        // The standard library considers these letters printable, but they are invisible.
        '\u{115f}' | '\u{1160}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}' => {
            (None, None, Some(c.escape_unicode()))
        }
        _ => (None, Some(c.escape_debug()), None),
    };
    let escaped = escaped.into_iter().flatten().chain(blank.into_iter().flatten());
    plain.into_iter().chain(escaped)
}

#[cfg(feature = "serde")]
fn is_legible(text: &str) -> bool {
    text.chars().all(|c| c == '\\' || shown(c).eq([c]))
}

/// A replacement for a format's message that quotes its input raw; `None` if the message is legible.
#[cfg(feature = "serde")]
pub(crate) fn legible(message: &str) -> Option<String> {
    let (frame, text) = framed(message);
    let is_short = |text: &str| text.chars().nth(LONGEST_MESSAGE).is_none();
    if frame.lines().chain([text]).all(|line| is_legible(line) && is_short(line)) {
        return None;
    }
    // Of a frame only the position is kept, which is in its first line, not the line of input.
    let mut result = frame.lines().next().map(|place| place.to_owned() + ": ").unwrap_or_default();
    // Writing to a string does not fail.
    let _ = match fitting(text.char_indices(), LONGEST_MESSAGE) {
        (_, true) => escape_message(text, &mut result),
        (_, false) => shorten(text, &mut result),
    };
    Some(result)
}

#[cfg(feature = "serde")]
fn shorten(text: &str, to: &mut String) -> fmt::Result {
    let (end, _) = fitting(text.char_indices(), KEPT.0);
    let backwards = text.char_indices().rev().map(|(at, c)| (text.len() - at - c.len_utf8(), c));
    let (tail, _) = fitting(backwards, KEPT.1);
    escape_message(&text[..end], to)?;
    write!(to, "...[cut, {} bytes]...", text.len())?;
    escape_message(&text[text.len() - tail..], to)
}

/// Splits a multi-line message into what the format adds and the message itself: toml shows the line of
/// input first, or names the table in a separate line after the message.
#[cfg(feature = "serde")]
fn framed(message: &str) -> (&str, &str) {
    let Some(text) = message.strip_suffix('\n') else { return ("", message) };
    if text.starts_with("TOML parse error at line ") {
        let is_margin = |line: &str| {
            line.trim_start_matches(|c: char| c == ' ' || c.is_ascii_digit()).starts_with('|')
        };
        let lines = text.split_inclusive('\n');
        let shown = lines.clone().skip(1).take_while(|line| is_margin(line)).count();
        let length = lines.take(1 + shown).map(str::len).sum();
        return text.split_at(length);
    }
    let is_path = |path: &str| {
        let path = path.strip_suffix('`');
        path.is_some_and(|path| {
            path.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.".contains(&b))
        })
    };
    match text.rsplit_once("\nin `") {
        Some((text, path)) if is_path(path) => ("", text),
        _ => ("", text),
    }
}

#[cfg(test)]
#[path = "quoted_tests.rs"]
mod tests;
