//! The one place that says how vsched's rotations are shared by workers.

use vsched::config::VirtualService;

/// What the tables call the choice made below.
pub const SHARING: &str = "exact";

/// The service as all cases with several workers run it. The default, one exact rotation for all
/// workers, until services can choose one for each worker: set that here, and its name above.
pub fn shared(service: VirtualService) -> VirtualService {
    service
}
