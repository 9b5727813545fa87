//! A netlink socket: the system calls, each with a deadline.
//!
//! All the crate's system calls and their `unsafe` are here. They return bytes, which other modules check.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::c_int;
use std::fs::File;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// Most datagrams received per system call: a dump of a hundred servers and its end.
pub(super) const DATAGRAMS: usize = 4;

/// Most datagrams sent per system call.
const SENT_AT_ONCE: usize = 16;

/// What was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Received {
    /// How many datagrams.
    pub(super) count: usize,
    /// Bytes of each. A length above the buffer's means that the rest is lost.
    pub(super) lengths: [usize; DATAGRAMS],
}

/// The end of a wait, counted from the first time there is nothing to read. The kernel usually answers
/// during the request, so the clock need not be read, which is a system call on some machines.
#[derive(Debug)]
pub(super) struct Deadline {
    time: Duration,
    end: Cell<Option<Instant>>,
}

impl Deadline {
    pub(super) fn after(time: Duration) -> Self {
        Deadline { time, end: Cell::new(None) }
    }

    fn left(&self) -> Duration {
        let now = Instant::now();
        let Some(end) = self.end.get().or_else(|| now.checked_add(self.time)) else {
            // Beyond the clock's range.
            return self.time;
        };
        self.end.set(Some(end));
        end.saturating_duration_since(now)
    }
}

/// A datagram socket whose only peer is the kernel.
#[derive(Debug)]
pub(super) struct Socket {
    fd: OwnedFd,
}

impl From<OwnedFd> for Socket {
    /// Any non-blocking datagram socket with one peer works.
    fn from(fd: OwnedFd) -> Self {
        Socket { fd }
    }
}

impl Socket {
    /// Opens a generic netlink socket in the thread's network namespace.
    pub(super) fn open() -> io::Result<Self> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: numbers in, a number out; no memory of ours is concerned.
        let fd = checked(unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_GENERIC) })?;
        // SAFETY: the kernel has just created this descriptor, and nothing else uses it.
        let socket = Socket { fd: unsafe { OwnedFd::from_raw_fd(fd) } };
        let kernel = kernel_address();
        let address = (&raw const kernel).cast();
        let length = mem::size_of::<libc::sockaddr_nl>() as libc::socklen_t;
        // SAFETY: `address` points to a sockaddr_nl that lives during the call and is `length` long.
        // Address 0 asks for any free port id.
        checked(unsafe { libc::bind(socket.fd.as_raw_fd(), address, length) })?;
        // A socket connected to the kernel receives nothing from other processes.
        // SAFETY: as for bind.
        checked(unsafe { libc::connect(socket.fd.as_raw_fd(), address, length) })?;
        Ok(socket)
    }

    /// The port id, which the kernel puts into every answer.
    pub(super) fn port(&self) -> io::Result<u32> {
        let mut own = kernel_address();
        let mut length = mem::size_of::<libc::sockaddr_nl>() as libc::socklen_t;
        let address = (&raw mut own).cast();
        // SAFETY: `address` points to `length` writable bytes that live during the call; the kernel
        // writes no more than that.
        checked(unsafe { libc::getsockname(self.fd.as_raw_fd(), address, &raw mut length) })?;
        Ok(own.nl_pid)
    }

    /// Requests a receive buffer of this size, beyond the system's limit if permitted.
    pub(super) fn set_receive_buffer(&self, bytes: usize) -> io::Result<()> {
        let bytes = c_int::try_from(bytes).unwrap_or(c_int::MAX);
        self.set_option(libc::SO_RCVBUFFORCE, bytes)
            .or_else(|_| self.set_option(libc::SO_RCVBUF, bytes))
    }

    fn set_option(&self, option: c_int, value: c_int) -> io::Result<()> {
        let length = mem::size_of::<c_int>() as libc::socklen_t;
        let value = (&raw const value).cast();
        let fd = self.fd.as_raw_fd();
        // SAFETY: `value` points to an int that lives during the call, and `length` is its size.
        checked(unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, option, value, length) })?;
        Ok(())
    }

    /// Sends all datagrams, in as few system calls as possible.
    pub(super) fn send<'b>(
        &self,
        mut datagrams: impl Iterator<Item = &'b [u8]>,
        deadline: &Deadline,
    ) -> io::Result<()> {
        loop {
            // SAFETY: both are plain numbers and pointers, for which zeros are a value: nothing to send.
            let mut parts: [libc::iovec; SENT_AT_ONCE] = unsafe { mem::zeroed() };
            // SAFETY: as for `parts`.
            let mut messages: [libc::mmsghdr; SENT_AT_ONCE] = unsafe { mem::zeroed() };
            let mut filled = 0;
            // The slots come first in `zip`: a datagram without a slot must not be consumed.
            for ((part, message), datagram) in
                parts.iter_mut().zip(&mut messages).zip(datagrams.by_ref())
            {
                part.iov_base = datagram.as_ptr().cast_mut().cast();
                part.iov_len = datagram.len();
                message.msg_hdr.msg_iov = part;
                message.msg_hdr.msg_iovlen = 1;
                filled += 1;
            }
            if filled == 0 {
                return Ok(());
            }
            let mut rest = messages.get_mut(..filled).unwrap_or_default();
            while !rest.is_empty() {
                let sent = self.retried(libc::POLLOUT, deadline, |fd| {
                    let (list, count) = (rest.as_mut_ptr(), rest.len() as _);
                    // SAFETY: each of the `count` messages of the live list points to a part, and that to
                    // a live slice, which is only read. The kernel writes into the list alone.
                    let sent = unsafe { libc::sendmmsg(fd, list, count, libc::MSG_NOSIGNAL as _) };
                    sent as isize
                })?;
                // No kernel returns this by itself, but a filter of system calls may, and the loop must end.
                if sent == 0 {
                    return Err(io::ErrorKind::WriteZero.into());
                }
                rest = rest.get_mut(sent..).unwrap_or_default();
            }
        }
    }

    /// Receives all waiting datagrams, at least one, each into `room` bytes of the buffer.
    pub(super) fn receive(
        &self,
        buffer: &mut [u8],
        room: usize,
        deadline: &Deadline,
    ) -> io::Result<Received> {
        // SAFETY: both are plain numbers and pointers, for which zeros are a value: nothing asked for.
        let mut parts: [libc::iovec; DATAGRAMS] = unsafe { mem::zeroed() };
        // SAFETY: as for `parts`.
        let mut messages: [libc::mmsghdr; DATAGRAMS] = unsafe { mem::zeroed() };
        let mut offered = 0;
        for (datagram, (part, message)) in
            buffer.chunks_exact_mut(room).zip(parts.iter_mut().zip(&mut messages))
        {
            part.iov_base = datagram.as_mut_ptr().cast();
            part.iov_len = datagram.len();
            message.msg_hdr.msg_iov = part;
            message.msg_hdr.msg_iovlen = 1;
            offered += 1;
        }
        let messages = &mut messages;
        let count = self.retried(libc::POLLIN, deadline, |fd| {
            let (list, flags) = (messages.as_mut_ptr(), libc::MSG_TRUNC | libc::MSG_DONTWAIT);
            // SAFETY: the first `offered` of the live list point to parts, and those to chunks of a
            // live slice that is ours to write. The kernel writes no more than a part's length into
            // each, whatever length it reports with MSG_TRUNC.
            let count =
                unsafe { libc::recvmmsg(fd, list, offered, flags as _, std::ptr::null_mut()) };
            count as isize
        })?;
        let mut received = Received { count, ..Received::default() };
        for (length, message) in received.lengths.iter_mut().zip(messages) {
            *length = message.msg_len as usize;
        }
        Ok(received)
    }

    /// Repeats a call that was interrupted or would block, until the deadline.
    fn retried(
        &self,
        events: i16,
        deadline: &Deadline,
        mut call: impl FnMut(c_int) -> isize,
    ) -> io::Result<usize> {
        loop {
            if let Ok(count) = usize::try_from(call(self.fd.as_raw_fd())) {
                return Ok(count);
            }
            let error = io::Error::last_os_error();
            match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => self.wait(events, deadline)?,
                _ => return Err(error),
            }
        }
    }

    fn wait(&self, events: i16, deadline: &Deadline) -> io::Result<()> {
        let left = deadline.left();
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        // Rounded up, to avoid spinning during the last millisecond.
        let left = (left + Duration::from_micros(999)).as_millis();
        let left = c_int::try_from(left).unwrap_or(c_int::MAX);
        let mut poll = libc::pollfd { fd: self.fd.as_raw_fd(), events, revents: 0 };
        // SAFETY: `poll` is one pollfd that lives during the call.
        match checked(unsafe { libc::poll(&raw mut poll, 1, left) }) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }
}

/// A socket for reading IPVS's options. Nothing is sent through it.
#[derive(Debug)]
pub(super) struct OptionSocket {
    fd: OwnedFd,
}

impl OptionSocket {
    /// Opens one in the thread's network namespace. Any IPv4 socket works; this kind needs no privilege.
    pub(super) fn open() -> io::Result<Self> {
        let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC;
        // SAFETY: numbers in, a number out; no memory of ours is concerned.
        let fd = checked(unsafe { libc::socket(libc::AF_INET, kind, 0) })?;
        // SAFETY: the kernel has just created this descriptor, and nothing else uses it.
        Ok(OptionSocket { fd: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    /// Reads an option of IP. The buffer holds the request, and then the answer.
    pub(super) fn option(&self, option: c_int, buffer: &mut [u8]) -> io::Result<()> {
        let Ok(mut length) = libc::socklen_t::try_from(buffer.len()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let (fd, bytes) = (self.fd.as_raw_fd(), buffer.as_mut_ptr().cast());
        // SAFETY: `bytes` points to `length` bytes that are ours to write and live during the call;
        // the kernel writes no more than that.
        checked(unsafe { libc::getsockopt(fd, libc::IPPROTO_IP, option, bytes, &raw mut length) })?;
        Ok(())
    }
}

/// Moves only the calling thread into a network namespace.
pub(super) fn enter_network_namespace(namespace: &File) -> io::Result<()> {
    // SAFETY: numbers in, a number out. It changes which network the thread's later sockets see,
    // nothing in memory.
    checked(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) })?;
    Ok(())
}

/// Moves only the calling thread into a new network namespace.
pub(super) fn leave_network_namespace() -> io::Result<()> {
    // SAFETY: as for `enter_network_namespace`.
    checked(unsafe { libc::unshare(libc::CLONE_NEWNET) })?;
    Ok(())
}

fn kernel_address() -> libc::sockaddr_nl {
    // SAFETY: sockaddr_nl is plain numbers; all zeros are the kernel's address but for the family.
    let mut address: libc::sockaddr_nl = unsafe { mem::zeroed() };
    address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
    address
}

fn checked(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    #[test]
    fn an_interrupted_call_is_repeated() {
        let (ours, _theirs) = UnixDatagram::pair().expect("a pair of sockets");
        let socket = Socket::from(OwnedFd::from(ours));
        let mut calls = 0;
        let counted = socket.retried(libc::POLLIN, &Deadline::after(Duration::ZERO), |_| {
            calls += 1;
            if calls < 4 {
                // SAFETY: it points to this thread's own errno.
                unsafe { *libc::__errno_location() = libc::EINTR };
                return -1;
            }
            7
        });
        assert_eq!((counted.expect("at last"), calls), (7, 4));
    }
}
