//! Servers at random, in proportion to their weights: what twos and p2c share.
//!
//! The servers own consecutive numbers, each as many as its weight, in list order. A random number leads
//! to its owner through a table of cutpoints (Chen and Asau, "On generating random variates from an
//! empirical distribution", AIIE Transactions 6(2), 1974): its leading bits select a block of numbers,
//! and the few owners in that block are searched. There are at least as many blocks as servers, so a
//! search takes one step on average; it never takes more than log2 n.
//!
//! An owner that is unavailable or tried is rejected, and the next random number is asked. What remains
//! has the distribution of a table of the available servers, without the need to build one.
//!
//! Cost: 1/a random numbers are expected if the share `a` of the weight is available, whatever the number
//! of servers. After as many rejections as cost what a walk of the list costs, a walk over the available
//! servers decides, with the same distribution. So the worst case, a pick of which nearly no weight is
//! available, is O(n): about two walks.
//!
//! Why not an alias table, which needs no search: here a number means the same as in a walk of the list,
//! so that tests can walk; and one server's numbers can be cut out, which gives two different servers
//! without rejection.

use crate::arena::id::ServerId;
use crate::arena::slots::ServerSlot;
use crate::concurrent::segments::SlotRefs;
use crate::config::PickReason;
use crate::pool::servers::{Candidate, Position, Servers};

/// The most rejections before a walk in short lists; fewer if there are fewer servers. If half of the
/// weight is unavailable, one of four billion choices takes a walk, and if nine tenths are, one of 29.
const REJECTIONS: usize = 32;
/// A rejection costs what a walk costs per so many servers. In long lists, rejections may take as long as
/// the walk that they avoid. Measured.
const SERVERS_PER_REJECTION: usize = 4;

/// The most rejections before a walk over this number of servers.
fn most_rejections(servers: usize) -> usize {
    servers.min(REJECTIONS).max(servers / SERVERS_PER_REJECTION)
}

/// Which server owns which numbers.
pub(in crate::sched) struct WeightedTable {
    /// By position. With the slots, so that a choice reads nothing else of a server.
    shares: SlotRefs<ServerSlot, Share>,
    /// By block: the owner of the block's first number. One more than there are blocks.
    cutpoints: Box<[Position]>,
    /// A number's block is the number shifted by this.
    shift: u32,
    /// The lowest numbers: as many belong to the first available server, in addition to its own.
    bonus: u64,
    /// How many numbers there are.
    total: u64,
}

/// A server's numbers.
struct Share {
    end: u64,
    weight: u32,
}

impl WeightedTable {
    /// Compiles the table. O(n); allocates 28 to 40 bytes per server.
    pub(in crate::sched) fn new(servers: &Servers, bonus: u64) -> Self {
        let mut total = bonus;
        let share = |weight: u32| {
            total += u64::from(weight);
            Share { end: total, weight }
        };
        let slots = servers.ids().map(|id| id.slot);
        let shares = slots.zip(servers.weights().map(share));
        // The slots exist: `servers` has them.
        let shares = servers.arena().servers.slot_refs(shares).unwrap_or_default();
        let bits = |highest: u64| u64::BITS - highest.leading_zeros();
        let shift = bits(total.saturating_sub(1)).saturating_sub(bits(shares.len() as u64) + 1);
        let blocks = total.div_ceil(1 << shift);
        let mut owner = 0;
        let cutpoint = |block: u64| {
            while shares.get(owner).is_some_and(|(_, share)| share.end <= block << shift) {
                owner += 1;
            }
            owner as Position
        };
        let cutpoints = (0..=blocks).map(cutpoint).collect();
        WeightedTable { shares, cutpoints, shift, bonus, total }
    }

    /// A server that is available and not tried, other than `except`, by a random number; `None` if
    /// there is none. The same random number leads to the same server as long as the same servers are
    /// available.
    #[inline(always)]
    pub(in crate::sched) fn choose(
        &self,
        servers: &Servers,
        tried: &[ServerId],
        random: u64,
        except: Option<Position>,
    ) -> Option<Candidate> {
        // The usual end, in few instructions: the first number's owner is available.
        if let Some(owner) = self.first_owner(random, except).filter(|_| tried.is_empty()) {
            // Soon read, if it is picked.
            servers.prefetch_endpoint(owner.position);
            return Some(owner);
        }
        self.candidate(self.choose_again(servers, tried, random, except)?)
    }

    /// The owner of the first number, if the number has one, which is found at once, and which is
    /// available.
    #[inline(always)]
    fn first_owner(&self, random: u64, except: Option<Position>) -> Option<Candidate> {
        let cut = self.cut(except);
        let number = reduce(random, self.total.saturating_sub(cut.width));
        let (low, high) = self.block(cut.skip(number))?;
        if number < self.bonus || high - low > 1 {
            return None;
        }
        self.candidate(self.owner_of_two(low, cut.skip(number))).filter(Candidate::is_available)
    }

    /// All of [`choose`](Self::choose), from the same number on. Its result fits a register.
    #[inline(never)]
    fn choose_again(
        &self,
        servers: &Servers,
        tried: &[ServerId],
        mut random: u64,
        except: Option<Position>,
    ) -> Option<Position> {
        let cut = self.cut(except);
        let values = self.total.saturating_sub(cut.width);
        if values == 0 {
            return None;
        }
        for _ in 0..most_rejections(self.shares.len()) {
            let number = reduce(random, values);
            if number < self.bonus {
                return others(servers, tried, except).next().map(|server| server.position);
            }
            let number = cut.skip(number);
            let (low, high) = self.block(number)?;
            let position = match high - low {
                0 | 1 => self.owner_of_two(low, number),
                _ => self.search(low, high, number),
            };
            if servers.available(position, tried).is_some() {
                return Some(position);
            }
            random = mix(random, 0);
        }
        self.walk(servers, tried, random, except)
    }

    /// The numbers of this server, which nothing may choose.
    #[inline(always)]
    fn cut(&self, except: Option<Position>) -> Cut {
        let share = except.and_then(|position| self.shares.get(position as usize));
        let Some((_, share)) = share else { return Cut { start: self.total, width: 0 } };
        let width = u64::from(share.weight);
        Cut { start: share.end.saturating_sub(width), width }
    }

    #[inline(always)]
    fn end(&self, position: Position) -> u64 {
        self.shares.get(position as usize).map_or(0, |(_, share)| share.end)
    }

    /// The first and last server that may own a number which is not a bonus.
    #[inline(always)]
    fn block(&self, number: u64) -> Option<(Position, Position)> {
        let block = (number >> self.shift) as usize;
        Some((*self.cutpoints.get(block)?, *self.cutpoints.get(block + 1)?))
    }

    /// The owner of a number in a block of one owner, which has all of its numbers, or two, as most blocks
    /// are: without a branch, which random numbers would make unpredictable.
    #[inline(always)]
    fn owner_of_two(&self, low: Position, number: u64) -> Position {
        low + Position::from(self.end(low) <= number)
    }

    /// The server with recent counts.
    #[inline(always)]
    fn candidate(&self, position: Position) -> Option<Candidate> {
        let (slot, share) = self.shares.get(position as usize)?;
        Some(Candidate { position, weight: share.weight, counts: slot.counts_relaxed() })
    }

    /// The owner of a number among several.
    #[inline(never)]
    fn search(&self, mut low: Position, mut high: Position, number: u64) -> Position {
        while low < high {
            let middle = low + (high - low) / 2;
            if self.end(middle) <= number {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The same choice by a walk over the available servers.
    #[cold]
    #[inline(never)]
    fn walk(
        &self,
        servers: &Servers,
        tried: &[ServerId],
        random: u64,
        except: Option<Position>,
    ) -> Option<Position> {
        let others = || others(servers, tried, except);
        let sum: u64 = others().map(|server| u64::from(server.weight)).sum();
        let mut number = reduce(random, sum + self.bonus).saturating_sub(self.bonus);
        let mut owns = |server: &Candidate| {
            let weight = u64::from(server.weight);
            let owns = number < weight;
            number = number.saturating_sub(weight);
            owns
        };
        // Without an owner only if a server became unavailable between the two passes.
        let found = others().find(|server| owns(server)).or_else(|| others().next());
        found.map(|server| server.position)
    }
}

/// Numbers that are left out: those from there on move up.
struct Cut {
    start: u64,
    width: u64,
}

impl Cut {
    #[inline(always)]
    fn skip(&self, number: u64) -> u64 {
        if number < self.start { number } else { number + self.width }
    }
}

/// The available servers that were not tried, other than `except`, in list order.
fn others<'a>(
    servers: &'a Servers,
    tried: &'a [ServerId],
    except: Option<Position>,
) -> impl Iterator<Item = Candidate> + 'a {
    servers.iter_available(tried).filter(move |server| Some(server.position) != except)
}

/// A number below `values`, practically uniform: if there are 2^53 values, the error is below 2^-11 of
/// one value's probability.
#[inline]
fn reduce(random: u64, values: u64) -> u64 {
    ((u128::from(random) * u128::from(values)) >> 64) as u64
}

/// Output `index` of the SplitMix64 sequence that starts at `seed` (Steele, Lea and Flood, "Fast
/// splittable pseudorandom number generators", OOPSLA 2014): any output in O(1), without shared state.
#[inline]
pub(in crate::sched) fn mix(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The random numbers of a pick's two choices.
#[inline]
pub(in crate::sched) fn pair(seed: u64, pick: u64) -> (u64, u64) {
    let index = pick.wrapping_mul(2);
    (mix(seed, index), mix(seed, index.wrapping_add(1)))
}

/// Why one of these two is picked.
pub(in crate::sched) fn reason(servers: &Servers, one: Candidate, two: Candidate) -> PickReason {
    let address =
        |server: Candidate| servers.endpoint(server.position).map(|it| it.pick().address());
    match (address(one), address(two)) {
        (Some(one), Some(two)) => PickReason::Random([one, two]),
        // Every candidate has an endpoint.
        _ => PickReason::LeastLoad,
    }
}

#[cfg(test)]
#[path = "random_tests.rs"]
mod tests;
