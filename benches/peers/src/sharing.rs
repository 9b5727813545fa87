//! The one place that says how vsched's rotations are shared by workers.

use vsched::config::{Sharing, VirtualService};

/// What the tables call the choice made below.
pub const SHARING: &str = "per-worker";

/// The service as all cases with several workers run it: each worker by itself.
pub fn shared(service: VirtualService) -> VirtualService {
    service.with_sharing(Sharing::PerWorker)
}
