//! The phase of a director: where its rotations start.

use crate::director::Director;

impl Director {
    /// Moves the rotations that all workers of this director share to the start of a phase, so that
    /// directors that start at the same time do not walk in step.
    ///
    /// For several processes that run one config, each with a director of its own: give each another
    /// phase, 0, 1, 2 and so on, before it picks. The rotations of rr, wrr and `ties: rotate` then start
    /// as far apart as they can, by van der Corput's sequence (where n is a power of two, n phases
    /// below n start at n different places of n), and twos and p2c draw other random numbers (phases
    /// below 2^23). That holds for all services, now and later added, through all reloads; a rotation
    /// that a reload sends before the first server goes to the phase's start instead. Phase 0, the
    /// initial one, is as in a kernel. What one director does repeats: the same phase, the same picks.
    ///
    /// A service that is shared exactly or in chunks has one rotation for all workers, so its phase is the
    /// director's. In a service that is shared `per-worker` each worker has a phase of its own, by
    /// default the director's plus the worker's number: the first worker of a director of phase 8 starts
    /// where the ninth of one of phase 0 does. So processes with four workers each take 0, 4, 8 and so
    /// on. Workers that exist keep their phase: set this one first, or use
    /// [`worker_with`](Self::worker_with).
    ///
    /// Rotations that run start again, also if the phase stays the same. A concurrent pick takes its
    /// turn before or after. In a service that is shared in chunks, each worker first uses the turns that it
    /// has taken. O(services). Takes the director's lock; workers do not wait for it.
    ///
    /// Directors in one [`Block`](crate::Block) turn one rotation, and have no phases: there it does nothing.
    ///
    /// ```
    /// use vsched::{Config, Director, Flow};
    /// let config: Config =
    ///     "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.1.1\n-a -t 10.0.0.1:80 -r 10.0.1.2"
    ///         .parse()?;
    /// // As two processes do.
    /// let first = [0, 1].map(|process| {
    ///     let director = Director::new(&config).expect("a valid config");
    ///     director.set_phase(process);
    ///     let service = director.service("tcp 10.0.0.1:80").expect("it runs");
    ///     let worker = director.worker();
    ///     worker.pick_server(service, &Flow::default()).expect("two are up").address()
    /// });
    /// assert_ne!(first[0], first[1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_phase(&self, phase: u32) {
        // Held for the arena's sake too: a reload must not translate by two phases.
        let control = self.inner.control.lock();
        if self.inner.arena.attached().is_some() {
            return;
        }
        self.inner.arena.set_phase(phase);
        control.services.values().for_each(|live| live.compiled.restart());
    }
}
