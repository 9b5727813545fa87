//! The rules text: command lines as administrators type them for `ipvsadm`, one per line, and as
//! `ipvsadm --save` prints them.
//!
//! A line is one of the configuration commands (`-A` `-E` `-D` `-C` `-a` `-e` `-d` or its long name,
//! `--set`, `--start-daemon` or `--stop-daemon`), with every option, default and quirk of ipvsadm 1.31,
//! split at blanks and tabs without quoting. The word `ipvsadm` may precede it. Blank lines are ignored,
//! and a word that starts with `#` starts a comment. Names of hosts and services are never looked up.
//!
//! Settings that a config has and ipvsadm does not are options and commands that start with
//! `--vsched-`, so that ipvsadm refuses them: `docs/behaviour.md` lists them. [`RulesText::complete`]
//! prints them where they are needed.
//!
//! Deliberate differences:
//! - Comments are allowed.
//! - Commands that do not configure, such as `--list` and `--zero`, are refused.
//! - One wrong command stops everything, where `ipvsadm --restore` continues after what the kernel
//!   refuses.
//! - Firewall marks above 2147483647 are also read in the negative form in which `ipvsadm --save` prints
//!   them.

mod address;
mod draft;
#[cfg(test)]
mod linear_tests;
mod number;
mod options;
mod pairs;
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

/// How strictly a line is checked.
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

/// One command, with its line.
///
/// ```
/// use vsched::config::rules::Rules;
/// let rules: Rules = "# web\n-A -t 10.0.0.1:80\n\n-a -t 10.0.0.1:80 -r 10.0.1.1".parse()?;
/// let lines: Vec<usize> = rules.iter().map(|rule| rule.line).collect();
/// assert_eq!(lines, [2, 4]);
/// # Ok::<(), vsched::error::RulesError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// Its line number, from 1.
    pub line: usize,
    /// The command.
    pub command: Command,
    /// The command word, to which errors of executing it point.
    at: (usize, String),
}

impl Rules {
    /// Returns the rules with their lines.
    pub fn iter(&self) -> std::slice::Iter<'_, Rule> {
        self.rules.iter()
    }

    /// Returns the commands without their lines.
    pub fn commands(&self) -> impl Iterator<Item = &Command> {
        self.rules.iter().map(|rule| &rule.command)
    }

    /// Executes the commands in order; either all of them or none. O(config + commands).
    ///
    /// # Errors
    /// The first command that the config then refuses, such as a second `-A` of a service. The config is
    /// then unchanged.
    pub fn apply_to(&self, config: &mut Config) -> Result<(), RulesError> {
        let mut result = config.clone();
        let mut editor = Editor::new(&mut result);
        for rule in &self.rules {
            editor.execute(&rule.command).map_err(|error| {
                let (column, word) = &rule.at;
                RulesError::from_refused(rule.line, *column, word, error)
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
    /// Parses one command from words that are already split, as a program gets them. Accepts what
    /// `ipvsadm` itself accepts, with no more checks: options that start with `--vsched-` are unknown
    /// here, and addresses that are not unicast and lower thresholds above upper ones, which a rules
    /// text refuses, are left to the kernel or to [`Config::validate`].
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
    /// The first error, as in a line of these words separated by one blank each.
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

    /// Parses a rules text. O(length).
    ///
    /// # Errors
    /// The first error: in the first wrong line the first wrong word from the left, or else what is
    /// missing or inconsistent.
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

    /// Parses a rules text and executes it on an empty config. O(length).
    ///
    /// # Errors
    /// The first line that cannot be parsed, otherwise the first that cannot be executed.
    fn from_str(text: &str) -> Result<Self, RulesError> {
        let mut config = Config::default();
        text.parse::<Rules>()?.apply_to(&mut config)?;
        Ok(config)
    }
}
