//! The hot path: from a service's id to a server, top to bottom.
//!
//! A first pick takes one of five [`Path`]s. What makes it fast:
//!
//! - The ticket paths call nothing before they have an answer, and every slower path is the last thing
//!   that is called. So the ticket paths save no registers, and each slower function saves its own.
//! - `emit` writes the answer to its final place: as a value inside `Result` and `Option` it was copied
//!   four times, a third of a pick's instructions.
//! - Each scheduler has its own function ([`pick_scheduler`]), found by one table lookup. All slower
//!   functions take their arguments in the registers in which the caller already has them.

#![allow(unsafe_code)]

use std::ptr::NonNull;

use crate::arena::id::{ServerId, ServiceId};
use crate::config::scheduler::schedulers;
use crate::error::Refused;
use crate::flow::Flow;
use crate::pool::endpoint::Pick;
use crate::rotation::version::Superseded;
use crate::sched::{self, AnyScheduler, InTurn, Scheduler, Unscheduled};
use crate::service::{Path, Service};
use crate::worker::Worker;

impl Worker {
    /// Picks a server and passes it to `emit`, which must not use the worker.
    #[inline(always)]
    pub(super) fn pick<R>(
        &self,
        id: ServiceId,
        flow: &Flow,
        tried: &[ServerId],
        emit: impl FnOnce(Pick) -> R,
    ) -> Result<R, Refused> {
        if !tried.is_empty() {
            return self.pick_slow(id.word(), flow, emit, tried);
        }
        // SAFETY: neither the ticket paths nor `emit` call the reader. The slower functions may, but
        // they get pointers instead of references into the table, and `service` is not used after
        // them.
        let service = unsafe { self.reader.load_unguarded(|table| table.service_at(id.slot)) };
        let Some(service) = service else {
            return self.pick_slow(id.word(), flow, emit, &[]);
        };
        match service.path(id) {
            Path::Ticket => {
                // One `fetch_add`, which never has to be retried.
                let ticket = service.rotation.current.take_ticket();
                if let Some(endpoint) = service.ticket_endpoint(ticket) {
                    return Ok(emit(endpoint.pick()));
                }
                // SAFETY: the service is of the table just loaded.
                unsafe { pick_ticket(self, NonNull::from(service), flow, emit, ticket) }
            }
            Path::WorkerTicket => {
                // An addition to a word that no other thread writes.
                if let Some(slot) = self.rotations.get(id.slot as usize) {
                    let ticket = slot.worker_rotation.next(service.version);
                    if let Some(endpoint) = service.worker_ticket_endpoint(ticket) {
                        slot.worker_rotation.take_next();
                        return Ok(emit(endpoint.pick()));
                    }
                }
                // SAFETY: the service is of the table just loaded.
                unsafe {
                    pick_worker_ticket::<false, R, _>(self, NonNull::from(service), flow, emit)
                }
            }
            Path::Scheduler => {
                let pick = pick_fn(&service.scheduler);
                // SAFETY: the service is of the table just loaded.
                unsafe { pick(self, NonNull::from(service), flow, emit) }
            }
            // Not here: a third copy of `emit` would cost each caller's other picks a jump.
            // SAFETY: the service is of the table just loaded.
            Path::Chunk => unsafe {
                pick_worker_ticket::<true, R, _>(self, NonNull::from(service), flow, emit)
            },
            Path::General => self.pick_slow(id.word(), flow, emit, &[]),
        }
    }
}

/// The rest of [`Path::Ticket`]: the ticket's server needs a check, or was passed over, or the ticket
/// is past the end or invalid.
///
/// # Safety
/// The service is of the table that the worker's reader protects, and no method of the reader has been
/// called since it was looked up.
#[inline(never)]
unsafe fn pick_ticket<R, P: FnOnce(Pick) -> R>(
    worker: &Worker,
    service: NonNull<Service>,
    flow: &Flow,
    emit: P,
    ticket: u64,
) -> Result<R, Refused> {
    // SAFETY: the reader protects the service's table until `pick_slow` below. No reference into the
    // table is used after that call, nor is one an argument, which would have to be valid to the end.
    let service = unsafe { service.as_ref() };
    let id = service.id;
    let available = |position| service.servers.available_endpoint(position);
    let tickets = match service.rotation.redeem(ticket, &service.schedule, available) {
        Ok(endpoint) => return Ok(emit(endpoint.pick())),
        Err(tickets) => tickets,
    };
    // Where a schedule is precomputed there are no templates, nor a twin that has some.
    match service.pick_general(flow, &[], None, Some(&tickets), |_| None) {
        Ok(Some(pick)) => Ok(emit(pick)),
        Ok(None) => worker.refuse(id.word(), flow, emit, false),
        Err(Superseded) => worker.pick_slow(id.word(), flow, emit, &[]),
    }
}

/// The rest of [`Path::WorkerTicket`]: a service outside the cached first segment, the start of a
/// cycle, or a server that needs a check. With `CHUNK`, [`Path::Chunk`].
///
/// # Safety
/// As for [`pick_ticket`].
#[inline(never)]
unsafe fn pick_worker_ticket<const CHUNK: bool, R, P: FnOnce(Pick) -> R>(
    worker: &Worker,
    service: NonNull<Service>,
    flow: &Flow,
    emit: P,
) -> Result<R, Refused> {
    // SAFETY: as in `pick_ticket`.
    let service = unsafe { service.as_ref() };
    let id = service.id;
    let endpoint = if CHUNK {
        worker.rotations.get(id.slot as usize).and_then(|slot| service.take_of_chunk(slot))
    } else {
        let slot = worker.state().and_then(|state| state.service(id.slot));
        slot.and_then(|slot| service.take_worker_ticket(slot))
    };
    match endpoint {
        Some(endpoint) => Ok(emit(endpoint.pick())),
        None => worker.pick_slow(id.word(), flow, emit, &[]),
    }
}

/// [`pick_scheduler`] for one kind of scheduler.
type PickFn<R, P> = unsafe fn(&Worker, NonNull<Service>, &Flow, P) -> Result<R, Refused>;

/// The function for this scheduler's kind: one lookup in a table that the registry generates.
#[inline(always)]
fn pick_fn<R, P: FnOnce(Pick) -> R>(scheduler: &AnyScheduler) -> PickFn<R, P> {
    macro_rules! by_kind {
        ($(
            $(#[doc = $doc:literal])+
            $name:literal => $module:ident::$kind:ident, $($column:ident $value:expr),+;
        )+) => {
            match scheduler {
                AnyScheduler::None(_) => pick_scheduler::<Unscheduled, R, P>,
                AnyScheduler::InTurn(_) => pick_scheduler::<InTurn, R, P>,
                $(AnyScheduler::$kind(_) => pick_scheduler::<sched::$module::$kind, R, P>,)+
            }
        };
    }
    schedulers!(by_kind)
}

/// [`Path::Scheduler`], once per scheduler.
///
/// # Safety
/// As for [`pick_ticket`].
#[inline(never)]
unsafe fn pick_scheduler<S, R, P>(
    worker: &Worker,
    service: NonNull<Service>,
    flow: &Flow,
    emit: P,
) -> Result<R, Refused>
where
    S: Scheduler + 'static,
    for<'a> &'a S: TryFrom<&'a AnyScheduler>,
    P: FnOnce(Pick) -> R,
{
    // SAFETY: as in `pick_ticket`.
    let service = unsafe { service.as_ref() };
    let picked = match <&S>::try_from(&service.scheduler) {
        Ok(scheduler) => {
            scheduler.pick(service.request(flow, &[], worker.state_for(service), None))
        }
        // Another kind: unreachable, as `pick_fn` chose this function by the kind.
        Err(_) => Err(Superseded),
    };
    let position = picked.ok().flatten();
    match position.and_then(|position| service.servers.endpoint(position)) {
        Some(endpoint) => Ok(emit(endpoint.pick())),
        // One call for both: a second one costs every pick registers.
        None => worker.refuse(service.id.word(), flow, emit, picked == Err(Superseded)),
    }
}
