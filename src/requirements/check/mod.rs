//! Checks which requirements hold on this host, by files of the kernel.

mod host;
mod network;
mod sockets;

use std::fmt;
use std::path::Path;

use super::{Check, Requirement, Requirements};
use crate::error::Escaped;
use host::Host;

/// The result of checking one requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Finding {
    /// The requirement.
    pub requirement: Requirement,
    /// Whether it holds.
    pub answer: Answer,
}

/// Whether a requirement holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Answer {
    /// It holds.
    Holds,
    /// It does not hold.
    #[non_exhaustive]
    Missing {
        /// What was found, in words.
        found: String,
        /// What was expected, in words.
        expected: String,
    },
    /// The files do not show it, or cannot be read.
    #[non_exhaustive]
    Unknown {
        /// Why.
        why: String,
    },
}

impl Requirements {
    /// Returns for each requirement whether it holds on this host.
    ///
    /// Select the requirements of this host's role first, with [`Requirements::of`]; otherwise those of
    /// other hosts are checked here too. Reads files below `/proc`, `/sys` and, for built-in modules,
    /// `/lib/modules`, each once; runs no process, changes nothing, and sees the network namespace in
    /// which it is called. On systems other than Linux every answer is [`Answer::Unknown`].
    pub fn check_local(&self) -> Vec<Finding> {
        if cfg!(target_os = "linux") {
            return self.check_in(Path::new("/"));
        }
        let why = "only Linux has IPVS and the files that tell".to_owned();
        self.findings(|_| Answer::Unknown { why: why.clone() })
    }

    /// Like [`check_local`](Self::check_local), with the files below `root` instead of `/`, such as a
    /// host's files that a container sees below `/host`.
    ///
    /// ```
    /// use vsched::Config;
    /// use vsched::requirements::{Answer, Role};
    /// let config: Config = "-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.0.1.1 -m".parse()?;
    /// let root = std::env::temp_dir().join(format!("vsched-check-{}", std::process::id()));
    /// let settings = root.join("proc/sys/net/ipv4");
    /// std::fs::create_dir_all(&settings)?;
    /// std::fs::write(settings.join("ip_forward"), "0\n")?;
    /// let findings = config.requirements().of(Role::Director).check_in(&root);
    /// std::fs::remove_dir_all(&root)?;
    /// let forward = findings.iter().find(|finding| finding.requirement.reason.contains("forward"));
    /// let answer = forward.map(|finding| &finding.answer);
    /// assert!(matches!(answer, Some(Answer::Missing { .. })), "{findings:#?}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn check_in(&self, root: &Path) -> Vec<Finding> {
        let host = Host::new(root);
        self.findings(|requirement| match &requirement.check {
            Some(check) => check.answer(&host).unwrap_or_else(|why| Answer::Unknown { why }),
            None => Answer::Unknown { why: "no file tells".to_owned() },
        })
    }

    fn findings(&self, answer: impl Fn(&Requirement) -> Answer) -> Vec<Finding> {
        let finding = |requirement: &Requirement| Finding {
            requirement: requirement.clone(),
            answer: answer(requirement),
        };
        self.iter().map(finding).collect()
    }
}

impl Check {
    /// The answer, or why it is unknown.
    fn answer(&self, host: &Host<'_>) -> Result<Answer, String> {
        match self {
            Check::Sysctl { name, accepted } => {
                let found = host.sysctl(&name.replace('.', "/"))?;
                Ok(value(name, found, accepted))
            }
            Check::InterfaceSysctl { name, interface: Some(interface), accepted } => {
                let found = host.interface_sysctl(name, interface)?;
                Ok(value(&format!("{name} of {interface} and all"), found, accepted))
            }
            Check::InterfaceSysctl { name, interface: None, accepted } => {
                for interface in host.interfaces_with_arp()? {
                    let found = host.interface_sysctl(name, &interface)?;
                    if !accepted.contains(&found) {
                        return Ok(value(&format!("{name} of {interface}"), found, accepted));
                    }
                }
                Ok(Answer::Holds)
            }
            Check::Module { name } => {
                let found = || format!("module {name} is not loaded");
                Ok(holds_if(host.has_module(name)?, found, || format!("module {name}")))
            }
            Check::InterfaceUp { name } => Ok(match host.interface_flags(name)? {
                Some(flags) if flags & host::UP != 0 => Answer::Holds,
                Some(_) => missing(format!("{name} is down"), format!("{name} is up")),
                None => missing(format!("no interface {name}"), format!("{name} is up")),
            }),
            Check::Address { ip, interface } => network::address(host, *ip, interface.as_deref()),
            Check::DefaultRoute { via, family } => network::default_route(host, *via, *family),
            Check::NoDefaultRoute { via, family } => network::no_default_route(host, *via, *family),
            Check::OnLink { ip } => network::on_link(host, *ip),
            Check::Listening { protocol, address } => sockets::listening(host, *protocol, *address),
        }
    }
}

fn value(name: &str, found: i32, accepted: &[i32]) -> Answer {
    let accepts = || {
        let values: Vec<String> = accepted.iter().map(i32::to_string).collect();
        format!("{name} = {}", values.join(" or "))
    };
    holds_if(accepted.contains(&found), || format!("{name} = {found}"), accepts)
}

fn holds_if(
    holds: bool,
    found: impl FnOnce() -> String,
    expected: impl FnOnce() -> String,
) -> Answer {
    if holds { Answer::Holds } else { missing(found(), expected()) }
}

fn missing(found: impl Into<String>, expected: impl Into<String>) -> Answer {
    Answer::Missing { found: found.into(), expected: expected.into() }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Holds => f.write_str("holds"),
            Answer::Missing { found, expected } => {
                write!(f, "missing: found {}; expected {}", Escaped(found), Escaped(expected))
            }
            Answer::Unknown { why } => write!(f, "unknown: {}", Escaped(why)),
        }
    }
}

impl fmt::Display for Finding {
    /// The requirement, with its answer on the next line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n# Here: {}", self.requirement, self.answer)
    }
}
