//! Repair of counts that no event will correct.

use std::mem::MaybeUninit;

use crate::config::ServerCounts;
use crate::ffi::data::vsched_server_id;
use crate::ffi::director::vsched_director;
use crate::ffi::guard;
use crate::ffi::states::vsched_counts;
use crate::ffi::status::{self, VSCHED_E_NULL, vsched_status};

/// Sets the connection counts of a server, for a host that knows the true counts. Overload and
/// schedulers follow the new counts. Leases that are still open stay valid: each close takes one
/// connection off, down to zero. Connections that open or close between your own count and this
/// call are overwritten.
///
/// Threads: control. Cost: O(log servers); O(templates) in a persistent service.
///
/// @param director The director.
/// @param server Id of the server.
/// @param active Active connections.
/// @param inactive Inactive connections.
/// @param[out] former Counts before the call, or NULL; its `persistent` is 0.
/// @return VSCHED_OK; VSCHED_STALE; VSCHED_FULL: the sum is above VSCHED_MAX_CONNECTIONS.
#[unsafe(no_mangle)]
pub extern "C" fn vsched_director_set_counts(
    director: Option<&vsched_director>,
    server: vsched_server_id,
    active: u32,
    inactive: u32,
    former: Option<&mut MaybeUninit<vsched_counts>>,
) -> vsched_status {
    guard(|| {
        let director = director.ok_or(VSCHED_E_NULL)?;
        let set = director.director.set_counts(server.into(), active, inactive);
        let ServerCounts { active, inactive, overloaded, .. } = set.map_err(status::of)?;
        if let Some(to) = former {
            let overloaded = u32::from(overloaded);
            to.write(vsched_counts { active, inactive, persistent: 0, overloaded });
        }
        Ok(())
    })
}

/// Forgets the connections of all removed servers. Call it after a change if leases of removed
/// servers may be lost, or if a server that returns under the same address is to start from zero.
/// Ids of these servers and leases of their connections become stale once no worker uses a config
/// with them, at the latest at the vsched_director_tick after that. Clients whose template leads to
/// such a server are scheduled again.
///
/// Threads: control. Cost: O(removed servers + templates).
///
/// @param director The director.
/// @param[out] count Number of servers, or NULL.
/// @return VSCHED_OK.
#[unsafe(no_mangle)]
pub extern "C" fn vsched_director_forget_removed(
    director: Option<&vsched_director>,
    count: Option<&mut MaybeUninit<usize>>,
) -> vsched_status {
    guard(|| {
        let forgotten = director.ok_or(VSCHED_E_NULL)?.director.forget_removed();
        if let Some(to) = count {
            to.write(forgotten);
        }
        Ok(())
    })
}
