//! The one place that says how vsched's rotations are shared by workers.

use vsched::config::{Sharing, VirtualService};

/// What the tables call the choice made below.
pub const SHARING: &str = "exact";

/// The service as all cases run it. `PerWorker` has no quick way yet, so that it would be measured
/// instead of what most users have.
pub fn shared(service: VirtualService) -> VirtualService {
    service.with_sharing(Sharing::Exact)
}
