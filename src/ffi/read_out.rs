//! Reads services, servers and counts into the caller's memory.

use std::mem::MaybeUninit;
use std::os::raw::c_char;

use crate::Config;
use crate::config::Observed;
use crate::ffi::config::vsched_config;
use crate::ffi::data::{vsched_server_id, vsched_service_id};
use crate::ffi::director::vsched_director;
use crate::ffi::states::{
    server_state_of, state_of, vsched_counts, vsched_server_state, vsched_service_state,
};
use crate::ffi::status::{VSCHED_E_NULL, VSCHED_NO_SERVICE, VSCHED_STALE, vsched_status};
use crate::ffi::{guard, names, sized};

/// Copies the running services in the order in which they were added.
///
/// Threads: control. Cost: O(services + servers).
///
/// @param director The director.
/// @param[out] array Receives the services.
/// @param element_size sizeof(vsched_service_state).
/// @param capacity Elements of the array.
/// @param[out] count Number of services.
/// @return VSCHED_OK; VSCHED_E_BUFFER; VSCHED_E_STRUCT_SIZE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_director_services(
    director: Option<&vsched_director>,
    array: *mut vsched_service_state,
    element_size: usize,
    capacity: usize,
    count: Option<&mut MaybeUninit<usize>>,
) -> vsched_status {
    guard(|| {
        let services = director.ok_or(VSCHED_E_NULL)?.director.services();
        let states: Vec<_> =
            services.iter().map(|(id, service)| state_of((*id).into(), service)).collect();
        // SAFETY: the caller promises `capacity` elements of `element_size` bytes.
        unsafe { sized::fill(&states, array, element_size, capacity, count) }
    })
}

/// Copies the servers of a running service in list order, the newest first.
///
/// Threads: control. Cost: O(servers of the service).
///
/// @param director The director.
/// @param service Id of the service.
/// @param[out] array Receives the servers.
/// @param element_size sizeof(vsched_server_state).
/// @param capacity Elements of the array.
/// @param[out] count Number of servers.
/// @return VSCHED_OK; VSCHED_NO_SERVICE; VSCHED_E_BUFFER; VSCHED_E_STRUCT_SIZE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_director_servers(
    director: Option<&vsched_director>,
    service: vsched_service_id,
    array: *mut vsched_server_state,
    element_size: usize,
    capacity: usize,
    count: Option<&mut MaybeUninit<usize>>,
) -> vsched_status {
    guard(|| {
        let servers = director.ok_or(VSCHED_E_NULL)?.director.servers(service.into());
        let servers = servers.ok_or(VSCHED_NO_SERVICE)?;
        let states: Vec<_> =
            servers.iter().map(|(id, server)| server_state_of((*id).into(), server)).collect();
        // SAFETY: the caller promises `capacity` elements of `element_size` bytes.
        unsafe { sized::fill(&states, array, element_size, capacity, count) }
    })
}

/// Copies the services of a config in its order.
///
/// Threads: shared. Cost: O(services + servers).
///
/// @param config The config.
/// @param[out] array Receives the services.
/// @param element_size sizeof(vsched_service_state).
/// @param capacity Elements of the array.
/// @param[out] count Number of services.
/// @return VSCHED_OK; VSCHED_E_BUFFER; VSCHED_E_STRUCT_SIZE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_config_services(
    config: Option<&vsched_config>,
    array: *mut vsched_service_state,
    element_size: usize,
    capacity: usize,
    count: Option<&mut MaybeUninit<usize>>,
) -> vsched_status {
    guard(|| {
        let observed = Observed::from(&config.ok_or(VSCHED_E_NULL)?.config);
        let no_id = vsched_service_id { slot: 0, generation: 0 };
        // A config has no figures.
        let figures = |service| vsched_service_state { up: 0, ..state_of(no_id, service) };
        let states = observed.services.iter().map(figures);
        // SAFETY: the caller promises `capacity` elements of `element_size` bytes.
        unsafe { sized::fill(&states.collect::<Vec<_>>(), array, element_size, capacity, count) }
    })
}

/// Copies the servers of a service in a config, the newest first.
///
/// Threads: shared. Cost: O(services + servers of the service).
///
/// @param config The config.
/// @param key Key or name of the service.
/// @param key_length Bytes of the key.
/// @param[out] array Receives the servers.
/// @param element_size sizeof(vsched_server_state).
/// @param capacity Elements of the array.
/// @param[out] count Number of servers.
/// @return VSCHED_OK; VSCHED_NO_SERVICE; VSCHED_E_LENGTH; VSCHED_E_UTF8; VSCHED_E_PARSE: the key;
///   VSCHED_E_BUFFER; VSCHED_E_STRUCT_SIZE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_config_servers(
    config: Option<&vsched_config>,
    key: *const c_char,
    key_length: usize,
    array: *mut vsched_server_state,
    element_size: usize,
    capacity: usize,
    count: Option<&mut MaybeUninit<usize>>,
) -> vsched_status {
    guard(|| {
        let config = config.ok_or(VSCHED_E_NULL)?;
        // SAFETY: the caller promises the length.
        let key = config
            .error
            .keep(unsafe { names::key_of(&config.config, key, key_length, VSCHED_NO_SERVICE) })?;
        let service = config.config.service_by_key(&key).ok_or(VSCHED_NO_SERVICE)?.clone();
        let observed = Observed::from(&Config { services: vec![service], ..Config::default() });
        let no_id = vsched_server_id { slot: 0, generation: 0 };
        let servers = observed.services.iter().flat_map(|service| &service.servers);
        let states = servers.map(|server| server_state_of(no_id, server));
        // SAFETY: the caller promises `capacity` elements of `element_size` bytes.
        unsafe { sized::fill(&states.collect::<Vec<_>>(), array, element_size, capacity, count) }
    })
}

/// Copies one server with its settings, counts and state.
///
/// Threads: control. Cost: O(servers of the service + workers); O(templates) in a persistent
/// service.
///
/// @param director The director.
/// @param server Id of the server.
/// @param[out] state Receives the server.
/// @param state_size sizeof(vsched_server_state).
/// @return VSCHED_OK; VSCHED_STALE: the id is, or the server is not configured any more;
///   VSCHED_E_STRUCT_SIZE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_director_server_state(
    director: Option<&vsched_director>,
    server: vsched_server_id,
    state: *mut vsched_server_state,
    state_size: usize,
) -> vsched_status {
    guard(|| {
        let director = director.ok_or(VSCHED_E_NULL)?;
        if state.is_null() {
            return Err(VSCHED_E_NULL);
        }
        let found = director.director.observe_server(server.into()).ok_or(VSCHED_STALE)?;
        let states = [server_state_of(server, &found)];
        // SAFETY: the caller promises one element of `state_size` bytes.
        unsafe { sized::fill(&states, state, state_size, 1, None) }
    })
}

/// Reads the connection counts of one server.
///
/// Threads: control. Cost: O(1); O(templates) in a persistent service.
///
/// @param director The director.
/// @param server Id of the server.
/// @param[out] counts The counts.
/// @return VSCHED_OK; VSCHED_STALE.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn vsched_director_counts(
    director: Option<&vsched_director>,
    server: vsched_server_id,
    counts: Option<&mut MaybeUninit<vsched_counts>>,
) -> vsched_status {
    guard(|| {
        let (director, to) = (director.ok_or(VSCHED_E_NULL)?, counts.ok_or(VSCHED_E_NULL)?);
        let found = director.director.counts(server.into()).ok_or(VSCHED_STALE)?;
        to.write(vsched_counts {
            active: found.active,
            inactive: found.inactive,
            persistent: found.persistent,
            overloaded: u32::from(found.overloaded),
        });
        Ok(())
    })
}
