//! Counts that no event will correct: what a host can do whose leases were lost.

use crate::arena::id::ServerId;
use crate::arena::tally::Connections;
use crate::config::ServerCounts;
use crate::director::{Director, counts_of};
use crate::error::ConnectionError;

impl Director {
    /// Sets a server's connection counts, for a host that knows the truth; what they were.
    ///
    /// A lease that is lost (a crashed plug-in, a cancelled task) stays counted: its
    /// server looks busier than it is, and if it has an upper threshold it may stay overloaded for
    /// ever. No reload mends that, and a server that is removed and added again has its counts back.
    /// This call does: the overload mark follows from the new counts, and the schedulers go by them
    /// from now on.
    ///
    /// Leases that are still open go on: each close takes one connection off, and never one below
    /// zero. Connections that open or close between the host's own count and this call are
    /// overwritten; count and call while the server is quiesced, or compare what is returned. With
    /// no connections, persistence templates of the server are no longer kept alive by any. In a
    /// service shared `per-worker` each living worker goes by an equal part of the correction.
    ///
    /// O(templates) in a persistent service, else O(log n). Takes the director's lock; workers do not
    /// wait for it.
    ///
    /// # Errors
    /// [`Stale`](ConnectionError::Stale) if the id is; [`Full`](ConnectionError::Full) if both
    /// together are more than [`MAX_CONNECTIONS`](crate::MAX_CONNECTIONS). Nothing has changed then.
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
        let control = self.inner.control.lock();
        let arena = &self.inner.arena;
        let slot = arena.servers.get(server.slot).ok_or(ConnectionError::Stale)?;
        let former = slot.correct(server.generation, active, inactive, arena.kernel_rules())?;
        let now = Connections::new(active, active + inactive);
        let before = Connections::new(former.active(), former.total());
        control.counts_corrected(server, slot, now.plus(before.negative()));
        Ok(counts_of(former, None))
    }

    /// Forgets the connections of all servers that were removed from the config; how many servers
    /// these are.
    ///
    /// Without this a removed server keeps counting until its last connection closes, and has its
    /// counts back if it is added again before. Call it after [`apply`](Self::apply) if leases of
    /// removed servers may have been lost, or if a server that returns under the same address is
    /// to start again. Ids of such servers and leases of their connections become stale once no
    /// worker uses a table that names them, at the latest by the [`tick`](Self::tick) after that:
    /// their closes answer so and change nothing. Clients whose template leads to such a server
    /// are scheduled again.
    ///
    /// O(removed servers + templates). Takes the director's lock; workers do not wait for it.
    pub fn forget_removed(&self) -> usize {
        self.inner.control.lock().forget_removed()
    }
}
