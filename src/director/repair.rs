//! Correction of counts whose leases were lost, so that no event will correct them.

use crate::arena::counts::MAX_CONNECTIONS;
use crate::arena::id::ServerId;
use crate::arena::ledger::Settled;
use crate::arena::tally::Connections;
use crate::config::ServerCounts;
use crate::director::{Director, counts_of};
use crate::error::ConnectionError;

impl Director {
    /// Sets a server's connection counts, for a host that knows the true ones. Returns the previous
    /// counts; `persistent`, which this call does not set, is 0 there.
    ///
    /// A lost lease (a crashed plug-in, a canceled task) stays counted: its server looks busier than it
    /// is, and if it has an upper threshold it may stay overloaded forever. A reload does not correct
    /// that, and a server that is removed and added again gets its counts back. This call does: the
    /// overload mark follows from the new counts, and schedulers use them from now on.
    ///
    /// Leases that are still open stay valid: each close takes one connection off, but never below
    /// zero. Connections that open or close between the host's own count and this call are
    /// overwritten: count and call while the server is quiesced, or compare the returned counts. If
    /// the new counts are 0, no connection keeps the server's persistence templates alive any longer.
    /// In a service shared `per-worker`, each living worker takes an equal part of the correction
    /// into account.
    ///
    /// Of a director in a [`Block`](crate::Block) it corrects what this director has open: what other owners
    /// have stays counted.
    ///
    /// If the new counts are 0 and the service is persistent, O(templates); else O(log n). Takes the
    /// director's lock; workers do not wait for it.
    ///
    /// # Errors
    /// [`Stale`](ConnectionError::Stale) if the id is stale; [`Full`](ConnectionError::Full) if the
    /// sum of the counts exceeds [`MAX_CONNECTIONS`]. Nothing changes then.
    /// [`Busy`](ConnectionError::Busy), in a block only, if other owners never stopped changing the counts:
    /// call it again.
    ///
    /// ```
    /// use vsched::{Activity, Config, Director};
    /// let config: Config = "-A -t 10.0.0.1:80 -s lc\n-a -t 10.0.0.1:80 -r 10.0.1.1 -m".parse()?;
    /// let director = Director::new(&config)?;
    /// let server = director.servers(director.service("tcp 10.0.0.1:80")?).expect("it runs")[0].0;
    /// let _lost = director.worker().open(server, Activity::Active)?;
    /// assert_eq!(director.set_counts(server, 0, 0)?.active, 1);
    /// assert_eq!(director.counts(server).expect("it runs").active, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_counts(
        &self,
        server: ServerId,
        active: u32,
        inactive: u32,
    ) -> Result<ServerCounts, ConnectionError> {
        let control = self.inner.changing();
        let arena = &self.inner.arena;
        let slot = arena.servers.get(server.slot).ok_or(ConnectionError::Stale)?;
        // Before the fold, after which workers must learn of a change.
        if !slot.is(server.generation) || slot.counts_relaxed().vacant() {
            return Err(ConnectionError::Stale);
        }
        if active.checked_add(inactive).is_none_or(|total| total > MAX_CONNECTIONS) {
            return Err(ConnectionError::Full);
        }
        if let Some(attached) = arena.attached() {
            let former = slot.counts_seqcst();
            let wanted = (active, active + inactive);
            return match attached.correct(server.slot, wanted, arena.kernel_rules()) {
                Settled::Yes => Ok(counts_of(former, None)),
                Settled::NotYet => Err(ConnectionError::Busy),
            };
        }
        arena.fold(server.slot);
        let former = slot.correct(server.generation, active, inactive, arena.kernel_rules())?;
        let now = Connections::new(active, active + inactive);
        let before = Connections::new(former.active(), former.total());
        control.counts_corrected(server, slot, now.plus(before.negative()));
        Ok(counts_of(former, None))
    }

    /// Forgets the connections of all servers that were removed from the config. Returns the number of
    /// these servers.
    ///
    /// Without this call, a removed server keeps counting until its last connection closes, and gets
    /// its counts back if it is added again before that. Call it after [`apply`](Self::apply) if
    /// leases of removed servers may have been lost, or if a server that returns at the same address
    /// must start with counts of 0. The ids of such servers and the leases of their connections
    /// become stale once no worker uses a table that names them, at the latest at the
    /// [`tick`](Self::tick) after that: closing them then returns [`Stale`](ConnectionError::Stale)
    /// and changes nothing. Clients whose template names such a server are scheduled again.
    ///
    /// O(n log n) in removed servers, plus O(templates). Takes the director's lock; workers do not wait
    /// for it.
    pub fn forget_removed(&self) -> usize {
        self.inner.changing().forget_removed()
    }
}
