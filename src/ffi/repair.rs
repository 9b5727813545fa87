//! Repair of counts that no event will correct.

use std::mem::MaybeUninit;

use crate::config::ServerCounts;
use crate::ffi::data::vsched_server_id;
use crate::ffi::director::vsched_director;
use crate::ffi::guard;
use crate::ffi::read_out::vsched_counts;
use crate::ffi::status::{self, VSCHED_E_NULL, vsched_status};

/// Sets a server's connection counts, for a host that knows the truth, and tells what they were.
///
/// A lease that is lost (a crashed plug-in, memory that was freed) stays counted: its server looks
/// busier than it is, and if it has an upper threshold it may stay overloaded for ever. No reload
/// mends that, and a server that is removed and added again has its counts back. After this call
/// the overload mark and the schedulers go by the new counts. Leases that are still open go on:
/// each close takes one connection off, and never one below zero. Connections that open or close
/// between your own count and this call are overwritten.
///
/// NULL: `former` may be. Answers: VSCHED_STALE, VSCHED_FULL (both together are more than
/// VSCHED_MAX_CONNECTIONS); nothing has changed then. `former->persistent` is 0. From any thread.
/// Takes a lock; workers do not wait for it. O(templates) if the service is persistent, else
/// O(log n).
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

/// Forgets the connections of all servers that were removed from the config, and tells how many
/// servers these are.
///
/// Without this a removed server keeps counting until its last connection closes, and has its
/// counts back if it is added again before. Call it after a change if leases of removed servers
/// may have been lost, or if a server that returns under the same address is to start anew. Ids of
/// such servers and leases of their connections become stale once no worker uses a config that
/// names them, at the latest by the vsched_director_tick after that. Clients whose template leads
/// to such a server are scheduled anew.
///
/// NULL: `count` may be. From any thread. Takes a lock; workers do not wait for it. O(removed
/// servers + templates).
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
