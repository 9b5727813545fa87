//! The hot path as functions of their own: what a program that calls it has of it in its object
//! code, most of it inlined.

use std::hint::black_box;
use std::mem::MaybeUninit;

use vsched::{
    Activity, Connection, ConnectionError, Flow, Lease, Pick, Refused, ServerId, ServiceId, Tried,
    Worker,
};

#[inline(never)]
fn pick_server(worker: &Worker, service: ServiceId, flow: &Flow) -> Option<Pick> {
    worker.pick_server(service, flow)
}

#[inline(never)]
fn pick_server_excluding(
    worker: &Worker,
    service: ServiceId,
    flow: &Flow,
    tried: &[ServerId],
) -> Option<Pick> {
    worker.pick_server_excluding(service, flow, tried)
}

#[inline(never)]
fn pick_into(
    worker: &Worker,
    service: ServiceId,
    flow: &Flow,
    tried: &[ServerId],
    pick: &mut MaybeUninit<Pick>,
) -> Result<(), Refused> {
    worker.pick_into(service, flow, tried, pick)
}

#[inline(never)]
fn service_for(worker: &Worker, flow: &Flow) -> Option<ServiceId> {
    worker.service_for(flow)
}

#[inline(never)]
fn connect(worker: &Worker, service: ServiceId, flow: &Flow) -> Option<Lease> {
    worker.connect(service, flow).map(Connection::into_lease)
}

/// Established, closing, and closed by its end.
#[inline(never)]
fn connection(worker: &Worker, service: ServiceId, flow: &Flow) -> bool {
    let connection = worker.connect(service, flow);
    connection.is_some_and(|mut connection| {
        connection.established();
        connection.closing();
        true
    })
}

#[inline(never)]
fn open(worker: &Worker, server: ServerId) -> Result<Lease, ConnectionError> {
    worker.open(server, Activity::Active)
}

#[inline(never)]
fn open_pick(worker: &Worker, pick: &Pick) -> Result<Lease, ConnectionError> {
    worker.open_pick(pick, Activity::Active)
}

#[inline(never)]
fn update(worker: &Worker, lease: &mut Lease) -> Result<(), ConnectionError> {
    worker.update(lease, Activity::Inactive)
}

#[inline(never)]
fn close(worker: &Worker, lease: Lease) -> Result<(), ConnectionError> {
    worker.close(lease)
}

#[inline(never)]
fn tried_insert(tried: &mut Tried<4>, server: ServerId) -> bool {
    tried.insert(server)
}

/// Keeps them in the program.
pub(crate) fn each_once(worker: &Worker, service: ServiceId, flow: &Flow) {
    let pick = pick_server(worker, service, flow).expect("a server");
    let mut tried = Tried::new();
    assert!(tried_insert(&mut tried, pick.server()));
    let again = pick_server_excluding(worker, service, flow, &tried).expect("another");
    pick_into(worker, service, flow, &[], black_box(&mut MaybeUninit::uninit())).expect("a server");
    assert_eq!(service_for(worker, flow), Some(service));
    assert!(connection(worker, service, flow));
    let leases = [
        connect(worker, service, flow).expect("a server"),
        open(worker, again.server()).expect("it runs"),
        open_pick(worker, &pick).expect("it runs"),
    ];
    for mut lease in leases {
        update(worker, &mut lease).expect("an open lease");
        close(worker, lease).expect("an open lease");
    }
}
