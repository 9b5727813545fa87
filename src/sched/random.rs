//! Servers at random, in proportion to their weights: what twos and p2c share.
//!
//! The servers own consecutive numbers, each as many as its weight, in list order. A random number leads
//! to its owner through a table of cutpoints (Chen and Asau, "On generating random variates from an
//! empirical distribution", AIIE Transactions 6(2), 1974): its leading bits select a block of numbers,
//! and the few owners in that block are searched. There are at least as many blocks as servers, so a
//! search takes one step on average; it never takes more than log2 n.
//!
//! An owner that is unavailable or tried is rejected, and the next random number is asked. What remains
//! has the distribution of a table of the available servers, without the need to build one. After some
//! rejections, one walk over the available servers decides, with the same distribution.
//!
//! Why not an alias table, which needs no search: here a number means the same as in a walk of the list,
//! so that tests can walk; and one server's numbers can be cut out, which gives two different servers
//! without rejection.

use crate::arena::id::ServerId;
use crate::config::PickReason;
use crate::pool::servers::{Candidate, Position, Servers};

/// The most rejections before a walk; fewer if there are fewer servers. If half of the weight is
/// unavailable, one of four billion choices takes a walk, and if nine tenths are, one of 29.
const REJECTIONS: usize = 32;

/// Which server owns which numbers.
pub(in crate::sched) struct WeightedTable {
    /// By position: the end of the server's numbers.
    ends: Box<[u64]>,
    /// By block: the owner of the block's first number. One more than there are blocks.
    cutpoints: Box<[Position]>,
    /// A number's block is the number shifted by this.
    shift: u32,
    /// The lowest numbers: as many belong to the first available server, in addition to its own.
    bonus: u64,
}

impl WeightedTable {
    /// Compiles the table. O(n); allocates 12 to 24 bytes per server.
    pub(in crate::sched) fn new(servers: &Servers, bonus: u64) -> Self {
        let mut total = bonus;
        let end = |weight: u32| {
            total += u64::from(weight);
            total
        };
        let ends: Box<[u64]> = servers.weights().map(end).collect();
        let bits = |highest: u64| u64::BITS - highest.leading_zeros();
        let shift = bits(total.saturating_sub(1)).saturating_sub(bits(ends.len() as u64) + 1);
        let blocks = total.div_ceil(1 << shift);
        let mut owner = 0;
        let cutpoint = |block: u64| {
            while ends.get(owner).is_some_and(|end| *end <= block << shift) {
                owner += 1;
            }
            owner as Position
        };
        let cutpoints = (0..=blocks).map(cutpoint).collect();
        WeightedTable { ends, cutpoints, shift, bonus }
    }

    /// A server that is available and not tried, other than `except`, by a random number; `None` if
    /// there is none. The same random number leads to the same server as long as the same servers are
    /// available.
    #[inline]
    pub(in crate::sched) fn choose(
        &self,
        servers: &Servers,
        tried: &[ServerId],
        mut random: u64,
        except: Option<Candidate>,
    ) -> Option<Candidate> {
        let total = self.ends.last().copied()?;
        // The numbers of `except` are cut out: later owners move up.
        let (cut, width) = except.map_or((total, 0), |server| {
            let (end, width) = (self.end(server.position), u64::from(server.weight));
            (end.saturating_sub(width), width)
        });
        let values = total.saturating_sub(width);
        if values == 0 {
            return None;
        }
        for _ in 0..REJECTIONS.min(self.ends.len()) {
            let number = reduce(random, values);
            if number < self.bonus {
                return others(servers, tried, except).next();
            }
            let position = self.owner(if number < cut { number } else { number + width })?;
            if let Some(counts) = servers.available(position, tried) {
                return Some(Candidate { position, weight: servers.weight(position), counts });
            }
            random = mix(random, 0);
        }
        self.walk(servers, tried, random, except)
    }

    #[inline]
    fn end(&self, position: Position) -> u64 {
        self.ends.get(position as usize).copied().unwrap_or(0)
    }

    /// The owner of a number that is not a bonus.
    #[inline]
    fn owner(&self, number: u64) -> Option<Position> {
        let block = self.cutpoints.get((number >> self.shift) as usize..)?;
        let (mut low, mut high) = (*block.first()?, *block.get(1)?);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.end(middle) <= number {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Some(low)
    }

    /// The same choice by a walk over the available servers.
    #[cold]
    #[inline(never)]
    fn walk(
        &self,
        servers: &Servers,
        tried: &[ServerId],
        random: u64,
        except: Option<Candidate>,
    ) -> Option<Candidate> {
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
        others().find(|server| owns(server)).or_else(|| others().next())
    }
}

/// The available servers that were not tried, other than `except`, in list order.
fn others<'a>(
    servers: &'a Servers,
    tried: &'a [ServerId],
    except: Option<Candidate>,
) -> impl Iterator<Item = Candidate> + 'a {
    let except = except.map(|server| server.position);
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
mod tests {
    use super::mix;

    /// The first outputs of the published generator for seed 0.
    #[test]
    fn outputs_are_split_mixs() {
        assert_eq!(
            [0, 1, 2].map(|index| mix(0, index)),
            [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f]
        );
    }
}
