//! Reads the config to run from a file, or from the laboratory.

use std::fmt::Display;
use std::path::Path;

use vsched::Config;
use vsched::config::Command;
use vsched::config::rules::Rules;

/// The config to run.
pub(crate) struct Wanted {
    pub(crate) config: Config,
    /// The commands that build it, executed one at a time on a new director: a service built step by step
    /// starts its rotation at another server than one created whole.
    pub(crate) commands: Option<Vec<Command>>,
}

/// Reads ipvsadm commands; `name` precedes each line of an error.
pub(crate) fn rules(text: &str, name: &str) -> Result<Wanted, String> {
    // As a config first: an invalid line stops everything, before anything runs.
    let config: Config = text.parse().map_err(|error| complaint(name, error))?;
    let rules: Rules = text.parse().map_err(|error| complaint(name, error))?;
    config.validate().map_err(|error| complaint(name, error))?;
    Ok(Wanted { config, commands: Some(rules.commands().cloned().collect()) })
}

pub(crate) fn rules_file(path: &Path) -> Result<Wanted, String> {
    rules(&read(path)?, &path.display().to_string())
}

pub(crate) fn config_file(path: &Path) -> Result<Wanted, String> {
    let name = path.display().to_string();
    let text = read(path)?;
    let config: Config = match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => serde_json::from_str(&text).map_err(|error| complaint(&name, error))?,
        Some("toml") => toml::from_str(&text).map_err(|error| complaint(&name, error))?,
        _ => return Err(format!("{name}: a config ends in .json or .toml")),
    };
    config.validate().map_err(|error| complaint(&name, error))?;
    Ok(Wanted { config, commands: None })
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| complaint(&path.display().to_string(), error))
}

/// An error may have several lines: a config error has one per problem.
fn complaint(name: &str, error: impl Display) -> String {
    let error = error.to_string();
    let lines: Vec<String> = error.lines().map(|line| format!("{name}: {line}")).collect();
    lines.join("\n")
}
