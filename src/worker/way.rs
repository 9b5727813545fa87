//! The ways of a pick: a written-out rotation's turn in a few instructions, the scheduler's answer in
//! one function, and all else.

#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::ptr::NonNull;

use crate::config::ServiceKey;
use crate::flow::Flow;
use crate::pool::{Kind, Miss, Pool, VisitKind};
use crate::state::cursor::Outdated;
use crate::state::pick::Pick;
use crate::state::round::Drawn;
use crate::state::slots::{ServerId, ServiceId};
use crate::worker::Worker;

/// The straight way of one kind of scheduler. See [`straight`] for when it may be gone.
type Way<R, P> = unsafe fn(&Worker, NonNull<Pool>, &Flow, P) -> Option<R>;

/// So many servers are passed over turn by turn; then the scheduler is asked, who knows a shorter way
/// and whether anybody is there.
const MOST_DRAWN: usize = 8;

struct Ways<R, P>(PhantomData<(R, P)>);

impl<R, P: FnOnce(Pick) -> R> VisitKind for Ways<R, P> {
    type Output = Way<R, P>;

    #[inline(always)]
    fn kind<S: Kind>(self) -> Way<R, P> {
        straight::<S, R, P>
    }

    #[inline(always)]
    fn unbound(self) -> Way<R, P> {
        alone
    }
}

impl Worker {
    /// `put` copies the answer to where it stays: as a value inside `Result` and `Option` it was
    /// copied four times, a third of a pick's instructions. It asks nothing of the worker.
    ///
    /// Nothing is called before the quick way has ended, and each other way is the last thing that is
    /// called: so the quick way saves no registers, and the other ways' functions save theirs once.
    #[inline(always)]
    pub(super) fn pick<R>(
        &self,
        service: ServiceId,
        flow: &Flow,
        tried: &[ServerId],
        put: impl FnOnce(Pick) -> R,
    ) -> Option<R> {
        if !tried.is_empty() {
            return self.pick_elaborately(service.word(), flow, put, tried);
        }
        // SAFETY: neither the quick way nor `put` knows the reader; and what `way` is given is no
        // reference any more.
        let pool = unsafe { self.reader.peek(|table| table.pool_at(service.slot)) };
        let Some(pool) = pool else {
            return self.pick_elaborately(service.word(), flow, put, &[]);
        };
        if pool.draws_for(service) {
            let drawn = pool.draw();
            if let Some(answer) = pool.drawn(drawn) {
                return Some(put(answer.pick()));
            }
            // SAFETY: the pool is the peeked table's.
            return unsafe { self::drawn(self, NonNull::from(pool), flow, drawn, put) };
        }
        if pool.turns_alone_for(service) {
            if let Some(answer) = pool.choose_alone(&self.own_services) {
                return Some(put(answer.pick()));
            }
        } else if pool.id.generation != service.generation {
            return self.pick_elaborately(service.word(), flow, put, &[]);
        }
        let way = pool.way(Ways(PhantomData));
        // SAFETY: the pool is the peeked table's.
        unsafe { way(self, NonNull::from(pool), flow, put) }
    }

    /// The other ways lead nowhere: a retry, persistence, a newer table, or a stale id. The service is a word so
    /// that the arguments fit registers.
    #[cold]
    #[inline(never)]
    pub(super) fn pick_elaborately<R>(
        &self,
        service: u64,
        flow: &Flow,
        put: impl FnOnce(Pick) -> R,
        tried: &[ServerId],
    ) -> Option<R> {
        let service = ServiceId::from_word(service);
        // Each turn but the last is a reload's progress.
        loop {
            let table = self.reader.hold();
            // Deleted meanwhile, it refuses nobody: its slot may have another owner.
            let pool = table.pool(service).filter(|pool| pool.takes(flow))?;
            let twin = |key: &ServiceKey| table.pool_of(key);
            match pool.choose_elaborately(flow, tried, self.own(), None, twin) {
                Ok(Some(pick)) => return Some(put(pick)),
                Ok(None) => {
                    self.shard.count_refusal(service.slot);
                    return None;
                }
                Err(Outdated) => {}
            }
        }
    }
}

/// The rest of the quick way: the drawn turn's server has to be looked at, or passed over, or none was
/// drawn.
///
/// # Safety
/// As for [`straight`].
#[inline(never)]
unsafe fn drawn<R, P: FnOnce(Pick) -> R>(
    worker: &Worker,
    pool: NonNull<Pool>,
    flow: &Flow,
    drawn: u64,
    put: P,
) -> Option<R> {
    // SAFETY: as in `straight`.
    let pool = unsafe { pool.as_ref() };
    let service = pool.id;
    let mut drawn = Drawn::one(drawn);
    for _ in 0..MOST_DRAWN {
        if let Some(answer) = pool.look_at_drawn(drawn.last) {
            return Some(put(answer.pick()));
        }
        match pool.draw_again(drawn) {
            Some(more) => drawn = more,
            None => break,
        }
    }
    // Where turns are drawn there are no templates, nor a twin that has some.
    match pool.choose_elaborately(flow, &[], None, Some(&drawn), |_| None) {
        Ok(Some(pick)) => Some(put(pick)),
        Ok(None) => {
            worker.shard.count_refusal(service.slot);
            None
        }
        Err(Outdated) => worker.pick_elaborately(service.word(), flow, put, &[]),
    }
}

/// The scheduler's answer.
///
/// # Safety
/// The pool is one of the table that the worker's reader holds, and nothing was asked of the reader
/// since that was looked up.
#[inline(never)]
unsafe fn straight<S: Kind, R, P: FnOnce(Pick) -> R>(
    worker: &Worker,
    pool: NonNull<Pool>,
    flow: &Flow,
    put: P,
) -> Option<R> {
    // SAFETY: the reader holds the table that holds it, until `pick_elaborately` below. No reference
    // is used then, nor one of this function's arguments, which would have to be good to its end.
    let pool = unsafe { pool.as_ref() };
    let service = pool.id;
    match pool.choose::<S>(flow) {
        (Some(answer), _) => Some(put(answer.pick())),
        (None, Miss::Nobody) => {
            worker.shard.count_refusal(service.slot);
            None
        }
        (None, Miss::Outdated | Miss::Elaborate) => {
            worker.pick_elaborately(service.word(), flow, put, &[])
        }
    }
}

/// A worker's own turn, or no straight way.
///
/// # Safety
/// As for [`straight`].
#[inline(never)]
unsafe fn alone<R, P: FnOnce(Pick) -> R>(
    worker: &Worker,
    pool: NonNull<Pool>,
    flow: &Flow,
    put: P,
) -> Option<R> {
    // SAFETY: as in `straight`.
    let pool = unsafe { pool.as_ref() };
    let service = pool.id;
    if let Some(answer) = pool.look_alone(worker.own()) {
        return Some(put(answer.pick()));
    }
    worker.pick_elaborately(service.word(), flow, put, &[])
}
