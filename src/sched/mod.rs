//! Schedulers: which server gets the next connection.
//!
//! One scheduler is one file and one line of the registry, `config::scheduler`.

// First: the others use its macro.
#[macro_use]
mod least;

mod build;
pub(crate) mod dh;
pub(crate) mod fo;
mod hash;
pub(crate) mod lblc;
pub(crate) mod lblcr;
pub(crate) mod lc;
mod locality;
mod max_tree;
pub(crate) mod mh;
pub(crate) mod nq;
pub(crate) mod ovf;
pub(crate) mod rr;
pub(crate) mod sed;
pub(crate) mod sh;
pub(crate) mod twos;
pub(crate) mod wlc;
pub(crate) mod wrr;
mod wrr_schedule;

use crate::arena::Arena;
use crate::arena::id::ServerId;
use crate::arena::slots::ServiceSlot;
use crate::arena::worker_state::WorkerState;
use crate::concurrent::zeroed::OutOfMemory;
use crate::config::scheduler::schedulers;
use crate::config::{Remembered, SchedulerKind, VirtualService};
use crate::flow::Flow;
use crate::pool::servers::{Position, Servers};
use crate::rotation::shared::{SharedRotation, TicketRange};
use crate::rotation::version::{PoolVersion, Superseded};
use crate::sched::least::index::LoadIndex;
use crate::sync::Arc;

pub(crate) use build::Build;
pub(crate) use locality::AffinityCaches;

/// One algorithm, compiled for one service. Immutable; what changes between picks lives in slots.
pub(crate) trait Scheduler: Sized {
    /// It may choose an overloaded server, and means it.
    const TAKES_OVERLOADED: bool = false;
    /// A worker of its own would choose otherwise. False where a pick depends on nothing that picks
    /// or connections change, or on the servers' counts alone: `per-worker` means nothing then.
    const PER_WORKER: bool = true;

    /// The memory of addresses that it needs: the former scheduler's, or a new one. Only this part of
    /// building can be too large to be had, so it comes before anything is changed.
    fn reserve(
        _arena: &Arc<Arena>,
        _settings: &VirtualService,
        _former: Option<&Self>,
    ) -> Result<AffinityCaches, OutOfMemory> {
        Ok(AffinityCaches::default())
    }

    /// Compiles it. May allocate. `former` is the same scheduler of the previous pool, if it was
    /// not bound anew.
    fn build(build: &Build<'_>, former: Option<&Self>) -> Self;

    /// Of a rotation whose cycle is written out, the server of each turn. Where the rotation's state is
    /// the number of the latest turn, the next turn is the next number, 0 behind the last, if that
    /// server is available; else, and for any other state, [`pick`](Self::pick) is asked.
    fn schedule(&self, _servers: &Servers) -> Option<Arc<[Position]>> {
        None
    }

    /// Chooses a server, or none. Neither allocates, blocks nor panics.
    fn pick(&self, request: PickRequest<'_>) -> Result<Option<Position>, Superseded>;

    /// Where a rotation stands in a service that has just been bound to this scheduler.
    fn start(&self) -> u64 {
        0
    }

    /// Where a rotation stood in the previous pool, in terms of this one.
    fn translate(&self, state: u64) -> u64 {
        state
    }

    /// Does what is due at this time, in milliseconds of the clock. Director only.
    fn tick(&self, _now: u64) {}

    /// What it remembers of addresses, if it does.
    fn remembered(&self) -> Option<Remembered> {
        None
    }

    /// Which changes of counts it has to be told.
    fn load_updates(&self) -> LoadUpdates {
        LoadUpdates::Nothing
    }

    /// What this worker has open at the server has changed; if none is named, what is so for all.
    /// Called only where [`load_updates`](Self::load_updates) answers [`LoadUpdates::WorkerCounts`].
    fn worker_load_changed(
        &self,
        _servers: &Servers,
        _server: ServerId,
        _own: Option<&WorkerState>,
    ) {
    }

    /// A worker will pick here, or goes on after a change: of all that it goes by, or of what it shares
    /// with others. Director only.
    fn init_worker(&self, _servers: &Servers, _own: &WorkerState, _all: bool) {}

    /// Where the rotation of a worker of its own stands in a service that has just been bound to
    /// this scheduler. `number` 0 begins where a single rotation does.
    fn worker_start(&self, _number: u32) -> u64 {
        self.start()
    }
}

/// Which changes of counts a scheduler has to be told.
pub(crate) enum LoadUpdates {
    /// None: it has no index.
    Nothing,
    /// All, and this is to be told.
    Counts(Arc<LoadIndex>),
    /// Those of connections that a worker has opened itself, worker by worker, and what changes for
    /// all.
    WorkerCounts,
}

/// What a pick may look at. Passed by value: what a pick does not look at is never put together.
#[derive(Clone, Copy)]
pub(crate) struct PickRequest<'a> {
    pub(crate) servers: &'a Servers,
    pub(crate) flow: &'a Flow,
    /// Servers not to choose.
    pub(crate) tried: &'a [ServerId],
    /// The service's, or the worker's own.
    pub(crate) slot: &'a ServiceSlot,
    pub(crate) version: PoolVersion,
    /// Where the rotation stands that all workers share.
    pub(crate) rotation: &'a SharedRotation,
    /// Turns of it that this pick has drawn, and passed over.
    pub(crate) tickets: Option<&'a TicketRange>,
    /// The worker's own state, if the service is shared `per-worker`.
    pub(crate) worker: Option<&'a WorkerState>,
}

impl PickRequest<'_> {
    /// One turn of the service's rotation.
    ///
    /// A pick that excludes servers schedule a rotation of its own. On the common one, a request's
    /// retries would decide where the next request begins; on none, the load of a dead server would
    /// all fall on its neighbour.
    #[inline]
    pub(crate) fn advance<R>(
        &self,
        translate: impl Fn(u64) -> u64,
        step: impl Fn(u64) -> (R, u64),
    ) -> Result<R, Superseded> {
        if !self.tried.is_empty() {
            self.slot.retry_rotation.advance(self.version, translate, step)
        } else if self.worker.is_some() {
            let translate = |state| translate(self.rotation.normalize_previous(state));
            Ok(self
                .slot
                .worker_rotation
                .advance(self.version, translate, |state| step(self.rotation.normalize(state))))
        } else {
            self.rotation.advance(self.tickets, translate, step)
        }
    }
}

macro_rules! any_scheduler {
    ($(
        $(#[doc = $doc:literal])+
        $name:literal => $module:ident::$kind:ident, cost $cost:literal, flags $flags:expr;
    )+) => {
        /// A service's scheduler. Chosen by `match`, not through a vtable: no pointers to keep right.
        ///
        /// `u8`: a tag of its own is read at once; one hidden in a field takes six instructions.
        #[repr(u8)]
        pub(crate) enum AnyScheduler {
            /// No scheduler is bound: every pick is refused.
            None,
            $($kind($module::$kind),)+
        }

        $(impl<'a> TryFrom<&'a AnyScheduler> for &'a $module::$kind {
            /// It is of another kind.
            type Error = ();

            #[inline(always)]
            fn try_from(any: &'a AnyScheduler) -> Result<Self, ()> {
                match any {
                    AnyScheduler::$kind(scheduler) => Ok(scheduler),
                    _ => Err(()),
                }
            }
        })+

        impl AnyScheduler {
            /// What the settings' scheduler reserves; `former` is that of the running pool, if it is
            /// not bound anew.
            pub(crate) fn reserve(
                arena: &Arc<Arena>,
                settings: &VirtualService,
                former: Option<&AnyScheduler>,
            ) -> Result<AffinityCaches, OutOfMemory> {
                match settings.scheduler {
                    None => Ok(AffinityCaches::default()),
                    $(Some(SchedulerKind::$kind) => {
                        let former = former.and_then(|former| former.try_into().ok());
                        $module::$kind::reserve(arena, settings, former)
                    })+
                }
            }

            pub(crate) fn build(
                kind: Option<SchedulerKind>,
                build: &Build<'_>,
                former: Option<&AnyScheduler>,
            ) -> Self {
                let former = former.filter(|_| !build.history.bound);
                match kind {
                    None => AnyScheduler::None,
                    $(Some(SchedulerKind::$kind) => {
                        let former = former.and_then(|former| former.try_into().ok());
                        AnyScheduler::$kind(Scheduler::build(build, former))
                    })+
                }
            }

            pub(crate) fn tick(&self, now: u64) {
                match self {
                    AnyScheduler::None => {}
                    $(AnyScheduler::$kind(scheduler) => scheduler.tick(now),)+
                }
            }

            pub(crate) fn remembered(&self) -> Option<Remembered> {
                match self {
                    AnyScheduler::None => None,
                    $(AnyScheduler::$kind(scheduler) => scheduler.remembered(),)+
                }
            }

            pub(crate) fn takes_overloaded(&self) -> bool {
                match self {
                    AnyScheduler::None => false,
                    $(AnyScheduler::$kind(_) => $module::$kind::TAKES_OVERLOADED,)+
                }
            }

            pub(crate) fn per_worker(&self) -> bool {
                match self {
                    AnyScheduler::None => false,
                    $(AnyScheduler::$kind(_) => $module::$kind::PER_WORKER,)+
                }
            }

            pub(crate) fn schedule(&self, servers: &Servers) -> Option<Arc<[Position]>> {
                match self {
                    AnyScheduler::None => None,
                    $(AnyScheduler::$kind(scheduler) => scheduler.schedule(servers),)+
                }
            }

            /// As [`Scheduler::pick`].
            pub(crate) fn pick(
                &self,
                request: PickRequest<'_>,
            ) -> Result<Option<Position>, Superseded> {
                match self {
                    AnyScheduler::None => Ok(None),
                    $(AnyScheduler::$kind(scheduler) => scheduler.pick(request),)+
                }
            }

            // Not inlined: where it was, the optimiser asked for a field before it had asked whose, which
            // valgrind reports, and users of valgrind with it.
            #[inline(never)]
            pub(crate) fn start(&self) -> u64 {
                match self {
                    AnyScheduler::None => 0,
                    $(AnyScheduler::$kind(scheduler) => scheduler.start(),)+
                }
            }

            pub(crate) fn translate(&self, state: u64) -> u64 {
                match self {
                    AnyScheduler::None => state,
                    $(AnyScheduler::$kind(scheduler) => scheduler.translate(state),)+
                }
            }

            pub(crate) fn load_updates(&self) -> LoadUpdates {
                match self {
                    AnyScheduler::None => LoadUpdates::Nothing,
                    $(AnyScheduler::$kind(scheduler) => scheduler.load_updates(),)+
                }
            }

            pub(crate) fn worker_load_changed(
                &self,
                servers: &Servers,
                server: ServerId,
                worker: Option<&WorkerState>,
            ) {
                match self {
                    AnyScheduler::None => {}
                    $(AnyScheduler::$kind(scheduler) => scheduler.worker_load_changed(servers, server, worker),)+
                }
            }

            pub(crate) fn init_worker(&self, servers: &Servers, worker: &WorkerState, all: bool) {
                match self {
                    AnyScheduler::None => {}
                    $(AnyScheduler::$kind(scheduler) => scheduler.init_worker(servers, worker, all),)+
                }
            }

            pub(crate) fn worker_start(&self, number: u32) -> u64 {
                match self {
                    AnyScheduler::None => 0,
                    $(AnyScheduler::$kind(scheduler) => scheduler.worker_start(number),)+
                }
            }

        }
    };
}

schedulers!(any_scheduler);
