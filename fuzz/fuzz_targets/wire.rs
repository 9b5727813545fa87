//! Datagrams as a kernel might send them: read or refused; what is read is written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vsched::config::Family;
use vsched::netlink::wire::{Header, Message, REQUEST, decode_family, packets};

fuzz_target!(|datagram: &[u8]| {
    for packet in packets(datagram) {
        let Ok(packet) = packet else { return };
        let _ = (packet.answer(), decode_family(packet.payload));
        let Ok(message) = Message::decode(packet.payload) else { continue };
        let _ = message.service.as_ref().map(|service| service.observed());
        let _ = message.dest.as_ref().map(|dest| dest.observed(Family::Inet));
        let _ = message.dest.as_ref().map(|dest| dest.observed(Family::Inet6));
        let _ = message.daemon.as_ref().map(|daemon| daemon.daemon());
        let mut bytes = Vec::new();
        let header = Header::new(28, REQUEST, 1);
        if message.encode(header, &mut bytes).is_ok() {
            let packet = packets(&bytes).next().expect("one packet").expect("a whole one");
            let again = Message::decode(packet.payload).expect("what was written");
            assert_eq!(again, message);
        }
    }
});
