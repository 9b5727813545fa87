//! A UDP service's socket: replies leave from the address that the client sent to.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use mio::net::UdpSocket;
use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg,
};

/// A local address of this machine that a client sent to, with its interface where that is needed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Local {
    ip: IpAddr,
    interface: u32,
}

/// Where a datagram came from, and where it was sent to if the service's address does not say that.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Path {
    pub(super) client: SocketAddr,
    local: Option<Local>,
}

pub(super) struct ServiceSocket {
    pub(super) socket: UdpSocket,
    /// Bound to every address: then each datagram says which one it is about.
    wildcard: bool,
    control: Vec<u8>,
}

impl ServiceSocket {
    /// From a socket that tells each datagram's own address, as [`super::sockets`] binds them.
    pub(super) fn new(socket: std::net::UdpSocket) -> io::Result<Self> {
        let wildcard = socket.local_addr()?.ip().is_unspecified();
        let control = if wildcard { nix::cmsg_space!(in6_pktinfo, in_pktinfo) } else { Vec::new() };
        Ok(ServiceSocket { socket: UdpSocket::from_std(socket), wildcard, control })
    }

    /// Receives a datagram: its length, and its path.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<(usize, Path)> {
        if !self.wildcard {
            let (length, client) = self.socket.recv_from(buffer)?;
            return Ok((length, Path { client, local: None }));
        }
        let mut parts = [IoSliceMut::new(buffer)];
        let received = recvmsg::<SockaddrStorage>(
            self.socket.as_raw_fd(),
            &mut parts,
            Some(&mut self.control),
            MsgFlags::empty(),
        )?;
        let client = received.address.as_ref().and_then(address);
        let client = client.ok_or(ErrorKind::InvalidData)?;
        let local = received.cmsgs()?.find_map(|message| local(&message));
        Ok((received.bytes, Path { client, local }))
    }

    /// Sends a datagram back.
    pub(super) fn send(&self, bytes: &[u8], path: &Path) -> io::Result<()> {
        let Some(local) = path.local else {
            return self.socket.send_to(bytes, path.client).map(drop);
        };
        let (parts, client) = ([IoSlice::new(bytes)], SockaddrStorage::from(path.client));
        let send = |control: ControlMessage<'_>| {
            let socket = self.socket.as_raw_fd();
            sendmsg(socket, &parts, &[control], MsgFlags::empty(), Some(&client))
        };
        match local.ip {
            IpAddr::V4(ip) => {
                let source = in_addr { s_addr: u32::from_ne_bytes(ip.octets()) };
                let any = in_addr { s_addr: 0 };
                send(ControlMessage::Ipv4PacketInfo(&in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: source,
                    ipi_addr: any,
                }))?;
            }
            IpAddr::V6(ip) => {
                let source = in6_addr { s6_addr: ip.octets() };
                send(ControlMessage::Ipv6PacketInfo(&in6_pktinfo {
                    ipi6_addr: source,
                    ipi6_ifindex: local.interface,
                }))?;
            }
        }
        Ok(())
    }
}

fn address(from: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = from.as_sockaddr_in().map(|v4| SocketAddr::V4((*v4).into()));
    v4.or_else(|| from.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into())))
}

fn local(message: &ControlMessageOwned) -> Option<Local> {
    match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            let ip = IpAddr::from(info.ipi_spec_dst.s_addr.to_ne_bytes());
            Some(Local { ip, interface: 0 })
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            let ip = std::net::Ipv6Addr::from(info.ipi6_addr.s6_addr);
            // Only a link-local address exists on several interfaces.
            let interface = if ip.is_unicast_link_local() { info.ipi6_ifindex } else { 0 };
            Some(Local { ip: ip.into(), interface })
        }
        _ => None,
    }
}
