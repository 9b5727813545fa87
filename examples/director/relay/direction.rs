//! One direction of a connection: moves bytes from one socket to the other, with back pressure.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

use mio::Interest;
use mio::event::Event;
use mio::net::TcpStream;

use super::splice::{Pipe, Pipes};
use crate::capacity::Capacity;

const BUFFER: usize = 64 * 1024;
/// Buffers kept for reuse by a worker.
const KEPT: usize = 64;
/// Full buffers in a row after which the kernel is asked to move pages.
const STREAK: u32 = 4;
/// Reads or writes per call, after which other connections are served.
const TURN: usize = 32;

/// Bytes in transit.
struct Buffer {
    bytes: Box<[u8; BUFFER]>,
    start: usize,
    end: usize,
}

/// A worker's spare buffers.
pub(crate) struct Buffers {
    spare: Vec<Box<[u8; BUFFER]>>,
    pipes: Pipes,
    capacity: Arc<Capacity>,
}

impl Buffers {
    pub(crate) fn new(capacity: Arc<Capacity>) -> Self {
        Buffers { spare: Vec::new(), pipes: Pipes::new(), capacity }
    }

    fn take(&mut self) -> Box<[u8; BUFFER]> {
        self.spare.pop().unwrap_or_else(|| Box::new([0; BUFFER]))
    }

    fn give(&mut self, bytes: Box<[u8; BUFFER]>) {
        if self.spare.len() < KEPT {
            self.spare.push(bytes);
        }
    }
}

/// The state of a direction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Flowing,
    /// The sender has sent FIN; what it sent before may still be held.
    Ending,
    /// The receiver has all bytes, and FIN.
    Done,
}

/// One direction of a connection.
///
/// It holds a buffer only while the receiver is slower than the sender; then it stops reading, so TCP slows
/// the sender down. An idle connection has no buffer.
pub(crate) struct Direction {
    held: Option<Buffer>,
    stage: Stage,
    /// The sender may have sent something. The poll reports edges: it says so once.
    readable: bool,
    /// A read that does not fill the buffer may leave something behind that the poll has already reported:
    /// an error, or what follows urgent data.
    greedy: bool,
    /// The poll has reported a FIN. Nothing follows it, so a read that does not fill the buffer is the last.
    fin: bool,
    writable: bool,
    written: Written,
    /// Buffers filled in a row.
    streak: u32,
    /// Bytes in transit, of a large transfer.
    pipe: Option<Pipe>,
}

/// What the receiver's socket has got. Nagle's algorithm delays only what follows unacknowledged bytes, so
/// it is turned off at the second write: short connections do without that system call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    Nothing,
    Once,
    Often,
}

impl Direction {
    pub(crate) fn new() -> Self {
        Direction {
            held: None,
            stage: Stage::Flowing,
            readable: false,
            greedy: false,
            fin: false,
            writable: true,
            written: Written::Nothing,
            streak: 0,
            pipe: None,
        }
    }

    /// The poll has reported this of the sender's socket.
    pub(crate) fn sender_event(&mut self, event: &Event) {
        self.greedy |= event.is_error() || is_urgent(event);
        self.fin |= event.is_read_closed();
        self.readable |= event.is_readable() || self.greedy || self.fin;
    }

    /// The poll has reported this of the receiver's socket.
    pub(crate) fn receiver_event(&mut self, event: &Event) {
        self.writable |= event.is_writable() || event.is_write_closed();
    }

    /// True if the sender has sent FIN.
    pub(crate) fn is_ending(&self) -> bool {
        self.stage != Stage::Flowing
    }

    pub(crate) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Moves what can be moved now. True if the limit per call was reached first. `last`: the other
    /// direction is done, so both sockets are closed after this one, which sends the FIN.
    pub(crate) fn relay(
        &mut self,
        from: &mut TcpStream,
        to: &mut TcpStream,
        last: bool,
        buffers: &mut Buffers,
    ) -> io::Result<bool> {
        for _ in 0..TURN {
            if let Some(pipe) = self.pipe.take() {
                match self.splice(pipe, from, to) {
                    Ok(true) => continue,
                    Ok(false) => return Ok(false),
                    Err(error) => return Err(error),
                }
            }
            let moved = match (&self.held, self.stage) {
                (Some(_), _) if !self.writable => return Ok(false),
                (Some(_), _) => self.write(to, buffers),
                (None, Stage::Flowing) if !self.readable => return Ok(false),
                (None, Stage::Flowing) if self.streak >= STREAK => {
                    self.pipe = buffers.pipes.take(buffers.capacity.pipes());
                    self.streak = 0;
                    Ok(())
                }
                (None, Stage::Flowing) => self.read(from, buffers),
                (None, Stage::Ending) => {
                    self.stage = Stage::Done;
                    return if last {
                        Ok(false)
                    } else {
                        to.shutdown(Shutdown::Write).map(|()| false)
                    };
                }
                (None, Stage::Done) => return Ok(false),
            };
            match moved {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn write(&mut self, to: &mut TcpStream, buffers: &mut Buffers) -> io::Result<()> {
        let Some(buffer) = &mut self.held else { return Ok(()) };
        match self.written {
            Written::Nothing => self.written = Written::Once,
            Written::Once => {
                self.written = Written::Often;
                // If it fails, things are only slower.
                let _ = to.set_nodelay(true);
            }
            Written::Often => {}
        }
        let unsent = buffer.bytes.get(buffer.start..buffer.end).unwrap_or(&[]);
        match to.write(unsent) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(sent) => buffer.start += sent,
            Err(error) => {
                self.writable &= error.kind() != ErrorKind::WouldBlock;
                return Err(error);
            }
        }
        if buffer.start >= buffer.end {
            if let Some(buffer) = self.held.take() {
                buffers.give(buffer.bytes);
            }
        }
        Ok(())
    }

    /// Moves what is in the pipe, or fills it. False if a socket would block.
    fn splice(&mut self, mut pipe: Pipe, from: &TcpStream, to: &TcpStream) -> io::Result<bool> {
        let (moved, would_block) = if pipe.is_empty() {
            if !self.readable {
                return Ok(false);
            }
            (pipe.fill(from), &mut self.readable)
        } else {
            if !self.writable {
                self.pipe = Some(pipe);
                return Ok(false);
            }
            (pipe.drain(to), &mut self.writable)
        };
        match moved {
            // A FIN, which the next read finds, or the end of a large transfer.
            Ok(0) => return Ok(true),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                *would_block = false;
                if !pipe.is_empty() {
                    self.pipe = Some(pipe);
                }
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
        self.pipe = Some(pipe);
        Ok(true)
    }

    fn read(&mut self, from: &mut TcpStream, buffers: &mut Buffers) -> io::Result<()> {
        let mut bytes = buffers.take();
        match from.read(&mut bytes[..]) {
            Ok(0) => {
                self.stage = Stage::Ending;
                buffers.give(bytes);
                Ok(())
            }
            Ok(end) => {
                // What comes later is reported anew.
                let all = end < BUFFER && !self.greedy;
                self.readable = !all;
                if all && self.fin {
                    self.stage = Stage::Ending;
                }
                self.streak = if end == BUFFER { self.streak + 1 } else { 0 };
                self.held = Some(Buffer { bytes, start: 0, end });
                Ok(())
            }
            Err(error) => {
                buffers.give(bytes);
                self.readable &= error.kind() != ErrorKind::WouldBlock;
                Err(error)
            }
        }
    }
}

/// What the poll is to report of a connection's sockets.
#[cfg(target_os = "linux")]
pub(crate) const INTEREST: Interest =
    Interest::READABLE.add(Interest::WRITABLE).add(Interest::PRIORITY);
#[cfg(not(target_os = "linux"))]
pub(crate) const INTEREST: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// A read ends at urgent data, whatever follows.
#[cfg(target_os = "linux")]
fn is_urgent(event: &Event) -> bool {
    event.is_priority()
}

#[cfg(not(target_os = "linux"))]
fn is_urgent(_: &Event) -> bool {
    false
}
