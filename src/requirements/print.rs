//! Requirements as a text, in which everything except the commands of required items is a comment.

use std::fmt::{self, Display, Formatter};

use super::{Action, Need, Origin, Requirement, Requirements};

/// Most origins that a line lists.
const NAMED: usize = 3;

impl Display for Requirements {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut role = None;
        for requirement in self {
            if role != Some(requirement.role) {
                let gap = if role.is_some() { "\n" } else { "" };
                writeln!(f, "{gap}# On the {}", requirement.role)?;
                role = Some(requirement.role);
            }
            writeln!(f, "\n{requirement}")?;
        }
        Ok(())
    }
}

impl Display for Requirement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let need = match self.need {
            Need::Required => "Required",
            Need::Advised => "Advised",
        };
        write!(f, "# {need} by {}:\n#   {}", Origins(&self.origins), self.reason)?;
        match &self.action {
            Action::Run(commands) => {
                let comment = if self.need == Need::Advised { "# " } else { "" };
                commands.iter().try_for_each(|command| write!(f, "\n{comment}{command}"))
            }
            Action::Look(command) => write!(f, "\n# See: {command}"),
            Action::Know => Ok(()),
        }
    }
}

impl Display for Origin {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.service)?;
        match self.server {
            Some(server) => write!(f, " -> {server}"),
            None => Ok(()),
        }
    }
}

struct Origins<'a>(&'a [Origin]);

impl Display for Origins<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, origin) in self.0.iter().take(NAMED).enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{origin}")?;
        }
        match self.0.len().saturating_sub(NAMED) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
