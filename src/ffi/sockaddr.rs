//! # Socket addresses and names
//!
//! From the socket addresses of the operating system to flows, and from picks and services to
//! socket addresses. No function of this group allocates, except vsched_pick_text.
//!
//! NULL: no pointer may be NULL, except `buffer` of vsched_pick_text if `capacity` is 0, and its
//! `length`.

use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::raw::c_char;
use std::{ptr, slice};

use crate::Flow;
use crate::ffi::data::{vsched_flow, vsched_pick};
use crate::ffi::guard;
use crate::ffi::states::vsched_service_state;
use crate::ffi::status::{
    VSCHED_E_ARGUMENT, VSCHED_E_BUFFER, VSCHED_E_LENGTH, VSCHED_E_NULL, vsched_status,
};
use crate::ffi::text;

/// C's `struct sockaddr`, which the header only declares; bytes to Rust.
#[repr(C)]
pub struct sockaddr {
    _bytes: [u8; 0],
}

/// Layout of socket addresses. Number and offset of the family depend on the operating system; the
/// rest is the same everywhere (asserted where libc knows it).
#[cfg(unix)]
mod system {
    use std::mem::{offset_of, size_of};

    pub(super) const INET: u16 = libc::AF_INET as u16;
    pub(super) const INET6: u16 = libc::AF_INET6 as u16;
    /// BSDs, including macOS, have one byte of length and one of family instead of two of family.
    pub(super) const HAS_LENGTH: bool = size_of::<libc::sa_family_t>() == 1;

    const _: () = assert!(
        offset_of!(libc::sockaddr_in, sin_family) == HAS_LENGTH as usize
            && offset_of!(libc::sockaddr_in6, sin6_family) == HAS_LENGTH as usize
            && offset_of!(libc::sockaddr_in, sin_port) == super::PORT
            && offset_of!(libc::sockaddr_in6, sin6_port) == super::PORT
            && offset_of!(libc::sockaddr_in, sin_addr) == super::INET_ADDRESS
            && offset_of!(libc::sockaddr_in6, sin6_addr) == super::INET6_ADDRESS
            && size_of::<libc::sockaddr_in>() == super::INET_SIZE
            && size_of::<libc::sockaddr_in6>() == super::INET6_SIZE
    );
}

#[cfg(windows)]
mod system {
    pub(super) const INET: u16 = 2;
    pub(super) const INET6: u16 = 23;
    pub(super) const HAS_LENGTH: bool = false;
}

#[cfg(not(any(unix, windows)))]
compile_error!("feature `capi` needs an operating system with sockets: Unix or Windows");

const PORT: usize = 2;
const INET_ADDRESS: usize = 4;
const INET_SIZE: usize = 16;
const INET6_ADDRESS: usize = 8;
const INET6_SIZE: usize = 28;

/// Fills in a flow from the socket addresses of a connection, for example those of accept or
/// recvfrom and of getsockname. IPv4-mapped IPv6 addresses, which dual-stack sockets have, count as
/// IPv4. Mark and key become 0.
///
/// Threads: any.
///
/// @param protocol IP protocol number, 0 to 255.
/// @param client Socket address of the client, AF_INET or AF_INET6.
/// @param client_length Bytes of the client's address.
/// @param destination Destination (virtual) address.
/// @param destination_length Bytes of the destination address.
/// @param[out] flow The flow.
/// @return VSCHED_OK; VSCHED_E_ARGUMENT: another address family, or a protocol above 255;
///   VSCHED_E_LENGTH: too short for the family.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_flow_from_sockaddr(
    protocol: u32,
    client: *const sockaddr,
    client_length: usize,
    destination: *const sockaddr,
    destination_length: usize,
    flow: Option<&mut MaybeUninit<vsched_flow>>,
) -> vsched_status {
    guard(|| {
        let flow = flow.ok_or(VSCHED_E_NULL)?;
        let protocol = u8::try_from(protocol).map_err(|_| VSCHED_E_ARGUMENT)?;
        // SAFETY: the caller promises the length.
        let client = unsafe { read(client, client_length) }?;
        // SAFETY: as above.
        let destination = unsafe { read(destination, destination_length) }?;
        flow.write(vsched_flow::of(Flow::new(protocol, client, destination)));
        Ok(())
    })
}

/// Writes the address of a picked server as a socket address, for connect or sendto. A struct
/// sockaddr_storage is always large enough.
///
/// Threads: any.
///
/// @param pick The decision.
/// @param[out] address Receives the socket address.
/// @param capacity Bytes of the address.
/// @param[out] length Size of the socket address, 16 (IPv4) or 28 (IPv6); written also if
///   `capacity` is smaller.
/// @return VSCHED_OK; VSCHED_E_ARGUMENT: not a valid pick; VSCHED_E_BUFFER.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_pick_sockaddr(
    pick: Option<&vsched_pick>,
    address: *mut sockaddr,
    capacity: usize,
    length: Option<&mut MaybeUninit<usize>>,
) -> vsched_status {
    guard(|| {
        let (pick, length) = (pick.ok_or(VSCHED_E_NULL)?, length.ok_or(VSCHED_E_NULL)?);
        // SAFETY: the caller promises `capacity` bytes at `address`.
        unsafe { put(socket_address(pick)?, address, capacity, length) }
    })
}

/// Writes the address of a virtual service as a socket address, for bind.
///
/// Threads: any.
///
/// @param service The service.
/// @param[out] address Receives the socket address.
/// @param capacity Bytes of the address.
/// @param[out] length Size of the socket address, 16 (IPv4) or 28 (IPv6); written also if
///   `capacity` is smaller.
/// @return VSCHED_OK; VSCHED_E_ARGUMENT: a firewall mark or not a valid state; VSCHED_E_BUFFER.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_service_sockaddr(
    service: Option<&vsched_service_state>,
    address: *mut sockaddr,
    capacity: usize,
    length: Option<&mut MaybeUninit<usize>>,
) -> vsched_status {
    guard(|| {
        let (service, length) = (service.ok_or(VSCHED_E_NULL)?, length.ok_or(VSCHED_E_NULL)?);
        let from = match (service.fwmark, service.family) {
            (0, 4) => {
                let [a, b, c, d, ..] = service.address;
                IpAddr::V4(Ipv4Addr::new(a, b, c, d))
            }
            (0, 6) => IpAddr::V6(Ipv6Addr::from(service.address)),
            _ => return Err(VSCHED_E_ARGUMENT),
        };
        // SAFETY: the caller promises `capacity` bytes at `address`.
        unsafe { put(SocketAddr::new(from, service.port), address, capacity, length) }
    })
}

/// Prints the address of a picked server, such as "10.0.1.1:80" or "[2001:db8::1]:80", for logs: at
/// most 47 bytes and a NUL.
///
/// Threads: any.
///
/// @param pick The decision.
/// @param[out] buffer Receives the text and a NUL.
/// @param capacity Bytes of the buffer.
/// @param[out] length Length of the text in bytes.
/// @return VSCHED_OK; VSCHED_E_ARGUMENT: not a valid pick; VSCHED_E_BUFFER.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_pick_text(
    pick: Option<&vsched_pick>,
    buffer: *mut c_char,
    capacity: usize,
    length: Option<&mut MaybeUninit<usize>>,
) -> vsched_status {
    guard(|| {
        let address = socket_address(pick.ok_or(VSCHED_E_NULL)?)?;
        // SAFETY: the caller promises `capacity` bytes at `buffer`.
        unsafe { text::write(&address.to_string(), buffer, capacity, length) }
    })
}

fn socket_address(pick: &vsched_pick) -> Result<SocketAddr, vsched_status> {
    match pick.family {
        4 | 6 => Ok(pick.as_rust().address()),
        _ => Err(VSCHED_E_ARGUMENT),
    }
}

/// # Safety
/// `address` is NULL or has `length` initialized bytes.
unsafe fn read(address: *const sockaddr, length: usize) -> Result<SocketAddr, vsched_status> {
    if address.is_null() {
        return Err(VSCHED_E_NULL);
    }
    // SAFETY: the caller promises `length` bytes; the slice has at most that many.
    let bytes = unsafe { slice::from_raw_parts(address.cast::<u8>(), length.min(INET6_SIZE)) };
    let family = match bytes {
        [_, family, ..] if system::HAS_LENGTH => u16::from(*family),
        [first, second, ..] => u16::from_ne_bytes([*first, *second]),
        _ => return Err(VSCHED_E_LENGTH),
    };
    match family {
        system::INET => {
            let bytes = bytes.first_chunk::<INET_SIZE>().ok_or(VSCHED_E_LENGTH)?;
            let ip: [u8; 4] = part(bytes, INET_ADDRESS);
            Ok(SocketAddr::from((ip, u16::from_be_bytes(part(bytes, PORT)))))
        }
        system::INET6 => {
            let bytes = bytes.first_chunk::<INET6_SIZE>().ok_or(VSCHED_E_LENGTH)?;
            let ip: [u8; 16] = part(bytes, INET6_ADDRESS);
            Ok(SocketAddr::from((ip, u16::from_be_bytes(part(bytes, PORT)))))
        }
        _ => Err(VSCHED_E_ARGUMENT),
    }
}

/// `N` bytes of a socket address from `at`.
fn part<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut part = [0; N];
    for (to, from) in part.iter_mut().zip(bytes.iter().skip(at)) {
        *to = *from;
    }
    part
}

/// # Safety
/// `address` is NULL or has `capacity` bytes that no other code uses.
unsafe fn put(
    from: SocketAddr,
    address: *mut sockaddr,
    capacity: usize,
    length: &mut MaybeUninit<usize>,
) -> Result<(), vsched_status> {
    if address.is_null() {
        return Err(VSCHED_E_NULL);
    }
    match from.ip() {
        // SAFETY: the caller's promise.
        IpAddr::V4(ip) => unsafe {
            let bytes =
                laid_out::<INET_SIZE>(system::INET, from.port(), INET_ADDRESS, &ip.octets());
            write(&bytes, address, capacity, length)
        },
        // SAFETY: as above.
        IpAddr::V6(ip) => unsafe {
            let at = INET6_ADDRESS;
            let bytes = laid_out::<INET6_SIZE>(system::INET6, from.port(), at, &ip.octets());
            write(&bytes, address, capacity, length)
        },
    }
}

/// A socket address of this family; flow information and scope are 0.
fn laid_out<const N: usize>(family: u16, port: u16, at: usize, ip: &[u8]) -> [u8; N] {
    let [first, second] = if system::HAS_LENGTH {
        // Both fit a byte.
        [N as u8, family as u8]
    } else {
        family.to_ne_bytes()
    };
    let [high, low] = port.to_be_bytes();
    let mut bytes = [0; N];
    for (to, from) in bytes.iter_mut().zip([first, second, high, low]) {
        *to = from;
    }
    for (to, from) in bytes.iter_mut().skip(at).zip(ip) {
        *to = *from;
    }
    bytes
}

/// # Safety
/// `address` has `capacity` bytes that no other code uses.
unsafe fn write(
    bytes: &[u8],
    address: *mut sockaddr,
    capacity: usize,
    length: &mut MaybeUninit<usize>,
) -> Result<(), vsched_status> {
    length.write(bytes.len());
    if capacity < bytes.len() {
        return Err(VSCHED_E_BUFFER);
    }
    // SAFETY: the caller promises `capacity` bytes that no other code uses.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), address.cast::<u8>(), bytes.len()) };
    Ok(())
}

#[cfg(test)]
#[path = "sockaddr_tests.rs"]
mod tests;
