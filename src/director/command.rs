//! Single commands on what runs.

use crate::arena::id::ServerId;
use crate::config::{Command, RealServer};
use crate::director::control::Control;
use crate::director::steps::{set, steps, to_carry_out};
use crate::director::{Applied, Director};
use crate::error::ApplyError;

impl Director {
    /// Gives a server another weight, in the config that runs; 0 drains it. As
    /// [`execute`](Self::execute) of a [`Command::EditServer`] that changes the weight alone.
    ///
    /// In a [`Block`](crate::Block) all directors whose config gives the server the weight that this one replaces
    /// follow at their next [`tick`](Self::tick), and those that come later when they begin. That ends when the weight
    /// is set again, or where a director that has it applies a config with another weight.
    ///
    /// # Errors
    /// [`Stale`](ApplyError::Stale) if the id is, or the server is no longer configured; a weight above
    /// [`MAX_WEIGHT`](crate::config::MAX_WEIGHT). Nothing has changed then.
    ///
    /// ```
    /// use vsched::{Config, Director};
    /// let config: Config = "-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.0.1.1".parse()?;
    /// let director = Director::new(&config)?;
    /// let server = director.servers(director.service("tcp 10.0.0.1:80")?).expect("it runs")[0].0;
    /// director.set_weight(server, 0)?;
    /// assert_eq!(director.config().services[0].servers[0].weight, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_weight(&self, server: ServerId, weight: u32) -> Result<Applied, ApplyError> {
        let mut control = self.inner.changing();
        let (service, known) = control.configured(server).ok_or(ApplyError::Stale)?;
        let (former, set) = (known.weight, control.run_time_weight(server));
        let edited = RealServer { weight, ..known };
        let applied = control.execute(&Command::EditServer { service, server: edited })?;
        control.weight_set(server, set, (former, weight));
        Ok(applied)
    }
}

impl Control {
    /// As [`Director::execute`].
    pub(super) fn execute(&mut self, command: &Command) -> Result<Applied, ApplyError> {
        to_carry_out(self, command).check()?;
        if let Command::Set(setting) = command {
            let wanted = set(self, setting)?;
            let settings = wanted != self.settings;
            if settings {
                self.advance(&[], &wanted)?;
            }
            return Ok(Applied { settings, ..Applied::default() });
        }
        let changes = steps(self, command)?;
        let mut applied = Applied::of(&changes, self);
        if !changes.is_empty() {
            let settings = self.settings.clone();
            self.advance(&changes, &settings)?;
            applied.find_added(self);
        }
        Ok(applied)
    }
}
