//! Settings of a config that belong to no service.

use crate::config::{Config, KernelRules, SyncDaemon, SyncRole, Timeouts};
use crate::error::CommandError;

/// One setting of a config that belongs to no service, as changed by one line of a rules text.
///
/// ```
/// use vsched::Config;
/// use vsched::config::{Command, Setting, Timeouts};
/// let mut config = Config::new().with_timeouts(Timeouts::default().with_tcp(300));
/// let udp = Timeouts::default().with_udp(30);
/// config.execute(&Command::Set(Setting::Timeouts(udp)))?;
/// assert_eq!(config.timeouts, udp.with_tcp(300), "what is not given stays");
/// # Ok::<(), vsched::error::CommandError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Setting {
    /// `--vsched-kernel-rules`: which kernel rules to follow.
    KernelRules(KernelRules),
    /// `--vsched-seed`: seed of the random schedulers.
    Seed(u64),
    /// `--vsched-expire-quiescent-template`: see [`Config::expire_quiescent_template`].
    ExpireQuiescentTemplate(bool),
    /// `--set`: connection timeouts; those that are `None` stay unchanged.
    Timeouts(Timeouts),
    /// `--start-daemon`: adds a synchronization daemon.
    StartDaemon(SyncDaemon),
    /// `--stop-daemon`: removes the synchronization daemon with this role.
    StopDaemon(SyncRole),
}

impl Setting {
    /// Applies the setting to the config. O(1).
    ///
    /// # Errors
    /// A daemon with this role already exists, or does not exist. The config is then unchanged.
    pub(crate) fn apply_to<S>(&self, config: &mut Config<S>) -> Result<(), CommandError> {
        match self {
            Setting::KernelRules(generation) => config.kernel_rules = *generation,
            Setting::Seed(seed) => config.seed = *seed,
            Setting::ExpireQuiescentTemplate(on) => config.expire_quiescent_template = *on,
            Setting::Timeouts(Timeouts { tcp, tcp_fin, udp }) => {
                let known = config.timeouts;
                config.timeouts = Timeouts {
                    tcp: tcp.or(known.tcp),
                    tcp_fin: tcp_fin.or(known.tcp_fin),
                    udp: udp.or(known.udp),
                };
            }
            Setting::StartDaemon(daemon) => {
                if config.daemons.iter().any(|known| known.role == daemon.role) {
                    return Err(CommandError::daemon_exists(daemon.role.name()));
                }
                config.daemons.push(daemon.clone());
            }
            Setting::StopDaemon(role) => {
                let place = config.daemons.iter().position(|known| known.role == *role);
                config.daemons.remove(place.ok_or(CommandError::no_daemon(role.name()))?);
            }
        }
        Ok(())
    }
}
