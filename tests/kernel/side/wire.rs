//! Sends packets into the director and receives them: a tunnel device whose other end is this
//! program.
//!
//! Packets with a firewall mark come from a raw socket, the only way to set a mark without a
//! firewall. The fate of a packet is read once the kernel's single CPU has processed its queue: a
//! busy CPU defers that, and a packet for its own stack would overtake.
#![allow(unsafe_code)]

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::guest::shell;
use crate::side::packet::{Packet, Seen, read};

/// For a queue to be worked off.
const PATIENCE: Duration = Duration::from_secs(10);
const DEVICE: &[u8] = b"side0";
/// Of the tun module; the host's /dev may have none.
const NODE: &str = "/tmp/tun";
/// Lines for `ip`: what is local here is virtual, and all else is behind the device.
const ROUTES: &str = "link set lo up
link set side0 up
addr add 10.255.0.1/32 dev side0
route add default dev side0
route add local 10.1.0.0/16 dev lo
addr add fd0a::1/128 dev side0 nodad
route add ::/0 dev side0
route add local fd01::/64 dev lo
";

/// Once for all scripts.
pub(super) fn prepare() {
    assert!(shell(&format!("busybox mknod {NODE} c 10 200")), "a device node");
}

/// `struct ifreq`, as far as TUNSETIFF looks at it.
#[repr(C)]
struct Interface {
    name: [u8; 16],
    flags: i16,
    rest: [u8; 22],
}

pub(super) struct Wire {
    device: File,
    raw: [OwnedFd; 2],
    /// Sends to itself, through the queue that all local packets go through.
    queue: UdpSocket,
}

impl Wire {
    /// Makes a director of this network namespace.
    pub(super) fn new() -> Wire {
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(libc::O_NONBLOCK);
        let device = options.open(NODE).expect("the tun module");
        let mut interface = Interface {
            name: [0; 16],
            flags: (libc::IFF_TUN | libc::IFF_NO_PI) as i16,
            rest: [0; 22],
        };
        interface.name[..DEVICE.len()].copy_from_slice(DEVICE);
        // SAFETY: TUNSETIFF reads and writes a struct ifreq, whose 40 bytes `interface` has.
        let made =
            unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF as _, &raw mut interface) };
        assert_eq!(made, 0, "{}", io::Error::last_os_error());
        for (name, value) in [
            ("ipv4/ip_forward", "1"),
            ("ipv6/conf/all/forwarding", "1"),
            ("ipv4/conf/all/rp_filter", "0"),
            ("ipv4/conf/default/rp_filter", "0"),
            ("ipv4/conf/side0/rp_filter", "0"),
            // Every refusal is to be seen.
            ("ipv4/icmp_ratemask", "0"),
            ("ipv6/icmp/ratemask", "255"),
        ] {
            set(&format!("net/{name}"), value);
        }
        let mut ip =
            Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn().expect("ip");
        ip.stdin.take().expect("a pipe").write_all(ROUTES.as_bytes()).expect("written");
        assert!(ip.wait().expect("its end").success(), "addresses and routes");
        let queue = UdpSocket::bind("127.0.0.1:0").expect("a port");
        queue.connect(queue.local_addr().expect("its address")).expect("itself");
        queue.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut wire = Wire { device, raw: [libc::AF_INET, libc::AF_INET6].map(raw), queue };
        wire.drain();
        wire
    }

    /// Sends a packet and tells what comes of it.
    pub(super) fn send(&mut self, packet: &Packet, mark: u32) -> Vec<Seen> {
        let bytes = packet.bytes();
        if mark == 0 {
            let sent = self.device.write(&bytes).expect("a packet on its way");
            assert_eq!(sent, bytes.len());
        } else {
            self.send_marked(packet.to.ip(), &bytes, mark);
        }
        self.settle();
        // What the director says itself about earlier packets comes late now and then.
        let ports = [packet.from.port(), packet.to.port()];
        let late = |seen: &Seen| match seen {
            Seen::Unreachable(port) | Seen::Reset(port) => !ports.contains(port),
            Seen::To(_) | Seen::Tunnelled(_) => false,
        };
        let mut seen = self.drain();
        seen.retain(|seen| !late(seen));
        seen
    }

    /// Waits until the kernel is done with what was sent.
    fn settle(&self) {
        self.queue.send(&[0]).expect("a way to itself");
        self.queue.recv(&mut [0]).expect("the end of the queue");
    }

    fn drain(&mut self) -> Vec<Seen> {
        let mut seen = Vec::new();
        let mut buffer = [0; 2048];
        loop {
            match self.device.read(&mut buffer) {
                Ok(length) => seen.extend(read(&buffer[..length])),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return seen,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn send_marked(&self, to: IpAddr, bytes: &[u8], mark: u32) {
        let socket = &self.raw[usize::from(to.is_ipv6())];
        let option = (&raw const mark).cast();
        // SAFETY: the option is a number of four bytes, which `option` points to.
        let set = unsafe {
            libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_MARK, option, 4)
        };
        assert_eq!(set, 0, "{}", io::Error::last_os_error());
        let mut address = [0_u8; 28];
        let (family, length) = match to {
            IpAddr::V4(ip) => {
                address[4..8].copy_from_slice(&ip.octets());
                (libc::AF_INET, 16)
            }
            IpAddr::V6(ip) => {
                address[8..24].copy_from_slice(&ip.octets());
                (libc::AF_INET6, 28)
            }
        };
        address[..2].copy_from_slice(&(family as u16).to_ne_bytes());
        // SAFETY: both pointers are to as many bytes as are said beside them.
        let sent = unsafe {
            libc::sendto(
                socket.as_raw_fd(),
                bytes.as_ptr().cast(),
                bytes.len(),
                0,
                address.as_ptr().cast(),
                length,
            )
        };
        let error = io::Error::last_os_error();
        let dropped = [Some(libc::EPERM), Some(libc::ECONNREFUSED)];
        assert!(sent >= 0 || dropped.contains(&error.raw_os_error()), "{error}");
    }
}

/// A raw socket whose packets have their own headers.
fn raw(family: i32) -> OwnedFd {
    // SAFETY: takes numbers only.
    let socket = unsafe { libc::socket(family, libc::SOCK_RAW, libc::IPPROTO_RAW) };
    assert!(socket >= 0, "{}", io::Error::last_os_error());
    // SAFETY: it is open, and nothing else owns it.
    unsafe { OwnedFd::from_raw_fd(socket) }
}

/// Sets a sysctl of this network namespace.
pub(super) fn set(name: &str, value: &str) {
    fs::write(format!("/proc/sys/{name}"), value).unwrap_or_else(|error| panic!("{name}: {error}"));
}
