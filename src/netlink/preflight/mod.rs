//! Checks whether a kernel can run a config, without changing anything.

mod probe;
mod sysctl;

use std::fmt;

use super::error::{Cause, Error, Object};
use super::wire::Info;
use super::{Kernel, Options};
use crate::config::{Config, KernelRules, NotInLinux, SchedulerKind, ServiceKey};
use crate::error::Quoted;
use probe::Probed;

/// The properties of a kernel, and the obstacles for a config. Prints one line per finding.
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

/// Something to know before a config is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// The kernel has no IPVS.
    NoIpvs,
    /// The process lacks CAP_NET_ADMIN in the initial user namespace.
    NoPermission,
    /// The config says something that Linux does not have; the kernel is not asked.
    #[non_exhaustive]
    NotInLinux {
        /// The first service or server that wants it.
        object: Object,
        /// The setting.
        setting: NotInLinux,
    },
    /// The kernel lacks the scheduler of this service, and could not load it.
    #[non_exhaustive]
    NoScheduler {
        /// The first service that wants it.
        service: ServiceKey,
        /// The scheduler.
        scheduler: SchedulerKind,
    },
    /// The kernel lacks the persistence engine of this service, and could not load it.
    #[non_exhaustive]
    NoEngine {
        /// The first service that wants it.
        service: ServiceKey,
        /// The engine.
        engine: String,
    },
    /// Whether the kernel has the schedulers and engines is unknown: it has no IPv6.
    Unprobed,
    /// The kernel follows other rules than the config says, so this crate and the kernel pick different
    /// servers.
    #[non_exhaustive]
    Generation {
        /// The kernel's.
        kernel: KernelRules,
        /// The config's.
        config: KernelRules,
    },
    /// A setting of the kernel works against drains.
    #[non_exhaustive]
    Setting {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: u32,
        /// Its effect.
        effect: &'static str,
    },
}

impl Preflight {
    /// Examines the kernel that the options name.
    ///
    /// Nothing that could serve clients is created, not even for a moment. Schedulers and engines are
    /// requested with a service that the kernel must refuse after it has looked for them (an IPv6 prefix
    /// of 129 bits); as for a valid service, it loads their modules. The kernel rules come from
    /// [`Ipvs::generation`](super::Ipvs::generation). Settings are read from `/proc/sys/net/ipv4/vs`.
    ///
    /// # Errors
    /// An exchange with the kernel that failed. Missing IPVS and missing permission are findings instead.
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
        preflight.not_in_linux(wanted);
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

    /// The findings, obstacles first.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Which rules the kernel follows; `None` if that is unknown.
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

    /// What no kernel has, each once.
    pub(super) fn not_in_linux(&mut self, wanted: &Config) {
        let mut seen = Vec::new();
        for service in &wanted.services {
            let key = service.key;
            let own = NotInLinux::of_service(service).map(|it| (Object::Service(key), it));
            let servers = service.servers.iter().flat_map(|server| {
                let object = Object::Server(key, server.address);
                NotInLinux::of_server(key.family(), server).map(move |it| (object, it))
            });
            for (object, setting) in own.chain(servers) {
                if !seen.contains(&setting) {
                    seen.push(setting);
                    self.findings.push(Finding::NotInLinux { object, setting });
                }
            }
        }
    }

    pub(super) fn modules(&mut self, wanted: &Config, kernel: &mut Kernel) -> Result<(), Error> {
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
                if scheduler.is_some_and(|kind| !kind.in_linux()) {
                    continue;
                }
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
    /// Which rules this kernel follows, which decides what lc, wlc, lblc, lblcr and twos pick, and when a
    /// server counts as overloaded. `None` if that is unknown.
    ///
    /// Detected by behavior, because version numbers do not tell: the change is in the middle of stable
    /// series. Rules B refuse an upper threshold above 2147483647. The request offers one for the server
    /// 0.0.0.0, which cannot exist, of any running service, so nothing can change. Without a service, it
    /// offers one for a service without servers in a temporary network namespace, which takes
    /// CAP_SYS_ADMIN.
    ///
    /// # Errors
    /// A failed exchange.
    pub fn generation(&mut self) -> Result<Option<KernelRules>, Error> {
        probe::generation(self.kernel())
    }
}

impl Finding {
    /// True if it prevents the config from running.
    pub fn is_obstacle(&self) -> bool {
        use Finding::{NoEngine, NoIpvs, NoPermission, NoScheduler, NotInLinux};
        match self {
            NoIpvs | NoPermission | NotInLinux { .. } | NoScheduler { .. } | NoEngine { .. } => {
                true
            }
            Finding::Unprobed | Finding::Generation { .. } | Finding::Setting { .. } => false,
        }
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
            Finding::NotInLinux { object, setting } => write!(f, "{object}: {setting}"),
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
