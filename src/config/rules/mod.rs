//! The rules text: command lines as administrators type them for `ipvsadm`, one a line, and as
//! `ipvsadm --save` prints them.
//!
//! A line is one of the commands that configure, `-A` `-E` `-D` `-C` `-a` `-e` `-d` or its long
//! name, `--set`, `--start-daemon` or `--stop-daemon`, with every option, default and oddity of ipvsadm 1.31, split at blanks and tabs without
//! quoting. The word `ipvsadm` may stand before it. Blank lines count as nothing, and
//! a word that begins with `#` begins a comment. Names of hosts and services are never looked up.
//!
//! What a config can say and ipvsadm cannot stands in options and commands that begin with
//! `--vsched-`, so that ipvsadm refuses it: `docs/behaviour.md` lists them. [`RulesText::complete`]
//! prints them where they are needed.
//!
//! Deliberate differences: comments are understood; whatever lies outside a config is refused,
//! such as `--list` and `--zero`; one wrong command stops everything, where `ipvsadm --restore`
//! goes on after what the kernel refuses; firewall marks above 2147483647 are read back in the
//! negative form in which `ipvsadm --save` prints them.

mod address;
mod draft;
#[cfg(test)]
mod linear_tests;
mod number;
mod options;
mod parse;
mod popt;
mod print;
mod server;
mod settings;
mod words;

use std::str::FromStr;

use crate::config::command::Editor;
use crate::config::{Command, Config};
use crate::error::RulesError;

pub use print::RulesText;

/// How much of a line is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Checks {
    /// What ipvsadm checks.
    Ipvsadm,
    /// Also what every kernel refuses.
    All,
}

/// Commands in the order of a rules text.
///
/// ```
/// use vsched::config::{Config, rules::Rules};
/// let rules: Rules = "
///     ## as it is typed
///     ipvsadm -A -t 192.168.4.5:80 -s wrr
///     ipvsadm -a -t 192.168.4.5:80 -r 192.168.5.11 -m -w2
/// ".parse()?;
/// let mut config = Config::default();
/// rules.apply_to(&mut config)?;
/// assert_eq!(
///     config.to_rules().to_string(),
///     "-A -t 192.168.4.5:80 -s wrr\n-a -t 192.168.4.5:80 -r 192.168.5.11:80 -m -w 2\n",
/// );
/// # Ok::<(), vsched::error::RulesError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    rules: Vec<Rule>,
}

/// One command and its line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// The line it stands on, from 1.
    pub line: usize,
    /// What it does.
    pub command: Command,
    /// The command word, which errors of carrying it out point at.
    at: (usize, String),
}

impl Rules {
    /// The rules with their lines.
    pub fn iter(&self) -> std::slice::Iter<'_, Rule> {
        self.rules.iter()
    }

    /// The commands without their lines.
    pub fn commands(&self) -> impl Iterator<Item = &Command> {
        self.rules.iter().map(|rule| &rule.command)
    }

    /// Carries out the commands one after the other; all of them or none. O(config + commands).
    ///
    /// # Errors
    /// The first command that the config refuses at its turn, such as a second `-A` of a service.
    /// The config is unchanged then.
    pub fn apply_to(&self, config: &mut Config) -> Result<(), RulesError> {
        let mut result = config.clone();
        let mut editor = Editor::new(&mut result);
        for rule in &self.rules {
            editor.execute(&rule.command).map_err(|error| {
                let (column, word) = &rule.at;
                RulesError::refused(rule.line, *column, word, error)
            })?;
        }
        drop(editor);
        *config = result;
        Ok(())
    }
}

impl<'a> IntoIterator for &'a Rules {
    type Item = &'a Rule;
    type IntoIter = std::slice::Iter<'a, Rule>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Command {
    /// Reads one command from words that are split already, as a program gets them: what `ipvsadm`
    /// itself reads, and checked as little. Options that begin with `--vsched-` are unknown here. Addresses that are not unicast and lower thresholds above
    /// upper ones, which a rules text refuses, are left to the kernel or to [`Config::validate`].
    ///
    /// ```
    /// use vsched::config::{Command, Config};
    /// let command = Command::from_words(&["-A", "-t", "192.168.4.5:80", "-s", ""])?;
    /// let mut config = Config::default();
    /// config.execute(&command)?;
    /// assert_eq!(config.to_rules().to_string(), "-A -t 192.168.4.5:80 -s wlc\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The first thing that is wrong, as in a line of these words with one blank between any two.
    pub fn from_words(words: &[&str]) -> Result<Self, RulesError> {
        let words = words::of_list(words);
        let Some(first) = words.first() else {
            return Err(RulesError::new(1, 1, "", "a command is missing"));
        };
        parse::command(*first, &words, Checks::Ipvsadm)
    }
}

impl FromStr for Rules {
    type Err = RulesError;

    /// Reads a rules text. O(length).
    ///
    /// # Errors
    /// The first thing that is wrong: the first wrong line, and in it the first wrong word from
    /// the left, then what is missing or does not fit together.
    fn from_str(text: &str) -> Result<Self, RulesError> {
        let mut rules = Vec::new();
        for (line, text) in (1..).zip(text.split('\n')) {
            let words = words::of_line(line, text);
            let Some(first) = words.first() else { continue };
            rules.push(Rule {
                line,
                command: parse::command(*first, &words, Checks::All)?,
                at: (first.column, first.text.to_owned()),
            });
        }
        Ok(Rules { rules })
    }
}

impl FromStr for Config {
    type Err = RulesError;

    /// Reads a rules text and carries it out on an empty config. O(length).
    ///
    /// # Errors
    /// The first line that cannot be read, otherwise the first that cannot be carried out.
    fn from_str(text: &str) -> Result<Self, RulesError> {
        let mut config = Config::default();
        text.parse::<Rules>()?.apply_to(&mut config)?;
        Ok(config)
    }
}
