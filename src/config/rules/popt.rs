//! Splits words into options, by the syntax of the popt library that ipvsadm uses.
//!
//! Letters may be bundled (`-mw2`); a value is in the same word (`-w2`, `-w=2`, `--weight=2`) or in the
//! next one, regardless of what that looks like; long names are never abbreviated; after `--` every
//! word is an argument.

use crate::config::rules::options::{self, Spec, Value};
use crate::config::rules::words::Word;
use crate::error::{Quoted, RulesError};

/// An item that the scanner returns.
#[derive(Debug)]
pub(super) enum Argument<'t> {
    /// An option: as it was written, and its value.
    Option(&'static Spec, Word<'t>, Option<Word<'t>>),
    /// A word that belongs to no option.
    Argument(Word<'t>),
}

/// Iterates over the options of one line; must not be used after an error.
#[derive(Debug)]
pub(super) struct Scanner<'w, 't> {
    words: std::iter::Peekable<std::iter::Copied<std::slice::Iter<'w, Word<'t>>>>,
    /// The word with bundled letters that is being read, and the rest of it.
    bundle: Option<(Word<'t>, Word<'t>)>,
    only_arguments: bool,
}

impl<'w, 't> Scanner<'w, 't> {
    pub(super) fn new(words: &'w [Word<'t>]) -> Self {
        Scanner { words: words.iter().copied().peekable(), bundle: None, only_arguments: false }
    }

    fn letter(&mut self, word: Word<'t>, rest: Word<'t>) -> Result<Argument<'t>, RulesError> {
        let letter = rest.text.chars().next().unwrap_or('-');
        let spec = options::short(letter).ok_or_else(|| {
            word.error(if rest.column == word.column + 1 {
                "unknown option".to_owned()
            } else {
                let letter = letter.to_string();
                format!("unknown option `-{}` in this word", Quoted(&letter))
            })
        })?;
        let rest = rest.after(letter.len_utf8());
        let attached = match rest.text.strip_prefix('=') {
            Some(_) => Some(rest.after(1)),
            None if rest.text.is_empty() => None,
            None => Some(rest),
        };
        if spec.value != Value::No {
            return self.with_value(spec, word, attached);
        }
        if rest.text.starts_with('=') {
            return Err(word.error(format!("`-{letter}` takes no value")));
        }
        self.bundle = attached.map(|rest| (word, rest));
        Ok(Argument::Option(spec, word, None))
    }

    fn name(&mut self, word: Word<'t>, name: &'t str) -> Result<Argument<'t>, RulesError> {
        let (name, attached) = match name.split_once('=') {
            Some((name, _)) => (name, Some(word.after("--".len() + name.len() + 1))),
            None => (name, None),
        };
        let spec = options::long(name).ok_or_else(|| word.error("unknown option"))?;
        if spec.value != Value::No {
            return self.with_value(spec, word, attached);
        }
        match attached {
            Some(_) => Err(word.error(format!("`--{name}` takes no value"))),
            None => Ok(Argument::Option(spec, word, None)),
        }
    }

    fn with_value(
        &mut self,
        spec: &'static Spec,
        word: Word<'t>,
        attached: Option<Word<'t>>,
    ) -> Result<Argument<'t>, RulesError> {
        let value = match (attached, spec.value) {
            (None, Value::Maybe) => self.words.next_if(|next| !next.text.starts_with('-')),
            (None, _) => Some(self.words.next().ok_or_else(|| word.error("a value must follow"))?),
            (attached, _) => attached,
        };
        Ok(Argument::Option(spec, word, value))
    }
}

impl<'t> Iterator for Scanner<'_, 't> {
    type Item = Result<Argument<'t>, RulesError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some((word, rest)) = self.bundle.take() {
            return Some(self.letter(word, rest));
        }
        let word = self.words.next()?;
        if self.only_arguments {
            return Some(Ok(Argument::Argument(word)));
        }
        match word.text.strip_prefix('-') {
            Some("-") => {
                self.only_arguments = true;
                self.next()
            }
            None | Some("") => Some(Ok(Argument::Argument(word))),
            Some(rest) => Some(match rest.strip_prefix('-') {
                Some(name) => self.name(word, name),
                None => self.letter(word, word.after(1)),
            }),
        }
    }
}
