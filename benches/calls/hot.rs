//! The hot path as separate functions: the object code that a calling program contains, most of it
//! inlined.

use std::time::Duration;

use vsched::{
    Activity, Connection, ConnectionError, Flow, Lease, Outcome, Pick, Refused, ServerId,
    ServiceId, Tried, Worker,
};

#[inline(never)]
pub(crate) fn pick_server(
    worker: &Worker,
    service: ServiceId,
    flow: &Flow,
) -> Result<Pick, Refused> {
    worker.pick_server(service, flow)
}

#[inline(never)]
pub(crate) fn pick_server_excluding(
    worker: &Worker,
    service: ServiceId,
    flow: &Flow,
    tried: &[ServerId],
) -> Result<Pick, Refused> {
    worker.pick_server_excluding(service, flow, tried)
}

#[inline(never)]
pub(crate) fn service_for(worker: &Worker, flow: &Flow) -> Option<ServiceId> {
    worker.service_for(flow)
}

#[inline(never)]
pub(crate) fn connect(worker: &Worker, service: ServiceId, flow: &Flow) -> Result<Lease, Refused> {
    worker.connect(service, flow).map(Connection::into_lease)
}

/// A connection that is established, starts closing, and is closed by its drop.
#[inline(never)]
pub(crate) fn connection(worker: &Worker, service: ServiceId, flow: &Flow) -> bool {
    let connection = worker.connect(service, flow);
    connection.is_ok_and(|mut connection| {
        connection.established();
        connection.closing();
        true
    })
}

#[inline(never)]
pub(crate) fn open(worker: &Worker, server: ServerId) -> Result<Lease, ConnectionError> {
    worker.open(server, Activity::Active)
}

#[inline(never)]
pub(crate) fn open_pick(worker: &Worker, pick: &Pick) -> Result<Lease, ConnectionError> {
    worker.open_pick(pick, Activity::Active)
}

#[inline(never)]
pub(crate) fn update(worker: &Worker, lease: &mut Lease) -> Result<(), ConnectionError> {
    worker.update(lease, Activity::Inactive)
}

#[inline(never)]
pub(crate) fn close(worker: &Worker, lease: Lease) -> Result<(), ConnectionError> {
    worker.close(lease)
}

#[inline(never)]
pub(crate) fn close_with(
    worker: &Worker,
    lease: Lease,
    outcome: Outcome,
    latency: Option<Duration>,
) -> Result<(), ConnectionError> {
    worker.close_with(lease, outcome, latency)
}

#[inline(never)]
pub(crate) fn finish(
    connection: Connection<'_>,
    outcome: Outcome,
    latency: Option<Duration>,
) -> Result<(), ConnectionError> {
    connection.finish(outcome, latency)
}

#[inline(never)]
pub(crate) fn report(
    worker: &Worker,
    server: ServerId,
    outcome: Outcome,
    latency: Option<Duration>,
) -> Result<(), ConnectionError> {
    worker.report(server, outcome, latency)
}

#[inline(never)]
pub(crate) fn tried_push(tried: &mut Tried<4>, server: ServerId) -> bool {
    tried.try_push(server).is_ok()
}
