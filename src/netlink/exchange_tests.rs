//! The other end of a socket pair plays the kernel.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::netlink::wire::{Command, Info, MULTI};

const FAMILY: u16 = 28;
const PORT: u32 = 77;
const ERROR: u16 = 2;
const DONE: u16 = 3;

fn pair() -> (Exchange, UnixDatagram) {
    let (ours, theirs) = UnixDatagram::pair().expect("a pair of sockets");
    ours.set_nonblocking(true).expect("a non-blocking socket");
    let socket = Socket::from(OwnedFd::from(ours));
    (Exchange::new(socket, PORT, Duration::from_millis(300), 8192), theirs)
}

fn header(kind: u16, flags: u16, sequence: u32) -> Header {
    Header { kind, flags, sequence, port: PORT }
}

fn info(size: u32) -> Message {
    let info = Info { version: None, connection_table_size: Some(size) };
    Message { info, ..Message::new(Command::SetInfo) }
}

fn data(size: u32, header: Header) -> Vec<u8> {
    let mut bytes = Vec::new();
    info(size).encode(header, &mut bytes).expect("a message");
    bytes
}

/// A report: error or end of a dump.
fn report(header: Header, errno: i32) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&20u32.to_ne_bytes());
    bytes.extend_from_slice(&header.kind.to_ne_bytes());
    bytes.extend_from_slice(&header.flags.to_ne_bytes());
    bytes.extend_from_slice(&header.sequence.to_ne_bytes());
    bytes.extend_from_slice(&header.port.to_ne_bytes());
    bytes.extend_from_slice(&(-errno).to_ne_bytes());
    bytes
}

fn ask(exchange: &mut Exchange, dump: bool) -> (Result<Outcome, Error>, Vec<u32>) {
    let mut sizes = Vec::new();
    let outcome = exchange.ask(FAMILY, &Message::new(Command::GetInfo), dump, |payload| {
        let message = Message::decode(payload)?;
        sizes.push(message.info.connection_table_size.expect("a size"));
        Ok(())
    });
    (outcome, sizes)
}

#[test]
fn answers_to_others_are_skipped() {
    let (mut exchange, kernel) = pair();
    exchange.reserve(40);
    // Late answers to an earlier request, and one for another port, in one datagram with ours.
    let foreign = Header { port: PORT + 1, ..header(FAMILY, 0, 41) };
    let late = report(header(ERROR, 0, 40), libc::ESRCH);
    let ours = data(3, header(FAMILY, 0, 41));
    kernel.send(&data(1, header(FAMILY, 0, 40))).expect("sent");
    kernel.send(&[late, data(2, foreign), ours].concat()).expect("sent");
    kernel.send(&report(header(ERROR, 0, 41), 0)).expect("sent");
    let (outcome, sizes) = ask(&mut exchange, false);
    assert_eq!(outcome.expect("an outcome"), Outcome::Complete { interrupted: false });
    assert_eq!(sizes, [3]);
    let mut question = [0; 64];
    let length = kernel.recv(&mut question).expect("the question");
    let packet = packets(&question[..length]).next().expect("one").expect("a packet");
    assert_eq!(packet.header, Header { port: 0, ..header(FAMILY, REQUEST | ACK, 41) });
}

#[test]
fn a_dump_ends_with_its_end_and_tells_of_interruption() {
    for (flags, interrupted) in [(MULTI, false), (MULTI | DUMP_INTERRUPTED, true)] {
        let (mut exchange, kernel) = pair();
        let messages: Vec<u8> =
            (0..3).flat_map(|size| data(size, header(FAMILY, MULTI, 1))).collect();
        kernel.send(&messages).expect("sent");
        kernel.send(&report(header(DONE, flags, 1), 0)).expect("sent");
        let (outcome, sizes) = ask(&mut exchange, true);
        assert_eq!(outcome.expect("an outcome"), Outcome::Complete { interrupted });
        assert_eq!(sizes, [0, 1, 2]);
    }
}

#[test]
fn refusals_carry_the_errno_of_either_report() {
    for (kind, dump) in [(ERROR, false), (ERROR, true), (DONE, true)] {
        let (mut exchange, kernel) = pair();
        kernel.send(&report(header(kind, 0, 1), libc::EPERM)).expect("sent");
        let (outcome, sizes) = ask(&mut exchange, dump);
        assert_eq!(outcome.expect("an outcome"), Outcome::Refused(libc::EPERM));
        assert!(sizes.is_empty());
    }
}

#[test]
fn a_silent_kernel_is_a_timeout() {
    let (mut exchange, _kernel) = pair();
    let begun = Instant::now();
    let (outcome, _) = ask(&mut exchange, false);
    assert!(
        matches!(outcome, Err(Error::Timeout(time)) if time == exchange.timeout),
        "{outcome:?}"
    );
    assert!(begun.elapsed() >= exchange.timeout);
}

#[test]
fn a_late_answer_is_waited_for() {
    let (mut exchange, kernel) = pair();
    let answering = thread::spawn(move || {
        let mut question = [0; 64];
        kernel.recv(&mut question).expect("the question");
        thread::sleep(Duration::from_millis(50));
        kernel.send(&report(header(ERROR, 0, 1), 0)).expect("sent");
        kernel
    });
    let (outcome, _) = ask(&mut exchange, false);
    assert_eq!(outcome.expect("an outcome"), Outcome::Complete { interrupted: false });
    answering.join().expect("the other end");
}

#[test]
fn a_dump_may_take_longer_than_each_wait() {
    let (mut exchange, kernel) = pair();
    let answering = thread::spawn(move || {
        for size in 0..4 {
            thread::sleep(Duration::from_millis(120));
            kernel.send(&data(size, header(FAMILY, MULTI, 1))).expect("sent");
        }
        kernel.send(&report(header(DONE, MULTI, 1), 0)).expect("sent");
        kernel
    });
    let (outcome, sizes) = ask(&mut exchange, true);
    assert_eq!(outcome.expect("an outcome"), Outcome::Complete { interrupted: false });
    assert_eq!(sizes, [0, 1, 2, 3]);
    answering.join().expect("the other end");
}

#[test]
fn a_cut_datagram_is_a_loss_and_the_next_one_like_it_is_not() {
    let (mut exchange, kernel) = pair();
    exchange.room = 100;
    let long = |sequence| {
        let end = report(header(DONE, MULTI, sequence), 0);
        [data(9, header(FAMILY, MULTI, sequence)).repeat(8), end].concat()
    };
    kernel.send(&long(1)).expect("sent");
    let (outcome, _) = ask(&mut exchange, true);
    assert!(matches!(outcome, Err(Error::Lost)), "{outcome:?}");
    kernel.send(&long(2)).expect("sent");
    let (outcome, sizes) = ask(&mut exchange, true);
    assert_eq!(outcome.expect("an outcome"), Outcome::Complete { interrupted: false });
    assert_eq!(sizes, [9; 8]);
    assert_eq!(exchange.buffer.len(), DATAGRAMS * exchange.room);
    assert_eq!(exchange.room, long(1).len());
}

#[test]
fn a_dump_that_is_given_up_is_read_to_its_end() {
    let (mut exchange, kernel) = pair();
    // More than one system call receives.
    for size in 0..2 * DATAGRAMS as u32 {
        kernel.send(&data(size, header(FAMILY, MULTI, 1))).expect("sent");
    }
    kernel.send(&report(header(DONE, MULTI, 1), 0)).expect("sent");
    let outcome =
        exchange.ask(FAMILY, &Message::new(Command::GetInfo), true, |_| Err(Error::Absent));
    assert!(matches!(outcome, Err(Error::Absent)), "{outcome:?}");
    let left = exchange.socket.receive(&mut [0; 9], 9, &Deadline::after(Duration::ZERO));
    assert_eq!(left.expect_err("nothing").kind(), io::ErrorKind::TimedOut);
}

#[test]
fn the_refusals_of_a_batch_are_found_by_number_even_across_the_wrap() {
    let (mut exchange, kernel) = pair();
    exchange.sequence = u32::MAX - 2;
    let first = exchange.reserve(5);
    assert_eq!((first, exchange.sequence), (u32::MAX - 1, 2));
    // Answered: the second, and the last; one of another batch is between them.
    let answers = [(u32::MAX, libc::EEXIST), (u32::MAX - 2, libc::EPERM), (3, libc::EPERM), (2, 0)];
    for (sequence, errno) in answers {
        kernel.send(&report(header(ERROR, 0, sequence), errno)).expect("sent");
    }
    let refusals = exchange.batch(b"requests", first, 5).expect("a batch");
    assert_eq!(refusals, [(1, libc::EEXIST)]);
}

#[test]
fn a_long_batch_goes_in_datagrams_of_whole_messages() {
    // As many as fill datagrams exactly.
    const COUNT: u32 = 24 * (PIECE as u32 / 28);
    let (mut exchange, kernel) = pair();
    let answering = thread::spawn(move || {
        let (mut heard, mut datagrams, mut datagram) = (0, 0, [0; PIECE + 1]);
        while heard < COUNT {
            let length = kernel.recv(&mut datagram).expect("a datagram");
            assert!(length <= PIECE);
            datagrams += 1;
            for packet in packets(&datagram[..length]) {
                heard += 1;
                assert_eq!(packet.expect("a packet").header.sequence, heard);
            }
        }
        kernel.send(&report(header(ERROR, 0, 2500), libc::ENOENT)).expect("sent");
        kernel.send(&report(header(ERROR, 0, COUNT), 0)).expect("sent");
        (kernel, datagrams)
    });
    let requests: Vec<u8> =
        (1..=COUNT).flat_map(|number| data(number, header(FAMILY, REQUEST, number))).collect();
    let first = exchange.reserve(COUNT);
    let refusals = exchange.batch(&requests, first, COUNT).expect("a batch");
    assert_eq!(refusals, [(2499, libc::ENOENT)]);
    let (_, datagrams) = answering.join().expect("the other end");
    assert_eq!((datagrams, requests.len()), (24, 24 * PIECE));
}

#[test]
fn a_request_that_is_longer_than_a_datagram_goes_alone() {
    let short = data(7, header(FAMILY, REQUEST, 1));
    let mut long = data(7, header(FAMILY, REQUEST, 2));
    long.resize(2 * PIECE, 0);
    long[..4].copy_from_slice(&(2 * PIECE as u32).to_ne_bytes());
    let requests = [&long[..], &short, &long, &short, &short].concat();
    let lengths: Vec<usize> = pieces(&requests).map(<[u8]>::len).collect();
    assert_eq!(lengths, [2 * PIECE, 28, 2 * PIECE, 56]);
}

#[test]
fn a_batch_without_its_last_answer_tells_the_refusals_it_knows() {
    let (mut exchange, kernel) = pair();
    let first = exchange.reserve(3);
    kernel.send(&report(header(ERROR, 0, first), libc::ENOENT)).expect("sent");
    let broken = exchange.batch(b"requests", first, 3).expect_err("no last answer");
    assert!(matches!(broken.error, Error::Timeout(_)), "{broken:?}");
    assert_eq!(broken.refusals, [(0, libc::ENOENT)]);
}

#[test]
fn nonsense_is_an_error_with_a_place() {
    let (mut exchange, kernel) = pair();
    kernel.send(&[1, 2, 3]).expect("sent");
    let (outcome, _) = ask(&mut exchange, false);
    let Err(Error::Wire(error)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(error.attribute(), "header");
}
