//! Matches answers to requests.
//!
//! An answer belongs to a request if it has its sequence number and our port id. Others are late
//! answers to an abandoned request, and are skipped.

use std::io;
use std::time::Duration;

use super::error::Error;
use super::socket::{DATAGRAMS, Deadline, Received, Socket};
use super::wire::{ACK, Answer, DUMP, DUMP_INTERRUPTED, HEADER, Header, Message, REQUEST, packets};

/// The buffer for a datagram grows up to this size when a larger datagram arrives.
const LARGEST_ROOM: usize = 16 << 20;

/// Most bytes of requests in one datagram, unless a single request is longer. With the kernel's overhead of
/// at least 320 bytes it fits a page: a sync of 10,000 servers took 4 ms less than with two pages.
const PIECE: usize = 3584;

/// The result of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The answer is complete; `interrupted`: objects changed during the dump.
    Complete { interrupted: bool },
    /// It refused, with this errno.
    Refused(i32),
}

/// A batch whose last answer is missing.
#[derive(Debug)]
pub(super) struct Interrupted {
    pub(super) error: Error,
    /// Indexes and errnos of the refusals that arrived.
    pub(super) refusals: Vec<(usize, i32)>,
}

#[derive(Debug)]
pub(super) struct Exchange {
    socket: Socket,
    port: u32,
    sequence: u32,
    timeout: Duration,
    /// Buffer bytes per datagram.
    room: usize,
    buffer: Vec<u8>,
    received: Received,
    /// The next datagram to read of those received.
    next: usize,
}

impl Exchange {
    /// `room` is the size of the largest datagram that the kernel may send.
    pub(super) fn new(socket: Socket, port: u32, timeout: Duration, room: usize) -> Self {
        let (buffer, received) = (vec![0; DATAGRAMS * room], Received::default());
        Exchange { socket, port, sequence: 0, timeout, room, buffer, received, next: 0 }
    }

    /// The port id of the socket.
    pub(super) fn port(&self) -> u32 {
        self.port
    }

    /// Reserves sequence numbers and returns the first.
    pub(super) fn reserve(&mut self, count: u32) -> u32 {
        let first = self.sequence.wrapping_add(1);
        self.sequence = self.sequence.wrapping_add(count);
        first
    }

    /// Sends one request and passes every message of the answer to `each`.
    pub(super) fn ask(
        &mut self,
        family: u16,
        question: &Message,
        dump: bool,
        each: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<Outcome, Error> {
        let sequence = self.reserve(1);
        let flags = REQUEST | if dump { DUMP } else { ACK };
        let mut bytes = Vec::with_capacity(256);
        question.encode(Header { kind: family, flags, sequence, port: 0 }, &mut bytes)?;
        self.ask_bytes(&bytes, sequence, each)
    }

    /// The same with an encoded request. The answer ends with an acknowledgment or, for a dump, with its end
    /// message.
    pub(super) fn ask_bytes(
        &mut self,
        question: &[u8],
        sequence: u32,
        each: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<Outcome, Error> {
        let outcome = self.send([question]).and_then(|()| self.hear(sequence, each));
        if outcome.is_err() {
            // The kernel starts no dump on a socket before the previous one is read to its end.
            self.drain(|_| {});
        }
        outcome
    }

    fn hear(
        &mut self,
        sequence: u32,
        mut each: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<Outcome, Error> {
        let mut interrupted = false;
        let mut deadline = Deadline::after(self.timeout);
        loop {
            let mut progress = false;
            let datagram = self.receive(&deadline)?;
            for packet in packets(datagram.bytes) {
                let packet = packet?;
                if packet.header.sequence != sequence || packet.header.port != datagram.port {
                    continue;
                }
                interrupted |= packet.header.flags & DUMP_INTERRUPTED != 0;
                match packet.answer()? {
                    Answer::Nothing => {}
                    Answer::Data(payload) => {
                        each(payload)?;
                        progress = true;
                    }
                    Answer::Overrun => return Err(Error::Lost),
                    Answer::Acknowledged(0) | Answer::Done(0) => {
                        return Ok(Outcome::Complete { interrupted });
                    }
                    Answer::Acknowledged(errno) | Answer::Done(errno) => {
                        return Ok(Outcome::Refused(errno));
                    }
                }
            }
            if progress {
                // A dump may take any time as long as it makes progress.
                deadline = Deadline::after(self.timeout);
            }
        }
    }

    /// Reads what has arrived, without waiting.
    fn drain(&mut self, mut each: impl FnMut(&Datagram<'_>)) {
        let now = Deadline::after(Duration::ZERO);
        loop {
            match self.receive(&now) {
                Ok(datagram) => each(&datagram),
                Err(Error::Lost) => {}
                Err(_) => break,
            }
        }
    }

    /// Sends `count` requests with sequence numbers from `first`, the last of which requests an
    /// acknowledgment, and returns indexes and errnos of those that were refused.
    pub(super) fn batch(
        &mut self,
        requests: &[u8],
        first: u32,
        count: u32,
    ) -> Result<Vec<(usize, i32)>, Interrupted> {
        let mut refusals = Vec::new();
        let heard = self.send(pieces(requests)).and_then(|()| {
            let deadline = Deadline::after(self.timeout);
            while !collect(&self.receive(&deadline)?, first, count, &mut refusals)? {}
            Ok(())
        });
        let Err(error) = heard else { return Ok(refusals) };
        // The kernel has processed what was sent: it works during `send`. The answers left are valid,
        // and must be read; otherwise the buffer overflows again.
        self.drain(|datagram| {
            // A message that cannot be decoded no longer matters.
            let _ = collect(datagram, first, count, &mut refusals);
        });
        Err(Interrupted { error, refusals })
    }

    fn send<'b>(&mut self, datagrams: impl IntoIterator<Item = &'b [u8]>) -> Result<(), Error> {
        let deadline = Deadline::after(self.timeout);
        let sent = self.socket.send(datagrams.into_iter(), &deadline);
        sent.map_err(|source| self.failed("sending to the kernel", source))
    }

    fn receive(&mut self, deadline: &Deadline) -> Result<Datagram<'_>, Error> {
        if self.next >= self.received.count {
            self.receive_more(deadline)?;
        }
        let (place, length) = (self.next, self.received.lengths.get(self.next));
        self.next += 1;
        let datagram = self.buffer.chunks_exact(self.room).nth(place).unwrap_or_default();
        let bytes = length.and_then(|length| datagram.get(..*length));
        bytes.map(|bytes| Datagram { bytes, port: self.port }).ok_or(Error::Lost)
    }

    fn receive_more(&mut self, deadline: &Deadline) -> Result<(), Error> {
        let longest = self.received.lengths.into_iter().max().unwrap_or_default();
        if longest > self.room {
            self.room = longest.min(LARGEST_ROOM);
            self.buffer.resize(DATAGRAMS * self.room, 0);
        }
        (self.received, self.next) = (Received::default(), 0);
        match self.socket.receive(&mut self.buffer, self.room, deadline) {
            Ok(received) => self.received = received,
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => return Err(Error::Lost),
            Err(error) => return Err(self.failed("receiving from the kernel", error)),
        }
        Ok(())
    }

    fn failed(&self, step: &'static str, source: io::Error) -> Error {
        match source.kind() {
            io::ErrorKind::TimedOut => Error::Timeout(self.timeout),
            _ => Error::System { step, source },
        }
    }
}

/// Cuts requests into datagrams, between messages.
fn pieces(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let mut end = 0;
        for packet in packets(bytes) {
            let length = packet.map_or(bytes.len(), |packet| HEADER + packet.payload.len());
            if end > 0 && end + length > PIECE {
                break;
            }
            end += length;
        }
        let (piece, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
        bytes = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

struct Datagram<'b> {
    bytes: &'b [u8],
    /// The port id that its messages must carry.
    port: u32,
}

/// Reads one datagram of a batch's answers. Returns true once the last request is answered.
fn collect(
    datagram: &Datagram<'_>,
    first: u32,
    count: u32,
    refusals: &mut Vec<(usize, i32)>,
) -> Result<bool, Error> {
    let mut last = false;
    for packet in packets(datagram.bytes) {
        let packet = packet?;
        let place = packet.header.sequence.wrapping_sub(first);
        if place >= count || packet.header.port != datagram.port {
            continue;
        }
        match packet.answer()? {
            Answer::Acknowledged(errno) => {
                if errno != 0 {
                    refusals.push((place as usize, errno));
                }
                last |= place == count - 1;
            }
            Answer::Overrun => return Err(Error::Lost),
            Answer::Nothing | Answer::Data(_) | Answer::Done(_) => {}
        }
    }
    Ok(last)
}

#[cfg(test)]
#[path = "exchange_tests.rs"]
mod tests;
