use super::*;
use crate::ffi::status::VSCHED_OK;

/// The flow that the C function makes of these addresses.
fn from_c(client: SocketAddr, destination: SocketAddr) -> Flow {
    let mut stored = [[0u8; 28]; 2];
    let mut lengths = [MaybeUninit::new(0); 2];
    for ((address, to), length) in
        [client, destination].into_iter().zip(&mut stored).zip(&mut lengths)
    {
        // SAFETY: 28 bytes, which is room for either family.
        unsafe { put(address, to.as_mut_ptr().cast(), to.len(), length) }.expect("room");
    }
    // SAFETY: `put` has set both.
    let [a, b] = lengths.map(|length| unsafe { length.assume_init() });
    let mut flow = MaybeUninit::uninit();
    let (from, to) = (stored[0].as_ptr().cast(), stored[1].as_ptr().cast());
    // SAFETY: both have the length given.
    let status = unsafe { vsched_flow_from_sockaddr(6, from, a, to, b, Some(&mut flow)) };
    assert_eq!(status, VSCHED_OK);
    // SAFETY: it was written.
    *unsafe { flow.assume_init() }.as_rust()
}

#[test]
fn c_and_rust_make_the_same_flows() {
    let addresses = [
        "192.0.2.1:80",
        "[::ffff:192.0.2.1]:80",
        "[::192.0.2.1]:80",
        "[::ffff:0.0.0.0]:0",
        "[::fffe:192.0.2.1]:80",
        "[0:0:0:0:1:ffff:c000:201]:80",
        "[64:ff9b::192.0.2.1]:80",
        "[2001:db8::1]:443",
        "[::]:0",
        "[::1]:1",
        "0.0.0.0:65535",
    ];
    let addresses = addresses.map(|text| text.parse::<SocketAddr>().expect(text));
    for client in addresses {
        for destination in addresses {
            let flow = Flow::new(6, client, destination);
            assert_eq!(from_c(client, destination), flow, "{client} to {destination}");
            let plain =
                |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
            assert_eq!(flow, Flow::new(6, plain(client), plain(destination)));
            assert_eq!(flow.destination(), Some(plain(destination)));
        }
    }
}
