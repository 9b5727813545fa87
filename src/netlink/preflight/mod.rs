//! Whether a kernel is fit for a config, found out without changing anything.

mod probe;
mod sysctl;

use std::fmt;

use super::error::{Cause, Error};
use super::wire::Info;
use super::{Kernel, Options};
use crate::config::SchedulerKind;
use crate::config::{Config, KernelRules, ServiceKey};
use crate::error::Quoted;
use probe::Probed;

/// What a kernel is like, and what stands in the way of a config. Prints one line a finding.
///
/// ```no_run
/// use vsched::netlink::{Options, Preflight};
/// let wanted = "-A -t 10.0.0.1:80 -s mh -p 60".parse()?;
/// let preflight = Preflight::new(&wanted, &Options::default())?;
/// print!("{preflight}");
/// if preflight.findings().iter().any(|finding| finding.is_obstacle()) {
///     std::process::exit(1);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Preflight {
    findings: Vec<Finding>,
    generation: Option<KernelRules>,
    info: Info,
}

/// Something to know before a config is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// The kernel has no IPVS.
    NoIpvs,
    /// The process lacks CAP_NET_ADMIN in the initial user namespace.
    NoPermission,
    /// The kernel has not the scheduler of this service, and could not load it.
    NoScheduler {
        /// The first service that wants it.
        service: ServiceKey,
        /// The scheduler.
        scheduler: SchedulerKind,
    },
    /// The kernel has not the persistence engine of this service, and could not load it.
    NoEngine {
        /// The first service that wants it.
        service: ServiceKey,
        /// The engine.
        engine: String,
    },
    /// Whether the kernel has the schedulers and engines could not be found out: it has no IPv6.
    Unprobed,
    /// The kernel counts connections in another way than the config says, so what this crate picks
    /// and what the kernel picks differ.
    Generation {
        /// The kernel's.
        kernel: KernelRules,
        /// The config's.
        config: KernelRules,
    },
    /// A setting of the kernel works against drains.
    Setting {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: u32,
        /// What that does.
        effect: &'static str,
    },
}

impl Preflight {
    /// Looks at the kernel that the options lead to.
    ///
    /// Nothing that could serve is made, not even for a moment. Schedulers and engines are asked for
    /// with a service that the kernel must refuse after it has looked for them (an IPv6 prefix of 129
    /// bits); as for a real one it loads their modules. The generation is told by
    /// [`Ipvs::generation`](super::Ipvs::generation). Settings are read from
    /// `/proc/sys/net/ipv4/vs`.
    ///
    /// # Errors
    /// An exchange with the kernel that failed. No IPVS and no permission are findings.
    pub fn new(wanted: &Config, options: &Options) -> Result<Self, Error> {
        let mut preflight = Preflight::default();
        let mut kernel = match Kernel::with_options(options) {
            Ok(kernel) => kernel,
            Err(Error::Absent) => return Ok(preflight.with(Finding::NoIpvs)),
            Err(error) => return Err(error),
        };
        preflight.info = match kernel.info() {
            Ok(info) => info,
            Err(Error::Refused(refused)) if refused.cause() == Cause::Permission => {
                return Ok(preflight.with(Finding::NoPermission));
            }
            Err(error) => return Err(error),
        };
        preflight.modules(wanted, &mut kernel)?;
        preflight.generation = probe::generation(&mut kernel)?;
        if let Some(kernel) = preflight.generation.filter(|kernel| *kernel != wanted.kernel_rules) {
            let config = wanted.kernel_rules;
            preflight.findings.push(Finding::Generation { kernel, config });
        }
        let settings = sysctl::findings(wanted, options.namespace.as_ref())?;
        preflight.findings.extend(settings);
        Ok(preflight)
    }

    /// What was found, obstacles first.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// How the kernel counts connections; `None` if that could not be found out.
    pub fn generation(&self) -> Option<KernelRules> {
        self.generation
    }

    /// Version and size of the connection table.
    pub fn info(&self) -> Info {
        self.info
    }

    fn with(mut self, finding: Finding) -> Self {
        self.findings.push(finding);
        self
    }

    fn modules(&mut self, wanted: &Config, kernel: &mut Kernel) -> Result<(), Error> {
        let mut asked: Vec<(Option<SchedulerKind>, Option<&str>)> = Vec::new();
        for service in &wanted.services {
            let engine = service.persistence_engine.as_deref();
            for (scheduler, engine) in [(service.scheduler, None), (None, engine)] {
                let question = (scheduler, engine);
                if question == (None, None) || asked.contains(&question) {
                    continue;
                }
                asked.push(question);
                let service = service.key;
                let finding = match (probe::module(kernel, scheduler, engine)?, scheduler, engine) {
                    (Probed::There, ..) | (_, None, None) => continue,
                    (Probed::Untold, ..) => {
                        self.findings.push(Finding::Unprobed);
                        return Ok(());
                    }
                    (Probed::Missing, Some(scheduler), _) => {
                        Finding::NoScheduler { service, scheduler }
                    }
                    (Probed::Missing, _, Some(engine)) => {
                        Finding::NoEngine { service, engine: engine.to_owned() }
                    }
                };
                self.findings.push(finding);
            }
        }
        Ok(())
    }
}

impl super::Ipvs {
    /// How this kernel counts connections, which decides what lc, wlc, lblc, lblcr and twos pick, and
    /// when a server counts as overloaded. `None` if it cannot be found out.
    ///
    /// Told by behaviour, as version numbers do not: the change is in the middle of stable series.
    /// The newer generation refuses an upper threshold above 2147483647. It is offered one for the
    /// server 0.0.0.0, which cannot exist, of any service there is, so nothing can change; if there is
    /// no service, for one without servers in a network namespace of its own, which is gone
    /// afterwards and takes CAP_SYS_ADMIN.
    ///
    /// # Errors
    /// A failed exchange.
    pub fn generation(&mut self) -> Result<Option<KernelRules>, Error> {
        probe::generation(self.kernel())
    }
}

impl Finding {
    /// True if a config cannot be carried out with it.
    pub fn is_obstacle(&self) -> bool {
        use Finding::{NoEngine, NoIpvs, NoPermission, NoScheduler};
        matches!(self, NoIpvs | NoPermission | NoScheduler { .. } | NoEngine { .. })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::NoIpvs => Error::Absent.fmt(f),
            Finding::NoPermission => f.write_str(
                "not permitted: CAP_NET_ADMIN in the initial user namespace is needed, for reading \
                 too; root of a container with a user namespace has it not",
            ),
            Finding::NoScheduler { service, scheduler } => {
                let name = scheduler.name();
                write!(f, "service {service}: this kernel has no scheduler {name}: ")?;
                write!(f, "load it with `modprobe ip_vs_{name}`")
            }
            Finding::NoEngine { service, engine } => {
                let engine = Quoted(engine);
                write!(f, "service {service}: this kernel has no persistence engine {engine}: ")?;
                write!(f, "load it with `modprobe ip_vs_pe_{engine}`")
            }
            Finding::Unprobed => {
                f.write_str("whether this kernel has the schedulers cannot be told: it has no IPv6")
            }
            Finding::Generation { kernel, config } => write!(
                f,
                "this kernel counts as generation {kernel:?}, the config says {config:?}: picks by \
                 this crate can differ from the kernel's"
            ),
            Finding::Setting { name, value, effect } => write!(f, "{name} = {value}: {effect}"),
        }
    }
}

impl fmt::Display for Preflight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.findings.iter().try_for_each(|finding| writeln!(f, "{finding}"))
    }
}
