//! Bytes that no kernel sends lead to an answer or an error, never to a panic.

use std::hint::black_box;

use vsched::config::Family;
use vsched::netlink::wire::{Message, decode_family, packets};

use crate::recorded::cases;

const MUTATED: u32 = 1_000_000;

/// SplitMix64, to be the same on every run.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

fn mutate(draw: &mut Draw, bytes: &mut Vec<u8>) {
    for _ in 0..=draw.below(3) {
        if bytes.is_empty() {
            return;
        }
        let at = draw.below(bytes.len());
        match draw.below(6) {
            0 => bytes[at] ^= 1 << draw.below(8),
            1 => bytes[at] = draw.next() as u8,
            2 => bytes.truncate(at),
            3 => bytes.insert(at, draw.next() as u8),
            4 => {
                bytes.remove(at);
            }
            // Where a length may be: the most telling values.
            _ => {
                let at = at & !3;
                let value = [0u16, 1, 3, 4, 5, 0x7fff, 0xffff][draw.below(7)];
                let room = bytes.len().min(at + 2) - at;
                bytes[at..at + room].copy_from_slice(&value.to_ne_bytes()[..room]);
            }
        }
    }
}

/// What was made of a datagram: messages understood, objects understood, errors.
#[derive(Default)]
struct Tally {
    messages: u32,
    objects: u32,
    errors: u32,
}

fn read(datagram: &[u8], tally: &mut Tally) {
    for packet in packets(datagram) {
        let Ok(packet) = packet else {
            tally.errors += 1;
            continue;
        };
        black_box(packet.answer().is_ok());
        black_box(decode_family(packet.payload).is_ok());
        match Message::decode(packet.payload) {
            Err(error) => {
                tally.errors += 1;
                assert!(!error.attribute().is_empty() && !error.problem().is_empty());
            }
            Ok(message) => {
                tally.messages += 1;
                let objects = [
                    message.service.as_ref().map(|service| service.observed().is_ok()),
                    message.dest.as_ref().map(|dest| dest.observed(Family::Inet6).is_ok()),
                    message.daemon.as_ref().map(|daemon| daemon.daemon().is_ok()),
                ];
                tally.objects += objects.iter().filter(|o| **o == Some(true)).count() as u32;
                tally.errors += objects.iter().filter(|o| **o == Some(false)).count() as u32;
                // What could be read can be written, and is the same when read again.
                let mut bytes = Vec::new();
                message.encode(packet.header, &mut bytes).expect("written");
                assert_eq!(Message::decode(&bytes[16..]).as_ref(), Ok(&message));
            }
        }
    }
}

#[test]
fn a_million_mutated_messages_are_read_or_refused() {
    let mut corpus: Vec<Vec<u8>> = Vec::new();
    for case in cases() {
        for (_, datagram) in case.datagrams() {
            // Of dumps, message by message, and a short one whole.
            if datagram.len() < 1000 && !corpus.contains(&datagram) {
                corpus.push(datagram.clone());
            }
            let mut rest = &datagram[..];
            while datagram.len() >= 1000 && !rest.is_empty() {
                let length = u32::from_ne_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
                corpus.push(rest[..length].to_vec());
                rest = &rest[length..];
            }
        }
    }
    assert!(corpus.len() > 200, "{} messages", corpus.len());
    let (mut draw, mut tally) = (Draw(2026), Tally::default());
    let mut bytes = Vec::new();
    for _ in 0..MUTATED {
        bytes.clone_from(&corpus[draw.below(corpus.len())]);
        mutate(&mut draw, &mut bytes);
        read(&bytes, &mut tally);
    }
    let Tally { messages, objects, errors } = tally;
    assert!(
        messages > MUTATED / 10 && objects > MUTATED / 20 && errors > MUTATED / 10,
        "{messages} messages, {objects} objects, {errors} errors"
    );
}
