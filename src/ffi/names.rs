//! Services and servers as texts refer to them: by key or address, or by name.

use std::net::SocketAddr;
use std::os::raw::c_char;

use crate::Director;
use crate::config::{Config, ServiceKey, ServiceRef, is_name};
use crate::error::Quoted;
use crate::ffi::status::{VSCHED_E_PARSE, vsched_status};
use crate::ffi::{Fault, structs, text};

/// Where names are looked up.
pub(super) trait Names {
    fn service(&self, name: &str) -> Option<ServiceKey>;
    fn server(&self, service: &ServiceKey, name: &str) -> Option<SocketAddr>;
}

impl Names for Config {
    fn service(&self, name: &str) -> Option<ServiceKey> {
        Config::service(self, name).map(|service| service.key)
    }

    fn server(&self, service: &ServiceKey, name: &str) -> Option<SocketAddr> {
        self.service_by_key(service)?.server(name).map(|server| server.address)
    }
}

impl Names for Director {
    fn service(&self, name: &str) -> Option<ServiceKey> {
        self.key_of(name)
    }

    fn server(&self, service: &ServiceKey, name: &str) -> Option<SocketAddr> {
        self.address_of(service, name)
    }
}

/// The key of a service, given as such or by a name; `missing` is the answer if no service has it.
///
/// # Safety
/// `text` has `length` bytes.
pub(super) unsafe fn key_of(
    names: &impl Names,
    text: *const c_char,
    length: usize,
    missing: vsched_status,
) -> Result<ServiceKey, Fault> {
    // SAFETY: the caller's promise.
    let text = unsafe { text::read(text, length) }?;
    match ServiceRef::read(text).map_err(|error| Fault::new(VSCHED_E_PARSE, error))? {
        ServiceRef::Key(key) => Ok(key),
        ServiceRef::Name(name) => names.service(name).ok_or_else(|| {
            Fault::new(missing, format!("service {}: no such service", Quoted(name)))
        }),
    }
}

/// The address of a server, given as such or by a name; `missing` is the answer if no server of the
/// service has it.
///
/// # Safety
/// `text` has `length` bytes.
pub(super) unsafe fn address_of(
    names: &impl Names,
    service: &ServiceKey,
    text: *const c_char,
    length: usize,
    missing: vsched_status,
) -> Result<SocketAddr, Fault> {
    // SAFETY: the caller's promise.
    let text = unsafe { text::read(text, length) }?;
    if !is_name(text) {
        return structs::address(text);
    }
    names.server(service, text).ok_or_else(|| {
        let server = Quoted(text);
        Fault::new(missing, format!("service {service}: server {server}: no such server"))
    })
}
