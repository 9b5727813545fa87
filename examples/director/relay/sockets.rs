//! The sockets of a service, one per worker.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{Ipv4PacketInfo, Ipv6RecvPacketInfo};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};
use vsched::config::Protocol;

pub(crate) enum Socket {
    /// Duplicates of one socket: each worker has one in its own poll.
    ///
    /// So a new connection wakes every idle worker, and the fastest accepts it while the others find
    /// nothing. That wastes some wake-ups, but the queue is shared: a slow worker delays no client, and a
    /// worker that ends loses no connection.
    Stream(TcpListener),
    /// A socket of its own (`SO_REUSEPORT`). The kernel hands out datagrams by a hash of both addresses, so
    /// all those of a client reach one worker, which alone knows the client's session. A shared socket
    /// would give them to any worker.
    Datagram(UdpSocket),
}

/// Binds a service's sockets, for this many workers. An address that another program uses is an error.
pub(crate) fn bind_all(
    protocol: Protocol,
    address: SocketAddr,
    adopted: Option<TcpListener>,
    workers: usize,
) -> io::Result<Vec<Socket>> {
    if protocol != Protocol::Udp {
        let listener = adopted.map_or_else(|| TcpListener::bind(address), Ok)?;
        listener.set_nonblocking(true)?;
        return (0..workers).map(|_| listener.try_clone().map(Socket::Stream)).collect();
    }
    // Bound without the option, so that it fails where other sockets are, ours of a wrong start included.
    let first = datagram(address, false)?;
    sockopt::set_socket_reuseport(&first, true)?;
    let others = (1..workers).map(|_| datagram(address, true));
    std::iter::once(Ok(first)).chain(others).map(|socket| socket.map(Socket::Datagram)).collect()
}

/// A socket bound to this address, beside others that are or alone.
///
/// Every option is set before the address is: the datagrams of a bound socket wait in it as they came, those
/// before `IP_PKTINFO` without the address that they were sent to.
fn datagram(address: SocketAddr, beside: bool) -> io::Result<UdpSocket> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::DGRAM, flags, None)?;
    match address {
        SocketAddr::V4(_) => setsockopt(&socket, Ipv4PacketInfo, &true)?,
        SocketAddr::V6(_) => setsockopt(&socket, Ipv6RecvPacketInfo, &true)?,
    }
    if beside {
        sockopt::set_socket_reuseport(&socket, true)?;
    }
    bind(&socket, &address)?;
    Ok(socket.into())
}
