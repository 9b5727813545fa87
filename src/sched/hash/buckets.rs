//! Shared by the hashing schedulers: the kernel's address hash, and tables of 256 buckets.

use crate::flow::Flow;
use crate::memory::expiry::GOLDEN_RATIO;
use crate::pool::servers::Position;
use crate::sched::PickRequest;

const BUCKETS: usize = 256;

/// The kernel's 8-bit hash of an address.
pub(crate) fn bucket_of(value: u32) -> u8 {
    (value.wrapping_mul(GOLDEN_RATIO) >> 24) as u8
}

/// The client as one number: the caller's key if there is one, else the address and, with `with_port`,
/// the port.
pub(crate) fn client_value(flow: &Flow, with_port: bool) -> u32 {
    let port = if with_port { u32::from(flow.client_port()) } else { 0 };
    match flow.key() {
        Some(key) => (key ^ key >> 32) as u32,
        None => flow.client_fold().wrapping_add(port),
    }
}

/// 256 buckets, each with the position of a server; `None` if there is no server.
pub(crate) struct Buckets(Option<Box<[Position; BUCKETS]>>);

impl Buckets {
    /// Assigns the buckets to the servers in list order, `share` in a row to each, in rounds until all
    /// are assigned. Allocates.
    pub(crate) fn deal(servers: u32, share: impl Fn(Position) -> u32) -> Self {
        if servers == 0 {
            return Buckets(None);
        }
        let mut buckets = Box::new([0; BUCKETS]);
        let mut free = buckets.iter_mut();
        for position in (0..servers).cycle() {
            for _ in 0..share(position).clamp(1, BUCKETS as u32) {
                match free.next() {
                    Some(bucket) => *bucket = position,
                    None => return Buckets(Some(buckets)),
                }
            }
        }
        Buckets(Some(buckets))
    }

    /// The bucket's server, whether it is available or not.
    pub(crate) fn own(&self, hash: u8) -> Option<Position> {
        self.0.as_deref()?.get(usize::from(hash)).copied()
    }

    /// The bucket's server if it is available; else, if `falls_back`, the first available one in the
    /// kernel's probing order, which starts at twice the hash.
    ///
    /// A retry always falls back, in the end to servers without a bucket, and so does a client whose
    /// server is held draining or down.
    #[inline]
    pub(crate) fn pick(
        &self,
        request: PickRequest<'_>,
        hash: u8,
        falls_back: bool,
    ) -> Option<Position> {
        let buckets = self.0.as_deref()?;
        let at = |bucket: u8| {
            let position = *buckets.get(usize::from(bucket))?;
            request.servers.available(position, request.tried).map(|_| position)
        };
        let is_retry = !request.tried.is_empty();
        let found = at(hash);
        if found.is_some() {
            return found;
        }
        let is_held = buckets.get(usize::from(hash)).is_some_and(|at| request.servers.is_held(*at));
        if !(falls_back || is_retry || is_held) {
            return None;
        }
        let probe = |offset: u8| at(offset.wrapping_add(hash).wrapping_add(hash));
        let found = (0..=u8::MAX).find_map(probe);
        if found.is_some() || !(is_retry || is_held) {
            return found;
        }
        request.servers.iter_available(request.tried).map(|server| server.position).next()
    }
}

#[cfg(test)]
#[path = "buckets_tests.rs"]
mod tests;
