//! What a scheduler may read of a request.

use std::net::SocketAddr;

use pingora_proxy::Session;
use vsched::Flow;

/// The client's and the proxy's address of the session's connection; without addresses, such as on a
/// Unix socket, an empty flow.
pub(crate) fn of(session: &Session) -> Flow {
    let inet =
        |address: Option<&pingora_core::protocols::l4::socket::SocketAddr>| -> Option<SocketAddr> {
            address?.as_inet().copied()
        };
    match (inet(session.client_addr()), inet(session.server_addr())) {
        (Some(client), Some(destination)) => Flow::tcp(client, destination),
        _ => Flow::default(),
    }
}

/// Returns a number for these bytes, for [`Flow::with_key`]: the same in every process and release, so
/// that a fleet of proxies sends one key to one server. FNV-1a with a final mix. It is not keyed: a client
/// that chooses the bytes can choose its server.
///
/// ```
/// assert_eq!(vsched_pingora::hash_key(b"alice"), vsched_pingora::hash_key(b"alice"));
/// assert_ne!(vsched_pingora::hash_key(b"alice"), vsched_pingora::hash_key(b"bob"));
/// ```
pub fn hash_key(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, step);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

/// Returns a closure for [`Balancer::with_hash_key`](crate::Balancer::with_hash_key): the key is this
/// header's value. Requests without the header have no key, so the client's address decides.
pub fn header_key(name: &str) -> impl Fn(&Session) -> Option<u64> + Send + Sync + use<> {
    let name = name.to_owned();
    move |session| session.req_header().headers.get(&name).map(|value| hash_key(value.as_bytes()))
}

/// Returns a closure for [`Balancer::with_hash_key`](crate::Balancer::with_hash_key): the key is this
/// cookie's value. Requests without the cookie have no key, so the client's address decides.
pub fn cookie_key(name: &str) -> impl Fn(&Session) -> Option<u64> + Send + Sync + use<> {
    let name = name.to_owned();
    move |session| {
        let headers = session.req_header().headers.get_all(http::header::COOKIE);
        let mut values = headers.iter().filter_map(|line| cookie(line.as_bytes(), name.as_bytes()));
        values.next().map(hash_key)
    }
}

/// The value of this cookie in a `Cookie` header.
fn cookie<'line>(line: &'line [u8], name: &[u8]) -> Option<&'line [u8]> {
    line.split(|byte| *byte == b';').find_map(|pair| {
        let pair = pair.trim_ascii();
        pair.strip_prefix(name)?.strip_prefix(b"=")
    })
}

#[cfg(test)]
mod tests {
    use super::{cookie, hash_key};

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let line = b"a=1; session=x=y ;sess=2";
        assert_eq!(cookie(line, b"a"), Some(&b"1"[..]));
        assert_eq!(cookie(line, b"session"), Some(&b"x=y"[..]));
        assert_eq!(cookie(line, b"sess"), Some(&b"2"[..]));
        assert_eq!(cookie(line, b"se"), None);
        assert_eq!(cookie(b"", b"a"), None);
    }

    #[test]
    fn keys_are_the_same_in_every_release() {
        // Computed by hand from the published FNV-1a of the texts and MurmurHash3's first final step.
        assert_eq!(hash_key(b""), mix(0xcbf2_9ce4_8422_2325));
        assert_eq!(hash_key(b"a"), mix(0xaf63_dc4c_8601_ec8c));
        assert_eq!(hash_key(b"foobar"), mix(0x8594_4171_f739_67e8));
    }

    fn mix(mut hash: u64) -> u64 {
        hash ^= hash >> 33;
        hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash ^ (hash >> 33)
    }
}
