//! Who changes which services and servers a block has: one owner at a time.
//!
//! The claim dies with its owner: a claim of one that is no longer present is anyone's. It is no lock of the
//! hot path: picks and connections never look at it.
//!
//! | location | operation              | ordering | partner                       |
//! |----------|------------------------|----------|-------------------------------|
//! | `claim`  | exchange in `try_claim` | Acquire  | store in `drop`, the exchange by which another took it |
//! | `claim`  | exchange in `drop`     | Release  | exchange in `try_claim`        |

use std::time::{Duration, Instant};

use crate::arena::block::Block;
use crate::arena::block::owners::OwnerId;
use crate::arena::block::parts::Parts;
use crate::sync::{Arc, Ordering};

/// The right to change the membership, until it is dropped.
pub(crate) struct Claim {
    parts: Arc<Parts>,
    word: u64,
}

const NONE: u64 = 0;
/// How long an owner that is present may keep others waiting.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_micros(200);

fn word_of(owner: OwnerId) -> u64 {
    u64::from(owner.incarnation) << 32 | u64::from(owner.number + 1)
}

fn owner_of(word: u64) -> Option<OwnerId> {
    let number = (word as u32).checked_sub(1)?;
    Some(OwnerId { number, incarnation: (word >> 32) as u32 })
}

impl Block {
    /// Waits until no other owner has the claim; `None` if one keeps it for longer than ten seconds.
    pub(crate) fn claim(&self, owner: OwnerId) -> Option<Claim> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(claim) = self.try_claim(owner) {
                return Some(claim);
            }
            if Instant::now() >= until {
                return None;
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// The claim, unless another owner has it.
    pub(crate) fn try_claim(&self, owner: OwnerId) -> Option<Claim> {
        let parts = self.parts();
        let header = parts.header.first()?;
        let word = word_of(owner);
        // Relaxed: the exchange decides.
        let now = header.claim.load(Ordering::Relaxed);
        let is_taken = owner_of(now).is_some_and(|other| {
            let slot = parts.owners.get(other.number as usize);
            slot.is_some_and(|slot| slot.is_present(other.incarnation))
        });
        if is_taken {
            return None;
        }
        // Acquire: pairs with the exchange in `drop`, and with what one that has died wrote.
        let taken = header.claim.compare_exchange(now, word, Ordering::Acquire, Ordering::Relaxed);
        taken.is_ok().then(|| Claim { parts: Arc::clone(&self.parts), word })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let Some(header) = self.parts.header.first() else { return };
        // Release: pairs with the exchange in `try_claim`. It fails if the owner was declared dead.
        let _ =
            header.claim.compare_exchange(self.word, NONE, Ordering::Release, Ordering::Relaxed);
    }
}
