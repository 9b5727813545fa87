//! Reads the transcript in `tests/data/netlink`.

use serde::Deserialize;
use vsched::netlink::wire::{Answer, Header, Packet, decode_family, packets};

const RECORDED: &str = include_str!("../data/netlink/messages.jsonl");
const CONTROL: u16 = 16;

/// One command line, and what went to and fro.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) command: String,
    pub(crate) exit: i32,
    pub(crate) stderr: String,
    pub(crate) stdout: Vec<String>,
    messages: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    Sent,
    Received,
}

/// One netlink message of the transcript.
#[derive(Clone)]
pub(crate) struct Recorded {
    pub(crate) way: Way,
    pub(crate) header: Header,
    pub(crate) payload: Vec<u8>,
}

impl Recorded {
    pub(crate) fn packet(&self) -> Packet<'_> {
        Packet::new(self.header, &self.payload)
    }

    /// The payload, if it is of the IPVS family.
    pub(crate) fn data(&self) -> Option<&[u8]> {
        match self.packet().answer().expect("a recorded answer") {
            Answer::Data(payload) if self.header.kind != CONTROL => Some(payload),
            _ => None,
        }
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        hex.chars().map(|digit| digit.to_digit(16).expect("a digit") as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

impl Case {
    /// Every datagram as it was.
    pub(crate) fn datagrams(&self) -> impl Iterator<Item = (Way, Vec<u8>)> + '_ {
        self.messages.iter().map(|line| match line.split_once(' ') {
            Some(("sent", hex)) => (Way::Sent, bytes(hex)),
            Some(("received", hex)) => (Way::Received, bytes(hex)),
            _ => panic!("{line}"),
        })
    }

    /// Every message that is not about the family itself.
    pub(crate) fn messages(&self) -> Vec<Recorded> {
        let mut messages = Vec::new();
        for (way, datagram) in self.datagrams() {
            for packet in packets(&datagram) {
                let Packet { header, payload, .. } = packet.expect("a recorded message");
                let message = Recorded { way, header, payload: payload.to_vec() };
                messages.push(message);
            }
        }
        // Look-ups and their answers; acknowledgements hold the header of what they are about.
        messages.retain(|message| match message.header.kind {
            CONTROL => false,
            kind if kind > CONTROL => true,
            _ => message.payload.get(8..10) != Some(&CONTROL.to_ne_bytes()),
        });
        messages
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let lines = RECORDED.lines().skip(1);
    let cases: Vec<Case> =
        lines.map(|line| serde_json::from_str(line).expect("a recorded case")).collect();
    assert!(cases.len() >= 75, "{} cases", cases.len());
    cases
}

#[test]
fn the_family_is_what_the_kernel_said() {
    let first = &cases()[0];
    let mut answers = Vec::new();
    for (way, datagram) in first.datagrams() {
        for packet in packets(&datagram).map(|packet| packet.expect("a message")) {
            if way == Way::Received && packet.header.kind == CONTROL {
                answers.push(decode_family(packet.payload).expect("the family"));
            }
        }
    }
    let used = first.messages().iter().find_map(|m| m.data().map(|_| m.header.kind));
    assert_eq!(answers, [used.expect("a message of the family")]);
}

#[test]
fn the_question_for_the_family_is_ipvsadms() {
    let (way, asked) = cases()[0].datagrams().next().expect("the first datagram");
    let packet = packets(&asked).next().expect("one").expect("a message");
    let mut ours = Vec::new();
    vsched::netlink::wire::encode_family_request("IPVS", packet.header.sequence, &mut ours)
        .expect("a question");
    assert_eq!(way, Way::Sent);
    // ipvsadm fills in its port id, we let the kernel do it.
    assert_eq!((&ours[..12], &ours[16..]), (&asked[..12], &asked[16..]));
}
