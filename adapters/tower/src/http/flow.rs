//! From HTTP requests to flows.

use std::net::{Ipv4Addr, SocketAddr};

use http::header::{COOKIE, HeaderName};
use http::{Extensions, HeaderMap, Request};
use vsched::Flow;

use crate::flow::{FlowOf, key_of};

/// The client's address and port: an extension of a request, which the host's server inserts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddress(pub SocketAddr);

/// The flow of an HTTP request: the client is the request's [`ClientAddress`], and the key is a header, a
/// cookie or the path, if one is chosen. What a request does not have is left out.
///
/// ```
/// use vsched_tower::{FlowOf, HttpFlow};
/// let flow = HttpFlow::new().by_cookie("session");
/// let request = |cookie| http::Request::get("/").header("cookie", cookie).body(()).expect("valid");
/// let key = |cookie| flow.flow(&request(cookie)).key();
/// assert_eq!(key("theme=dark; session=7"), key("session=7"));
/// assert_eq!(key("theme=dark"), None);
/// ```
#[derive(Debug, Clone)]
pub struct HttpFlow {
    destination: SocketAddr,
    key: Option<Key>,
}

#[derive(Debug, Clone)]
enum Key {
    Header(HeaderName),
    Cookie(String),
    Path,
}

impl Default for HttpFlow {
    fn default() -> Self {
        HttpFlow::new()
    }
}

impl HttpFlow {
    /// Returns flows without a key.
    pub fn new() -> Self {
        HttpFlow { destination: (Ipv4Addr::UNSPECIFIED, 0).into(), key: None }
    }

    /// Sets the destination address, which dh, lblc and lblcr read.
    pub fn with_destination(mut self, destination: SocketAddr) -> Self {
        self.destination = destination;
        self
    }

    /// Makes sh and mh pick by this header's value, and by the client where it is missing.
    pub fn by_header(mut self, name: HeaderName) -> Self {
        self.key = Some(Key::Header(name));
        self
    }

    /// Makes sh and mh pick by this cookie's value, and by the client where it is missing.
    pub fn by_cookie(mut self, name: impl Into<String>) -> Self {
        self.key = Some(Key::Cookie(name.into()));
        self
    }

    /// Makes sh and mh pick by the URI's path and query.
    pub fn by_path(mut self) -> Self {
        self.key = Some(Key::Path);
        self
    }

    fn client(&self, extensions: &Extensions) -> Flow {
        match extensions.get() {
            Some(ClientAddress(client)) => Flow::tcp(*client, self.destination),
            None => Flow::tcp((Ipv4Addr::UNSPECIFIED, 0).into(), self.destination),
        }
    }
}

impl<B> FlowOf<Request<B>> for HttpFlow {
    fn flow(&self, request: &Request<B>) -> Flow {
        let flow = self.client(request.extensions());
        let headers = request.headers();
        let key = match &self.key {
            None => None,
            Some(Key::Header(name)) => headers.get(name).map(http::HeaderValue::as_bytes),
            Some(Key::Cookie(name)) => cookie(headers, name.as_bytes()),
            Some(Key::Path) => {
                let path = request.uri().path_and_query();
                Some(path.map_or("/", http::uri::PathAndQuery::as_str).as_bytes())
            }
        };
        key.map_or(flow, |key| flow.with_key(key_of(key)))
    }
}

/// The value of the first cookie with this name.
fn cookie<'h>(headers: &'h HeaderMap, name: &[u8]) -> Option<&'h [u8]> {
    let pairs = headers.get_all(COOKIE).iter();
    let mut pairs = pairs.flat_map(|value| value.as_bytes().split(|byte| *byte == b';'));
    pairs.find_map(|pair| pair.trim_ascii().strip_prefix(name)?.strip_prefix(b"="))
}
