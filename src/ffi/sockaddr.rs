//! Socket addresses of the operating system, to flows and from picks.

use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::raw::c_char;
use std::ptr;

use crate::Flow;
use crate::ffi::data::{vsched_flow, vsched_pick};
use crate::ffi::guard;
use crate::ffi::read_out::vsched_service_state;
use crate::ffi::status::{
    VSCHED_E_ARGUMENT, VSCHED_E_BUFFER, VSCHED_E_LENGTH, VSCHED_E_NULL, vsched_status,
};
use crate::ffi::text;

/// Fills a flow from the socket addresses of a connection: those of accept or recvfrom and of
/// getsockname, say. `protocol` is the IP protocol number, 0 to 255. An IPv4 address mapped into IPv6
/// counts as IPv4. Mark and key are 0 afterwards.
///
/// NULL: none may be. Answers: VSCHED_E_ARGUMENT (another address family, or a protocol beyond 255),
/// VSCHED_E_LENGTH (too short for the family). From any thread; no allocation.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_flow_from_sockaddr(
    protocol: u32,
    client: *const libc::sockaddr,
    client_length: usize,
    destination: *const libc::sockaddr,
    destination_length: usize,
    flow: Option<&mut MaybeUninit<vsched_flow>>,
) -> vsched_status {
    guard(|| {
        let flow = flow.ok_or(VSCHED_E_NULL)?;
        let protocol = u8::try_from(protocol).map_err(|_| VSCHED_E_ARGUMENT)?;
        // SAFETY: the caller promises that so many bytes are there.
        let client = unsafe { read(client, client_length) }?;
        // SAFETY: as above.
        let destination = unsafe { read(destination, destination_length) }?;
        flow.write(vsched_flow::of(Flow::new(protocol, client, destination)));
        Ok(())
    })
}

/// Writes the address of a picked server as a socket address, for connect or sendto. `length` is
/// set to 16 (IPv4) or 28 (IPv6), even if `capacity` is less; a struct sockaddr_storage always has
/// room.
///
/// NULL: none may be. Answers: VSCHED_E_ARGUMENT (the pick is not one), VSCHED_E_BUFFER. From any
/// thread; no allocation.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_pick_sockaddr(
    pick: Option<&vsched_pick>,
    address: *mut libc::sockaddr,
    capacity: usize,
    length: Option<&mut MaybeUninit<usize>>,
) -> vsched_status {
    guard(|| {
        let (pick, length) = (pick.ok_or(VSCHED_E_NULL)?, length.ok_or(VSCHED_E_NULL)?);
        // SAFETY: the caller promises `capacity` bytes at `address`.
        unsafe { put(socket_address(pick)?, address, capacity, length) }
    })
}

/// Writes the address of a virtual service as a socket address, for bind. As vsched_pick_sockaddr;
/// VSCHED_E_ARGUMENT also if the service is named by a firewall mark.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_service_sockaddr(
    service: Option<&vsched_service_state>,
    address: *mut libc::sockaddr,
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

/// Writes the address of a picked server as text, such as "10.0.1.1:80" or "[2001:db8::1]:80", for
/// logs: at most 47 bytes and a NUL.
///
/// NULL: `pick` may not be; `length` may; `buffer` may if `capacity` is 0. Answers:
/// VSCHED_E_ARGUMENT (the pick is not one), VSCHED_E_BUFFER. From any thread.
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
/// `address` is NULL or has `length` initialised bytes.
unsafe fn read(address: *const libc::sockaddr, length: usize) -> Result<SocketAddr, vsched_status> {
    if address.is_null() {
        return Err(VSCHED_E_NULL);
    }
    if length < size_of::<libc::sa_family_t>() {
        return Err(VSCHED_E_LENGTH);
    }
    let address = address.cast::<u8>();
    // SAFETY: so many bytes are there; `sa_family` comes first on every Unix this builds for
    // (asserted below). Unaligned, because buffers of packets often are.
    let family = unsafe { address.cast::<libc::sa_family_t>().read_unaligned() };
    match i32::from(family) {
        libc::AF_INET if length >= size_of::<libc::sockaddr_in>() => {
            // SAFETY: so many bytes are there, and every value of them is valid.
            let from = unsafe { address.cast::<libc::sockaddr_in>().read_unaligned() };
            let ip = Ipv4Addr::from(from.sin_addr.s_addr.to_ne_bytes());
            Ok(SocketAddr::from((ip, u16::from_be(from.sin_port))))
        }
        libc::AF_INET6 if length >= size_of::<libc::sockaddr_in6>() => {
            // SAFETY: as above.
            let from = unsafe { address.cast::<libc::sockaddr_in6>().read_unaligned() };
            let ip = Ipv6Addr::from(from.sin6_addr.s6_addr).to_canonical();
            Ok(SocketAddr::from((ip, u16::from_be(from.sin6_port))))
        }
        libc::AF_INET | libc::AF_INET6 => Err(VSCHED_E_LENGTH),
        _ => Err(VSCHED_E_ARGUMENT),
    }
}

const _: () = assert!(std::mem::offset_of!(libc::sockaddr, sa_family) == 0);

/// # Safety
/// `address` is NULL or has `capacity` bytes that nobody else uses.
unsafe fn put(
    from: SocketAddr,
    address: *mut libc::sockaddr,
    capacity: usize,
    length: &mut MaybeUninit<usize>,
) -> Result<(), vsched_status> {
    if address.is_null() {
        return Err(VSCHED_E_NULL);
    }
    match from {
        SocketAddr::V4(from) => {
            let value = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: from.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(from.ip().octets()) },
                sin_zero: [0; 8],
            };
            // SAFETY: the caller's promise.
            unsafe { write(value, address, capacity, length) }
        }
        SocketAddr::V6(from) => {
            let value = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: from.port().to_be(),
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr { s6_addr: from.ip().octets() },
                sin6_scope_id: 0,
            };
            // SAFETY: as above.
            unsafe { write(value, address, capacity, length) }
        }
    }
}

/// # Safety
/// `address` has `capacity` bytes that nobody else uses.
unsafe fn write<T>(
    value: T,
    address: *mut libc::sockaddr,
    capacity: usize,
    length: &mut MaybeUninit<usize>,
) -> Result<(), vsched_status> {
    length.write(size_of::<T>());
    if capacity < size_of::<T>() {
        return Err(VSCHED_E_BUFFER);
    }
    // SAFETY: there is room, by the caller's promise. Unaligned, so that any buffer will do.
    unsafe { ptr::write_unaligned(address.cast::<T>(), value) };
    Ok(())
}
