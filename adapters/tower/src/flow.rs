//! From requests to flows.

use vsched::Flow;

/// Describes a request to the scheduler. A closure `Fn(&Request) -> Flow` is one.
///
/// rr, wrr, lc, wlc and others do not read the flow. sh and mh pick by the client's address, or by
/// [the flow's key](Flow::with_key); dh and lblc by the destination; persistence by the client.
pub trait FlowOf<Request> {
    /// Returns the flow of this request. Called once per request.
    fn flow(&self, request: &Request) -> Flow;
}

impl<F, Request> FlowOf<Request> for F
where
    F: Fn(&Request) -> Flow,
{
    fn flow(&self, request: &Request) -> Flow {
        self(request)
    }
}

/// The same flow for all requests: enough for schedulers that do not hash.
#[derive(Debug, Clone, Copy, Default)]
pub struct SameFlow(pub Flow);

impl<Request> FlowOf<Request> for SameFlow {
    fn flow(&self, _: &Request) -> Flow {
        self.0
    }
}

/// Returns a number for [`Flow::with_key`]: the 64-bit FNV-1a hash of these bytes, the same on every
/// machine and in every release.
///
/// ```
/// assert_eq!(vsched_tower::key_of(b"a"), 0xaf63dc4c8601ec8c);
/// ```
pub fn key_of(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}
