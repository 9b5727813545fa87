//! # Director: look-up
//!
//! Ids of services and servers, and decisions for callers without a worker.
//!
//! NULL: no pointer may be NULL, except a text whose length is 0, which is then an empty text.

use std::mem::MaybeUninit;
use std::os::raw::c_char;

use crate::ffi::data::{vsched_flow, vsched_pick, vsched_server_id, vsched_service_id};
use crate::ffi::director::vsched_director;
use crate::ffi::status::{VSCHED_E_NULL, VSCHED_NO_SERVICE, VSCHED_STALE, vsched_status};
use crate::ffi::{Fault, guard, names, status, text};

/// Finds a service by its key or its name.
///
/// Threads: control. Cost: O(1).
///
/// @param director The director.
/// @param key The key, such as "tcp 192.168.4.5:80" or "fwmark 7", or the name.
/// @param key_length Bytes of the key.
/// @param[out] service Id of the service.
/// @return VSCHED_OK; VSCHED_NO_SERVICE; VSCHED_E_LENGTH; VSCHED_E_UTF8; VSCHED_E_PARSE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_director_service(
    director: Option<&vsched_director>,
    key: *const c_char,
    key_length: usize,
    service: Option<&mut MaybeUninit<vsched_service_id>>,
) -> vsched_status {
    guard(|| {
        let (director, to) = (director.ok_or(VSCHED_E_NULL)?, service.ok_or(VSCHED_E_NULL)?);
        // SAFETY: the caller promises the length.
        let key = unsafe { text::read(key, key_length) }.map_err(Fault::from);
        let found = key.and_then(|key| director.director.service(key).map_err(Fault::from));
        to.write(director.error.keep(found)?.into());
        Ok(())
    })
}

/// Finds the service for a flow; see vsched_worker_service_for.
///
/// Threads: control. Cost: O(1).
///
/// @param director The director.
/// @param flow The flow.
/// @param[out] service Id of the service.
/// @return VSCHED_OK; VSCHED_NO_SERVICE.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn vsched_director_service_for(
    director: Option<&vsched_director>,
    flow: Option<&vsched_flow>,
    service: Option<&mut MaybeUninit<vsched_service_id>>,
) -> vsched_status {
    guard(|| {
        let (director, flow) = (director.ok_or(VSCHED_E_NULL)?, flow.ok_or(VSCHED_E_NULL)?);
        let to = service.ok_or(VSCHED_E_NULL)?;
        let found = director.director.service_for(flow.as_rust());
        to.write(found.ok_or(VSCHED_NO_SERVICE)?.into());
        Ok(())
    })
}

/// Finds a server by the key or name of its service, and its own address and port or name.
///
/// Threads: control. Cost: O(servers of the service).
///
/// @param director The director.
/// @param key Key or name of the service.
/// @param key_length Bytes of the key.
/// @param address Address and port of the server, such as "192.168.5.11:80", or its name.
/// @param address_length Bytes of the address.
/// @param[out] server Id of the server.
/// @return VSCHED_OK; VSCHED_STALE: no such service or server; VSCHED_E_LENGTH; VSCHED_E_UTF8;
///   VSCHED_E_PARSE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_director_server(
    director: Option<&vsched_director>,
    key: *const c_char,
    key_length: usize,
    address: *const c_char,
    address_length: usize,
    server: Option<&mut MaybeUninit<vsched_server_id>>,
) -> vsched_status {
    guard(|| {
        let (director, to) = (director.ok_or(VSCHED_E_NULL)?, server.ok_or(VSCHED_E_NULL)?);
        let named = || {
            let names = &director.director;
            // SAFETY: the caller promises both lengths.
            let key = unsafe { names::key_of(names, key, key_length, VSCHED_STALE) }?;
            let (text, length) = (address, address_length);
            // SAFETY: as above.
            let address = unsafe { names::address_of(names, &key, text, length, VSCHED_STALE) }?;
            Ok((key, address))
        };
        let (key, address) = director.error.keep(named())?;
        to.write(director.director.server_of(&key, address).ok_or(VSCHED_STALE)?.into());
        Ok(())
    })
}

/// Picks a server once, for callers without a worker. A data plane uses vsched_worker_pick_server.
///
/// Threads: control.
///
/// @param director The director.
/// @param service Id of the service.
/// @param flow The flow.
/// @param[out] pick The decision.
/// @return VSCHED_OK; VSCHED_NO_SERVER; VSCHED_NO_SERVICE.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn vsched_director_pick_server(
    director: Option<&vsched_director>,
    service: vsched_service_id,
    flow: Option<&vsched_flow>,
    pick: Option<&mut MaybeUninit<vsched_pick>>,
) -> vsched_status {
    guard(|| {
        let (director, flow) = (director.ok_or(VSCHED_E_NULL)?, flow.ok_or(VSCHED_E_NULL)?);
        let to = pick.ok_or(VSCHED_E_NULL)?;
        let found = director.director.pick_server(service.into(), flow.as_rust());
        to.write(vsched_pick::of(found.map_err(status::refused)?));
        Ok(())
    })
}
