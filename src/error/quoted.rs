//! What others wrote, as a part of our texts: legible, harmless to a terminal or a log, and short.

use std::fmt::{self, Write};

/// Longest quotation, in characters.
const LONGEST: usize = 80;
/// Longest message of somebody else's that is passed on whole, in characters: what serde's formats
/// say of an unknown field names all known ones.
#[cfg(feature = "serde")]
const LONGEST_MESSAGE: usize = 600;
/// Of a longer one, the characters kept at its beginning and its end, where its place is.
#[cfg(feature = "serde")]
const KEPT: (usize, usize) = (120, 320);

/// A text of unknown origin within a message: control characters, marks that change the direction of
/// writing, whatever else does not show, and backslashes as escapes, cut after 80 characters.
///
/// A text that was cut ends in `...[cut, 10000000 bytes]`, its whole length.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Quoted(text) = self;
        let (end, whole) = fitting(text.char_indices(), LONGEST);
        escape(&text[..end], f)?;
        if whole { Ok(()) } else { write!(f, "...[cut, {} bytes]", text.len()) }
    }
}

/// The same, but whole: for names that are short where they come from, such as the kernel's.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(self.0, f)
    }
}

/// A word of a text that is read again: whole, and nothing escaped but what would end the word or the
/// line, which no valid config has.
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

/// The byte at which a text ends that has at most so many characters once it is escaped, and whether
/// that is all of it.
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

/// The same for a message, whose backslashes may be escapes already.
#[cfg(feature = "serde")]
fn escape_message(text: &str, to: &mut String) -> fmt::Result {
    let mut parts = text.split('\\');
    escape(parts.next().unwrap_or_default(), to)?;
    parts.try_for_each(|part| {
        to.push('\\');
        escape(part, to)
    })
}

/// A character as it is printed.
fn shown(c: char) -> impl Iterator<Item = char> {
    let (plain, escaped, blank) = match c {
        // Quotes end no quotation of ours.
        '\'' | '"' => (Some(c), None, None),
        // The standard library takes these letters for printable; they show nothing.
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

/// What is to be said instead of a format's message that quotes its input as it is; `None` if the
/// message will do.
#[cfg(feature = "serde")]
pub(crate) fn legible(message: &str) -> Option<String> {
    let (frame, text) = framed(message);
    let is_short = |text: &str| text.chars().nth(LONGEST_MESSAGE).is_none();
    if frame.lines().chain([text]).all(|line| is_legible(line) && is_short(line)) {
        return None;
    }
    // Of a frame the place is kept, which stands in its first line, and not the line of input.
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

/// What a format that prints lines puts before a message, and the message: toml shows the line of
/// input first, or says in a line of its own behind the message which table it was in.
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
mod tests {
    use super::*;

    fn quoted(text: &str) -> String {
        Quoted(text).to_string()
    }

    #[test]
    fn what_shows_stays_as_it_is() {
        for text in ["", "192.168.4.5:80", "'a' \"b\" `c`", "größe ἀρχή 大小 ✓"] {
            assert_eq!(quoted(text), text);
        }
    }

    #[test]
    fn what_does_not_show_is_escaped() {
        for (text, escaped) in [
            ("a\0b", r"a\0b"),
            ("\x1b[31mred\x07", r"\u{1b}[31mred\u{7}"),
            ("one\ntwo\r\t", r"one\ntwo\r\t"),
            ("\u{202e}abc\u{2066}\u{200f}", r"\u{202e}abc\u{2066}\u{200f}"),
            ("\u{85}\u{9b}\u{2028}\u{feff}\u{ad}", r"\u{85}\u{9b}\u{2028}\u{feff}\u{ad}"),
            ("\u{3164}\u{a0}\u{e0001}\u{e000}", r"\u{3164}\u{a0}\u{e0001}\u{e000}"),
            ("a\\b", r"a\\b"),
            ("e\u{301}", r"e\u{301}"),
        ] {
            assert_eq!(quoted(text), escaped);
        }
    }

    #[test]
    fn what_is_long_is_cut_and_says_so() {
        let text = |n| "a".repeat(n);
        assert_eq!(quoted(&text(80)), text(80));
        assert_eq!(quoted(&text(81)), text(80) + "...[cut, 81 bytes]");
        assert_eq!(quoted(&"ä".repeat(5_000_000)), "ä".repeat(80) + "...[cut, 10000000 bytes]");
        // An escape is shown whole or not at all.
        assert_eq!(quoted(&"\x1b".repeat(13)), r"\u{1b}".repeat(13));
        assert_eq!(quoted(&"\x1b".repeat(14)), r"\u{1b}".repeat(13) + "...[cut, 14 bytes]");
    }

    #[test]
    fn a_word_stays_one_word() {
        assert_eq!(OneWord("eth0").to_string(), "eth0");
        assert_eq!(OneWord("a b\n-C\u{202e}").to_string(), "a\\u{20}b\\u{a}-C\u{202e}");
    }

    #[cfg(feature = "serde")]
    #[test]
    fn messages_are_passed_on_unless_they_would_not_do() {
        let fine = "unknown field `a`, expected `b` at line 1 column 5";
        assert_eq!(legible(fine), None);
        assert_eq!(legible("unknown field `a`\nin `services.servers`\n"), None);
        assert_eq!(legible("unknown field `a`\n"), None);
        let escaped = legible("unknown field `a\nin `b`, expected `c`\n").expect("not legible");
        assert_eq!(escaped, r"unknown field `a\nin `b`, expected `c`");
        let toml = "TOML parse error at line 1, column 1\n  |\n1 | service = []\n  | ^^^^^^^\n";
        assert_eq!(legible(&format!("{toml}unknown field `service`\n")), None);
        let escaped = legible(&format!("{toml}unknown field `a\nb`\n")).expect("not legible");
        assert_eq!(escaped, r"TOML parse error at line 1, column 1: unknown field `a\nb`");
        let hidden = toml.replace("[]", "'\u{202e}'") + "unknown field `service`\n";
        let escaped = legible(&hidden).expect("not legible");
        assert_eq!(escaped, "TOML parse error at line 1, column 1: unknown field `service`");
        let long = format!("unknown field `{}`, expected `b` at line 1 column 9", "a".repeat(9000));
        let short = legible(&long).expect("not short");
        assert!(short.starts_with("unknown field `aaa") && short.len() < 600, "{short}");
        assert!(short.ends_with("aaa`, expected `b` at line 1 column 9"), "{short}");
        assert!(short.contains("...[cut, 9049 bytes]..."), "{short}");
    }
}
