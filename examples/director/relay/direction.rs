//! One direction of a connection: moves bytes from one socket to the other, with back pressure.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;

use mio::net::TcpStream;

const BUFFER: usize = 16 * 1024;
/// Buffers kept for reuse by a worker.
const KEPT: usize = 256;
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
}

impl Buffers {
    pub(crate) fn new() -> Self {
        Buffers { spare: Vec::new() }
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
}

impl Direction {
    pub(crate) fn new() -> Self {
        Direction { held: None, stage: Stage::Flowing }
    }

    /// True if the sender has sent FIN.
    pub(crate) fn is_ending(&self) -> bool {
        self.stage != Stage::Flowing
    }

    pub(crate) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Moves what can be moved now. True if the limit per call was reached first.
    ///
    /// The poll reports edges, so use both sockets until they would block.
    pub(crate) fn relay(
        &mut self,
        from: &mut TcpStream,
        to: &mut TcpStream,
        buffers: &mut Buffers,
    ) -> io::Result<bool> {
        for _ in 0..TURN {
            let moved = match (self.held.take(), self.stage) {
                (Some(buffer), _) => self.write(buffer, to, buffers),
                (None, Stage::Flowing) => self.read(from, buffers),
                (None, Stage::Ending) => {
                    self.stage = Stage::Done;
                    return to.shutdown(Shutdown::Write).map(|()| false);
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

    fn write(
        &mut self,
        mut buffer: Buffer,
        to: &mut TcpStream,
        buffers: &mut Buffers,
    ) -> io::Result<()> {
        let unsent = buffer.bytes.get(buffer.start..buffer.end).unwrap_or(&[]);
        let result = to.write(unsent);
        buffer.start += *result.as_ref().unwrap_or(&0);
        if buffer.start < buffer.end {
            self.held = Some(buffer);
        } else {
            buffers.give(buffer.bytes);
        }
        match result {
            Ok(0) => Err(ErrorKind::WriteZero.into()),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
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
                self.held = Some(Buffer { bytes, start: 0, end });
                Ok(())
            }
            Err(error) => {
                buffers.give(bytes);
                Err(error)
            }
        }
    }
}
