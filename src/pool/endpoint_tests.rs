use super::Endpoint;
use crate::arena::id::ServerId;
use crate::config::{Forwarding, RealServer, Tunnel, TunnelChecksum};

#[test]
fn what_goes_in_comes_out() {
    let checksums = [TunnelChecksum::None, TunnelChecksum::Full, TunnelChecksum::Remote];
    let tunnels = checksums.into_iter().flat_map(|checksum| {
        [Tunnel::Ipip {}, Tunnel::Gue { port: 5555, checksum }, Tunnel::Gre { checksum }]
    });
    let others = [Forwarding::Masq, Forwarding::Route, Forwarding::Local, Forwarding::Bypass];
    let id = ServerId { slot: 7, generation: 8 };
    for forwarding in tunnels.map(Forwarding::Tunnel).chain(others) {
        for address in ["192.168.5.11:80", "[2001:db8::1]:0", "10.0.0.1:65535"] {
            let address = address.parse().expect("an address");
            let server = RealServer::new(address).with_forwarding(forwarding);
            let pick = Endpoint::new(id, &server).pick();
            let found = (pick.server(), pick.address(), pick.forwarding());
            assert_eq!(found, (id, address, forwarding));
        }
    }
}
