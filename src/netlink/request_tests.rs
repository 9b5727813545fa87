use super::*;

#[test]
fn the_encoder_writes_what_messages_write() {
    let keys = ["tcp 10.0.0.1:80", "tcp 10.0.0.1:80", "udp [fd00::1]:53", "fwmark 7"];
    let mut requests = Vec::new();
    for key in keys.map(|key| key.parse::<ServiceKey>().expect("a key")) {
        for address in ["10.0.1.1:80", "[fd00::9]:0"] {
            let server = RealServer::new(address.parse().expect("an address"));
            requests.push(Request::add_server(&key, &server));
            requests.push(Request::edit_server(&key, &server.clone().with_weight(0)));
            requests.push(Request::delete_server(&key, server.address));
        }
        requests.push(Request::add_service(&VirtualService::new(key)));
        requests.push(Request::zero());
    }
    let (mut encoder, mut ours, mut theirs) = (Encoder::default(), Vec::new(), Vec::new());
    for (request, sequence) in requests.iter().zip(1..) {
        let header = Header { kind: 28, flags: 1, sequence, port: 0 };
        encoder.encode(request, header, &mut ours).expect("a message");
        request.message().encode(header, &mut theirs).expect("a message");
        assert_eq!(ours, theirs, "{request:?}");
    }
}
