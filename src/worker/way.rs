//! The ways of a pick: a written-out rotation's turn in a few instructions, the scheduler's answer in
//! one function, and all else.

#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::ptr::NonNull;

use crate::arena::id::{ServerId, ServiceId};
use crate::config::ServiceKey;
use crate::error::Refused;
use crate::flow::Flow;
use crate::pool::endpoint::Pick;
use crate::rotation::shared::TicketRange;
use crate::rotation::version::Superseded;
use crate::service::{Kind, Miss, Service, VisitKind};
use crate::worker::Worker;

/// What a pick returns, made once and where it stays: a `Result` that becomes an `Option` at the end is
/// copied, eight instructions.
pub(super) trait Outcome {
    type Picked;

    fn picked(picked: Self::Picked) -> Self;
    fn refused(why: Refused) -> Self;
}

impl<R> Outcome for Option<R> {
    type Picked = R;

    #[inline(always)]
    fn picked(picked: R) -> Self {
        Some(picked)
    }

    #[inline(always)]
    fn refused(_: Refused) -> Self {
        None
    }
}

impl<R> Outcome for Result<R, Refused> {
    type Picked = R;

    #[inline(always)]
    fn picked(picked: R) -> Self {
        Ok(picked)
    }

    #[inline(always)]
    fn refused(why: Refused) -> Self {
        Err(why)
    }
}

/// The straight way of one kind of scheduler. See [`straight`] for when it may be gone.
type PickFn<O, P> = unsafe fn(&Worker, NonNull<Service>, &Flow, P) -> O;

/// So many servers are passed over turn by turn; then the scheduler is asked, who knows a shorter way
/// and whether anybody is there.
const MAX_TICKETS: usize = 8;

struct PickFns<O, P>(PhantomData<(O, P)>);

impl<O: Outcome, P: FnOnce(Pick) -> O::Picked> VisitKind for PickFns<O, P> {
    type Output = PickFn<O, P>;

    #[inline(always)]
    fn kind<S: Kind>(self) -> PickFn<O, P> {
        pick_scheduler::<S, O, P>
    }

    #[inline(always)]
    fn general(self) -> PickFn<O, P> {
        pick_worker_ticket_slow
    }
}

impl Worker {
    /// `put` copies the answer to where it stays: as a value inside `Result` and `Option` it was
    /// copied four times, a third of a pick's instructions. It asks nothing of the worker.
    ///
    /// Nothing is called before the quick way has ended, and each other way is the last thing that is
    /// called: so the quick way saves no registers, and the other ways' functions save theirs once.
    #[inline(always)]
    pub(super) fn pick<O: Outcome>(
        &self,
        service: ServiceId,
        flow: &Flow,
        tried: &[ServerId],
        put: impl FnOnce(Pick) -> O::Picked,
    ) -> O {
        if !tried.is_empty() {
            return self.pick_slow(service.word(), flow, put, tried);
        }
        // SAFETY: neither the quick way nor `put` knows the reader; and what `way` is given is no
        // reference any more.
        let compiled =
            unsafe { self.reader.load_unguarded(|table| table.service_at(service.slot)) };
        let Some(compiled) = compiled else {
            return self.pick_slow(service.word(), flow, put, &[]);
        };
        if compiled.takes_ticket_for(service) {
            let tickets = compiled.take_ticket();
            if let Some(answer) = compiled.ticket_endpoint(tickets) {
                return O::picked(put(answer.pick()));
            }
            // SAFETY: the pool is the peeked table's.
            return unsafe {
                self::pick_ticket_slow(self, NonNull::from(compiled), flow, tickets, put)
            };
        }
        if compiled.takes_worker_ticket_for(service) {
            if let Some(answer) = compiled.pick_worker_ticket(&self.rotations) {
                return O::picked(put(answer.pick()));
            }
        } else if compiled.id.generation != service.generation {
            return self.pick_slow(service.word(), flow, put, &[]);
        }
        let way = compiled.pick_fn(PickFns(PhantomData));
        // SAFETY: the pool is the peeked table's.
        unsafe { way(self, NonNull::from(compiled), flow, put) }
    }

    /// The other ways lead nowhere: a retry, persistence, a newer table, or a stale id. The service is a word so
    /// that the arguments fit registers.
    #[cold]
    #[inline(never)]
    pub(super) fn pick_slow<O: Outcome>(
        &self,
        service: u64,
        flow: &Flow,
        put: impl FnOnce(Pick) -> O::Picked,
        tried: &[ServerId],
    ) -> O {
        let service = ServiceId::from_word(service);
        // Each turn but the last is a reload's progress.
        loop {
            let table = self.reader.load();
            // Service deleted: do not count a refusal; the slot may be reused.
            let Some(compiled) = table.service(service) else {
                return O::refused(Refused::NoService);
            };
            if !compiled.accepts(flow) {
                return O::refused(Refused::NoServer);
            }
            let twin = |key: &ServiceKey| table.service_of(key);
            match compiled.pick_general(flow, tried, self.state(), None, twin) {
                Ok(Some(pick)) => return O::picked(put(pick)),
                Ok(None) => {
                    self.shard.count_refusal(service.slot);
                    return O::refused(Refused::NoServer);
                }
                Err(Superseded) => {}
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
unsafe fn pick_ticket_slow<O: Outcome, P: FnOnce(Pick) -> O::Picked>(
    worker: &Worker,
    compiled: NonNull<Service>,
    flow: &Flow,
    tickets: u64,
    put: P,
) -> O {
    // SAFETY: as in `straight`.
    let compiled = unsafe { compiled.as_ref() };
    let service = compiled.id;
    let mut tickets = TicketRange::single(tickets);
    for _ in 0..MAX_TICKETS {
        if let Some(answer) = compiled.available_ticket_endpoint(tickets.last) {
            return O::picked(put(answer.pick()));
        }
        match compiled.take_another_ticket(tickets) {
            Some(more) => tickets = more,
            None => break,
        }
    }
    // Where turns are drawn there are no templates, nor a twin that has some.
    match compiled.pick_general(flow, &[], None, Some(&tickets), |_| None) {
        Ok(Some(pick)) => O::picked(put(pick)),
        Ok(None) => {
            worker.shard.count_refusal(service.slot);
            O::refused(Refused::NoServer)
        }
        Err(Superseded) => worker.pick_slow(service.word(), flow, put, &[]),
    }
}

/// The scheduler's answer.
///
/// # Safety
/// The pool is one of the table that the worker's reader holds, and nothing was asked of the reader
/// since that was looked up.
#[inline(never)]
unsafe fn pick_scheduler<S: Kind, O: Outcome, P: FnOnce(Pick) -> O::Picked>(
    worker: &Worker,
    compiled: NonNull<Service>,
    flow: &Flow,
    put: P,
) -> O {
    // SAFETY: the reader holds the table that holds it, until `pick_elaborately` below. No reference
    // is used then, nor one of this function's arguments, which would have to be good to its end.
    let compiled = unsafe { compiled.as_ref() };
    let service = compiled.id;
    match compiled.pick_scheduler::<S>(flow) {
        (Some(answer), _) => O::picked(put(answer.pick())),
        (None, Miss::Nobody) => {
            worker.shard.count_refusal(service.slot);
            O::refused(Refused::NoServer)
        }
        (None, Miss::Outdated | Miss::Elaborate) => {
            worker.pick_slow(service.word(), flow, put, &[])
        }
    }
}

/// A worker's own turn, or no straight way.
///
/// # Safety
/// As for [`straight`].
#[inline(never)]
unsafe fn pick_worker_ticket_slow<O: Outcome, P: FnOnce(Pick) -> O::Picked>(
    worker: &Worker,
    compiled: NonNull<Service>,
    flow: &Flow,
    put: P,
) -> O {
    // SAFETY: as in `straight`.
    let compiled = unsafe { compiled.as_ref() };
    let service = compiled.id;
    if let Some(answer) = compiled.pick_worker_ticket_slow(worker.state()) {
        return O::picked(put(answer.pick()));
    }
    worker.pick_slow(service.word(), flow, put, &[])
}
