//! Splits a line into words at blanks and tabs, without comments and the program's name.

use crate::config::steps;
use crate::error::{Quoted, RulesError};

/// A piece of the text and its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word<'t> {
    pub(super) line: usize,
    /// 1-based, in characters.
    pub(super) column: usize,
    pub(super) text: &'t str,
}

impl<'t> Word<'t> {
    /// The part of the word after its first `bytes` bytes.
    pub(super) fn after(self, bytes: usize) -> Word<'t> {
        let (before, text) = self.text.split_at_checked(bytes).unwrap_or(("", self.text));
        steps::take(before.len());
        Word { column: self.column + before.chars().count(), text, ..self }
    }

    pub(super) fn error(self, message: impl Into<String>) -> RulesError {
        RulesError::new(self.line, self.column, self.text, message)
    }

    /// The error for an option that was already given at `first`.
    pub(super) fn duplicates(self, first: Word<'_>) -> RulesError {
        self.error(format!(
            "duplicate: `{}` in column {} has said that already",
            Quoted(first.text),
            first.column
        ))
    }
}

/// The word that may precede a command.
pub(super) const PROGRAM: &str = "ipvsadm";

/// The words of one line.
///
/// The real program drops the word `ipvsadm` anywhere in a line of `--restore`; users also paste lines
/// that start with its path. A word that starts with `#` starts a comment.
pub(super) fn of_line(line: usize, text: &str) -> Vec<Word<'_>> {
    let text = text.strip_suffix('\r').unwrap_or(text);
    steps::take(text.len());
    let mut words = Vec::new();
    let mut column = 1;
    for (index, part) in text.split([' ', '\t']).enumerate() {
        if index > 0 {
            column += 1; // the blank before it
        }
        if part.starts_with('#') {
            break;
        }
        let first = words.is_empty();
        let program = part == PROGRAM
            || (first && part.strip_suffix(PROGRAM).is_some_and(|p| p.ends_with('/')));
        if !part.is_empty() && !program {
            words.push(Word { line, column, text: part });
        }
        column += part.chars().count();
    }
    words
}

/// Words that are already split; none is dropped.
pub(super) fn of_list<'t>(words: &[&'t str]) -> Vec<Word<'t>> {
    let mut column = 1;
    let place = |text: &&'t str| {
        let word = Word { line: 1, column, text };
        column += text.chars().count() + 1;
        word
    };
    words.iter().map(place).collect()
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;
