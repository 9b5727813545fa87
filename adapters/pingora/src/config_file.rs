//! A config in a file that may change while the proxy runs.

use std::error::Error;
use std::fmt;
use std::fs::{self, Metadata};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use vsched::config::{Forwarding, Protocol, ServiceKey};
use vsched::error::ApplyError;
use vsched::{Applied, ApplyPolicy, Config, Director};

/// A config file: TOML if its name ends in `.toml`, JSON if it ends in `.json`, otherwise rules as
/// `ipvsadm --save` prints them.
///
/// ```no_run
/// use vsched_pingora::ConfigFile;
/// let file = ConfigFile::new("/etc/gateway.toml");
/// let director = file.start()?;
/// // Later, as a `ControlLoop` does once per second:
/// if let Some(applied) = file.reload_if_changed(&director)? {
///     println!("{applied:?}");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ConfigFile {
    path: PathBuf,
    policy: ApplyPolicy,
    seen: Mutex<Option<Stamp>>,
}

/// What changes when a file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    file: u64,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let file = std::os::unix::fs::MetadataExt::ino(metadata);
        #[cfg(not(unix))]
        let file = 0;
        Stamp { modified: metadata.modified().ok(), length: metadata.len(), file }
    }
}

impl ConfigFile {
    /// Returns the file at this path, which is not read yet. The guardrails are those of
    /// [`ApplyPolicy::default`]: a reload that removes more than half of the servers, or a service's last
    /// one with a weight, is refused.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        ConfigFile { path: path.into(), policy: ApplyPolicy::default(), seen: Mutex::default() }
    }

    /// Returns the file with other guardrails.
    pub fn with_policy(mut self, policy: ApplyPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Returns the path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file and checks that a proxy can do what it says. Reads from the disk at once, as all
    /// methods do; nothing is applied.
    ///
    /// # Errors
    /// The file cannot be read or parsed, violates limits, or has a TCP server whose forwarding method is
    /// not [`Masq`](Forwarding::Masq).
    pub fn read(&self) -> Result<Config, ConfigFileError> {
        let error = |problem| ConfigFileError { path: self.path.clone(), problem };
        // Before the contents: a change in between is then seen as one.
        let stamp = fs::metadata(&self.path).map(|metadata| Stamp::of(&metadata));
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = stamp.ok();
        let text = fs::read_to_string(&self.path).map_err(|cause| error(Problem::Read(cause)))?;
        let config = parse(&self.path, &text).map_err(|cause| error(Problem::Content(cause)))?;
        config.validate().map_err(|cause| error(Problem::Content(cause.into())))?;
        match not_proxied(&config) {
            Some((service, server)) => Err(error(Problem::Forwarding { service, server })),
            None => Ok(config),
        }
    }

    /// Reads the file and starts a director with it.
    ///
    /// # Errors
    /// As for [`read`](Self::read) and [`Director::new`].
    pub fn start(&self) -> Result<Director, ConfigFileError> {
        Director::new(&self.read()?).map_err(|cause| self.refused(cause))
    }

    /// Reads the file and applies it.
    ///
    /// # Errors
    /// As for [`read`](Self::read) and [`Director::apply_with`]. Nothing changes then.
    pub fn reload(&self, director: &Director) -> Result<Applied, ConfigFileError> {
        let config = self.read()?;
        director.apply_with(&config, &self.policy).map_err(|cause| self.refused(cause))
    }

    /// As [`reload`](Self::reload), if the file's time, length or identity differ from those at the latest
    /// read; otherwise `None`. So a bad file is read, and reported, once per change.
    ///
    /// # Errors
    /// As for `reload`. A file that is gone is no change: its error is returned once.
    pub fn reload_if_changed(
        &self,
        director: &Director,
    ) -> Result<Option<Applied>, ConfigFileError> {
        let now = fs::metadata(&self.path).ok().map(|metadata| Stamp::of(&metadata));
        if now == *self.seen.lock().unwrap_or_else(PoisonError::into_inner) {
            return Ok(None);
        }
        self.reload(director).map(Some)
    }

    fn refused(&self, cause: ApplyError) -> ConfigFileError {
        ConfigFileError { path: self.path.clone(), problem: Problem::Content(cause.into()) }
    }
}

fn parse(path: &Path, text: &str) -> Result<Config, Box<dyn Error + Send + Sync>> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("toml") => Ok(toml::from_str(text)?),
        Some("json") => Ok(serde_json::from_str(text)?),
        _ => Ok(text.parse()?),
    }
}

/// The first TCP server that a proxy cannot reach as the config says.
fn not_proxied(config: &Config) -> Option<(ServiceKey, SocketAddr)> {
    let tcp = |key: &ServiceKey| matches!(key.protocol(), None | Some(Protocol::Tcp));
    let services = config.services.iter().filter(|service| tcp(&service.key));
    let mut servers = services.flat_map(|service| {
        let servers = service.servers.iter().map(|server| (server.forwarding, server.address));
        servers.map(|(forwarding, address)| (service.key, forwarding, address))
    });
    let found = servers.find(|(_, forwarding, _)| *forwarding != Forwarding::Masq)?;
    Some((found.0, found.2))
}

/// Why a config file was not applied. Nothing has changed.
#[derive(Debug)]
pub struct ConfigFileError {
    path: PathBuf,
    problem: Problem,
}

#[derive(Debug)]
enum Problem {
    Read(io::Error),
    Content(Box<dyn Error + Send + Sync>),
    Forwarding { service: ServiceKey, server: SocketAddr },
}

impl ConfigFileError {
    /// Returns the file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Display for ConfigFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path.display())?;
        match &self.problem {
            Problem::Read(cause) => cause.fmt(f),
            Problem::Content(cause) => cause.fmt(f),
            Problem::Forwarding { service, server } => write!(
                f,
                "service {service}: server {server}: forwarding: expected masq (-m in rules), \
                 which is what a proxy does"
            ),
        }
    }
}

impl Error for ConfigFileError {
    /// What is behind the cause, which the message says already.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.problem {
            Problem::Read(cause) => cause.source(),
            Problem::Content(cause) => cause.source(),
            Problem::Forwarding { .. } => None,
        }
    }
}
