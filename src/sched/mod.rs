//! Schedulers: which server gets the next connection.
//!
//! Each scheduler is one file and one line of the registry, `config::scheduler`;
//! `docs/adding-a-scheduler.md` adds one, step by step.

// First, because the others use its macro.
#[macro_use]
mod least;

mod build;
mod collector;
pub(crate) mod dh;
pub(crate) mod fo;
mod hash;
mod in_turn;
pub(crate) mod lblc;
pub(crate) mod lblcr;
pub(crate) mod lc;
mod list_rotation;
mod locality;
pub(crate) mod locality_index;
mod max_tree;
pub(crate) mod mh;
pub(crate) mod nq;
pub(crate) mod ovf;
pub(crate) mod p2c;
mod random;
pub(crate) mod rr;
pub(crate) mod sed;
pub(crate) mod sh;
pub(crate) mod twos;
pub(crate) mod wlc;
pub(crate) mod wrr;
mod wrr_schedule;

use crate::arena::Arena;
use crate::arena::id::ServerId;
use crate::arena::service_slot::ServiceSlot;
use crate::arena::worker_state::WorkerState;
use crate::concurrent::zeroed::OutOfMemory;
use crate::config::scheduler::schedulers;
use crate::config::{PickReason, Remembered, SchedulerKind, ServiceSettings};
use crate::flow::Flow;
use crate::pool::servers::{Candidate, Position, Servers};
use crate::rotation::shared::{SharedRotation, TicketRange};
use crate::rotation::version::{PoolVersion, Superseded};
use crate::sched::least::index::LoadIndex;
use crate::sched::locality_index::LocalityIndex;
use crate::sync::Arc;

pub(crate) use build::Build;
pub(crate) use in_turn::InTurn;
pub(crate) use least::WorkerLoads;
pub(crate) use locality::AffinityCaches;
pub(crate) use wrr_schedule::MOST as MOST_TURNS;

/// One algorithm, compiled for one service. Immutable; state that changes between picks lives in slots.
pub(crate) trait Scheduler: Sized {
    /// The scheduler may deliberately pick an overloaded server.
    const TAKES_OVERLOADED: bool = false;
    /// Whether per-worker sharing changes this scheduler's picks. False if a pick depends on nothing
    /// that picks or connections change, or only on the servers' counts: `per-worker` then has no
    /// effect.
    const PER_WORKER: bool = true;
    /// True if a pick may refuse a flow although a server is available.
    const REFUSES_FLOWS: bool = false;

    /// Why a pick chooses its server, as far as the scheduler alone says.
    const REASON: PickReason;

    /// Reserves the affinity cache that the scheduler needs: the previous scheduler's, or a new one.
    /// Only this part of building can run out of memory, so it comes before anything is changed.
    fn reserve(
        _arena: &Arc<Arena>,
        _settings: &ServiceSettings,
        _former: Option<&Self>,
    ) -> Result<AffinityCaches, OutOfMemory> {
        Ok(AffinityCaches::default())
    }

    /// Compiles the scheduler. May allocate. `former` is the same scheduler of the previous pool, unless
    /// the scheduler was newly bound.
    fn build(build: &Build<'_>, former: Option<&Self>) -> Self;

    /// The precomputed schedule of a rotation: the server of each turn; `None` if there is none. While
    /// the rotation's state is the number of the latest turn, the next pick takes the next number (0
    /// past the end) if that server is available. If it is not, and for any other state, the pick calls
    /// [`pick`](Self::pick).
    fn schedule(&self, _servers: &Servers) -> Option<Arc<[Position]>> {
        None
    }

    /// Picks a server, or none. Does not allocate, block or panic.
    fn pick(&self, request: PickRequest<'_>) -> Result<Option<Position>, Superseded>;

    /// The pick that [`pick`](Self::pick) makes, and why, without remembering anything of the flow. The
    /// request has a rotation and draws of its own.
    fn explain(&self, request: PickRequest<'_>) -> Result<Explained, Superseded> {
        Ok(self.pick(request)?.map(|position| (position, Self::REASON)))
    }

    /// The server's load as the scheduler compares it: a number, and by how much it is divided. `None`
    /// if it compares no loads.
    fn load(&self, _server: Candidate) -> Option<(u64, u32)> {
        None
    }

    /// The initial state of a rotation of a service that has just been bound to this scheduler. Phase 0
    /// starts where a kernel does, others apart from it and from one another.
    fn start(&self, _phase: u32) -> u64 {
        0
    }

    /// Translates the state of the previous pool's rotation, of this phase, into that of this one.
    fn translate(&self, state: u64, _phase: u32) -> u64 {
        state
    }

    /// Notes what is due at `now`, in milliseconds of the clock; [`AffinityCaches::go_on`] does it.
    /// Director only.
    fn tick(&self, _now: u64) {}

    /// Size and capacity of the affinity cache; `None` if the scheduler has none.
    fn remembered(&self) -> Option<Remembered> {
        None
    }

    /// Which changes of counts the scheduler needs.
    fn load_updates(&self) -> LoadUpdates {
        LoadUpdates::Nothing
    }
}

/// Which changes of counts a scheduler needs.
pub(crate) enum LoadUpdates {
    /// None: the scheduler has no index.
    Nothing,
    /// All; they update this index.
    Counts(Arc<LoadIndex>),
    /// Others, which cost a call.
    Other(OtherUpdates),
}

/// What the calls after a change of counts do. Apart, so that other services pay for no more cases.
pub(crate) enum OtherUpdates {
    /// Changes of the connections that each worker has opened, and changes that affect all workers.
    WorkerCounts(WorkerLoads),
    /// All; they update this index.
    Locality(Arc<LocalityIndex>),
}

impl LoadUpdates {
    fn worker_counts(loads: WorkerLoads) -> Self {
        LoadUpdates::Other(OtherUpdates::WorkerCounts(loads))
    }
}

/// A pick's server, and why.
pub(crate) type Explained = Option<(Position, PickReason)>;

/// The input of a pick. Passed by value, so that the compiler never assembles fields that a scheduler
/// does not read.
#[derive(Clone, Copy)]
pub(crate) struct PickRequest<'a> {
    pub(crate) servers: &'a Servers,
    pub(crate) flow: &'a Flow,
    /// Servers to exclude: a retry names those that failed.
    pub(crate) tried: &'a [ServerId],
    /// The service's slot, or the worker's own slot for the service.
    pub(crate) slot: &'a ServiceSlot,
    pub(crate) version: PoolVersion,
    /// The rotation that all workers share.
    pub(crate) rotation: &'a SharedRotation,
    /// The same of their retries.
    pub(crate) retries: &'a SharedRotation,
    /// Tickets that this pick has taken, and whose servers were unavailable.
    pub(crate) tickets: Option<&'a TicketRange>,
    /// The worker's own state, if the service is shared `per-worker`.
    pub(crate) worker: Option<&'a WorkerState>,
}

impl PickRequest<'_> {
    /// The phase of the service's rotations, or of the worker's.
    pub(crate) fn phase(&self) -> u32 {
        self.worker.map_or_else(|| self.servers.arena().phase(), WorkerState::phase)
    }

    /// Advances the service's rotation by one turn.
    ///
    /// A retry (a pick that excludes servers) advances a separate rotation. On the shared one, a
    /// request's retries would decide where the next request starts; without any rotation, the whole
    /// load of a dead server would fall on its neighbor.
    #[inline]
    pub(crate) fn advance<R>(
        &self,
        translate: impl Fn(u64, u32) -> u64,
        step: impl Fn(u64) -> (R, u64),
    ) -> Result<R, Superseded> {
        let translate = |state| translate(state, self.phase());
        if !self.tried.is_empty() {
            if self.worker.is_some() {
                Ok(self.slot.worker_retries.advance(self.version, translate, step))
            } else {
                self.retries.advance(None, translate, step)
            }
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

/// No scheduler is bound: every pick is refused.
pub(crate) struct Unscheduled;

impl Scheduler for Unscheduled {
    const REASON: PickReason = PickReason::Turn;

    fn build(_: &Build<'_>, _: Option<&Self>) -> Self {
        Unscheduled
    }

    fn pick(&self, _: PickRequest<'_>) -> Result<Option<Position>, Superseded> {
        Ok(None)
    }
}

macro_rules! try_from {
    ($kind:ident, $scheduler:ty) => {
        impl<'a> TryFrom<&'a AnyScheduler> for &'a $scheduler {
            /// It is of another kind.
            type Error = ();

            #[inline(always)]
            fn try_from(any: &'a AnyScheduler) -> Result<Self, ()> {
                match any {
                    AnyScheduler::$kind(scheduler) => Ok(scheduler),
                    _ => Err(()),
                }
            }
        }
    };
}

macro_rules! any_scheduler {
    ($(
        $(#[doc = $doc:literal])+
        $name:literal => $module:ident::$kind:ident, $($column:ident $value:expr),+;
    )+) => {
        /// A service's scheduler. Dispatched by `match`, not through a vtable: no pointers to keep
        /// valid.
        ///
        /// `repr(u8)`: a separate tag is one load; a tag in a niche of a field takes six instructions.
        #[repr(u8)]
        pub(crate) enum AnyScheduler {
            None(Unscheduled),
            InTurn(InTurn),
            $($kind($module::$kind),)+
        }

        try_from!(None, Unscheduled);
        try_from!(InTurn, InTurn);
        $(try_from!($kind, $module::$kind);)+

        impl AnyScheduler {
            /// Reserves what the configured scheduler needs; `former` is the scheduler of the running
            /// pool, unless the scheduler is newly bound.
            pub(crate) fn reserve(
                arena: &Arc<Arena>,
                settings: &ServiceSettings,
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
                    Some(_) if InTurn::takes_over(build) => {
                        let former = former.and_then(|former| former.try_into().ok());
                        AnyScheduler::InTurn(InTurn::build(build, former))
                    }
                    None => AnyScheduler::None(Unscheduled),
                    $(Some(SchedulerKind::$kind) => {
                        let former = former.and_then(|former| former.try_into().ok());
                        AnyScheduler::$kind(Scheduler::build(build, former))
                    })+
                }
            }

            pub(crate) fn tick(&self, now: u64) {
                match self {
                    AnyScheduler::None(_) => {}
                    AnyScheduler::InTurn(scheduler) => scheduler.tick(now),
                    $(AnyScheduler::$kind(scheduler) => scheduler.tick(now),)+
                }
            }

            pub(crate) fn remembered(&self) -> Option<Remembered> {
                match self {
                    AnyScheduler::None(_) => None,
                    AnyScheduler::InTurn(scheduler) => scheduler.remembered(),
                    $(AnyScheduler::$kind(scheduler) => scheduler.remembered(),)+
                }
            }

            pub(crate) fn takes_overloaded(&self) -> bool {
                match self {
                    AnyScheduler::None(_) => false,
                    AnyScheduler::InTurn(_) => InTurn::TAKES_OVERLOADED,
                    $(AnyScheduler::$kind(_) => $module::$kind::TAKES_OVERLOADED,)+
                }
            }

            pub(crate) fn refuses_flows(&self) -> bool {
                match self {
                    AnyScheduler::None(_) => true,
                    AnyScheduler::InTurn(_) => InTurn::REFUSES_FLOWS,
                    $(AnyScheduler::$kind(_) => $module::$kind::REFUSES_FLOWS,)+
                }
            }

            pub(crate) fn per_worker(&self) -> bool {
                match self {
                    AnyScheduler::None(_) => false,
                    AnyScheduler::InTurn(_) => InTurn::PER_WORKER,
                    $(AnyScheduler::$kind(_) => $module::$kind::PER_WORKER,)+
                }
            }

            pub(crate) fn schedule(&self, servers: &Servers) -> Option<Arc<[Position]>> {
                match self {
                    AnyScheduler::None(_) => None,
                    AnyScheduler::InTurn(scheduler) => scheduler.schedule(servers),
                    $(AnyScheduler::$kind(scheduler) => scheduler.schedule(servers),)+
                }
            }

            /// As [`Scheduler::pick`].
            pub(crate) fn pick(
                &self,
                request: PickRequest<'_>,
            ) -> Result<Option<Position>, Superseded> {
                match self {
                    AnyScheduler::None(_) => Ok(None),
                    AnyScheduler::InTurn(scheduler) => scheduler.pick(request),
                    $(AnyScheduler::$kind(scheduler) => scheduler.pick(request),)+
                }
            }

            pub(crate) fn explain(
                &self,
                request: PickRequest<'_>,
            ) -> Result<Explained, Superseded> {
                match self {
                    AnyScheduler::None(_) => Ok(None),
                    AnyScheduler::InTurn(scheduler) => scheduler.explain(request),
                    $(AnyScheduler::$kind(scheduler) => scheduler.explain(request),)+
                }
            }

            pub(crate) fn load(&self, server: Candidate) -> Option<(u64, u32)> {
                match self {
                    AnyScheduler::None(_) => None,
                    AnyScheduler::InTurn(scheduler) => scheduler.load(server),
                    $(AnyScheduler::$kind(scheduler) => scheduler.load(server),)+
                }
            }

            // Not inlined: otherwise the optimizer reads a field before it checks the tag, which
            // valgrind reports to its users.
            #[inline(never)]
            pub(crate) fn start(&self, phase: u32) -> u64 {
                match self {
                    AnyScheduler::None(_) => 0,
                    AnyScheduler::InTurn(scheduler) => scheduler.start(phase),
                    $(AnyScheduler::$kind(scheduler) => scheduler.start(phase),)+
                }
            }

            pub(crate) fn translate(&self, state: u64, phase: u32) -> u64 {
                match self {
                    AnyScheduler::None(_) => state,
                    AnyScheduler::InTurn(scheduler) => scheduler.translate(state, phase),
                    $(AnyScheduler::$kind(scheduler) => scheduler.translate(state, phase),)+
                }
            }

            pub(crate) fn load_updates(&self) -> LoadUpdates {
                match self {
                    AnyScheduler::None(_) => LoadUpdates::Nothing,
                    AnyScheduler::InTurn(scheduler) => scheduler.load_updates(),
                    $(AnyScheduler::$kind(scheduler) => scheduler.load_updates(),)+
                }
            }

        }
    };
}

schedulers!(any_scheduler);
