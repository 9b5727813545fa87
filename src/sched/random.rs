//! Servers at random, in proportion to their weights: what twos and p2c share.
//!
//! The servers own consecutive numbers, each as many as its weight, in list order. A random number leads
//! to its owner through a table of cutpoints (Chen and Asau, "On generating random variates from an
//! empirical distribution", AIIE Transactions 6(2), 1974): its leading bits select a block of numbers,
//! and the few owners in that block are searched. There are at least as many blocks as servers, so a
//! search takes one step on average; it never takes more than log2 n. If all weights are equal, a division
//! finds the owner: where memory is slow, a choice then waits for the server's slot alone.
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
use crate::concurrent::simd::prefetch;
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

/// From so many servers on, a table and its servers do not fit the fastest cache. Measured.
const MANY: usize = 512;

/// Which server owns which numbers.
pub(in crate::sched) struct WeightedTable {
    shares: Shares,
    /// The lowest numbers: as many belong to the first available server, in addition to its own.
    bonus: u64,
    /// How many numbers there are.
    total: u64,
}

enum Shares {
    Even(Even),
    Uneven(Uneven),
}

/// How owners are found: as a type, so that a pick distinguishes once.
trait Find {
    /// The owner of a number that is not a bonus; `None` if it has none, or is not found at once.
    fn owner_at_once(&self, number: u64, bonus: u64) -> Option<Position>;

    fn owner(&self, number: u64, bonus: u64) -> Option<Position>;

    /// The server's slot and weight.
    fn server<'a>(&'a self, servers: &'a Servers, at: Position) -> Option<(&'a ServerSlot, u32)>;

    /// Prefetches what the owners of about this number are chosen by, if that takes several accesses.
    fn prefetch(&self, _number: u64) {}

    /// The server's numbers.
    fn numbers(&self, position: Position, bonus: u64) -> Option<Cut>;
}

/// Servers of one weight.
struct Even {
    weight: u32,
    reciprocal: u64,
}

struct Uneven {
    /// By position. With the slots, so that a choice reads nothing else of a server.
    shares: SlotRefs<ServerSlot, Share>,
    /// By block: the owner of the block's first number. One more than there are blocks.
    cutpoints: Box<[Position]>,
    /// A number's block is the number shifted by this.
    shift: u32,
}

/// A server's numbers.
struct Share {
    end: u64,
    weight: u32,
}

impl Even {
    /// `None` if weights differ, or numbers are too large to be divided by a multiplication.
    fn new(servers: &Servers, total: u64) -> Option<Self> {
        let mut weights = servers.weights();
        let weight = weights.next().filter(|weight| *weight > 0)?;
        let divides = total.checked_mul(weight.into()).is_some();
        let even = Even { weight, reciprocal: u64::MAX / u64::from(weight) };
        (divides && weights.all(|other| other == weight)).then_some(even)
    }
}

impl Find for Even {
    #[inline(always)]
    fn owner_at_once(&self, number: u64, bonus: u64) -> Option<Position> {
        // The quotient by the weight: exact while the product of the two is below 2^64 (Robison, "N-bit
        // unsigned division via N-bit multiply-add", ARITH 2005).
        Some(reduce(number - bonus + 1, self.reciprocal) as Position)
    }

    fn owner(&self, number: u64, bonus: u64) -> Option<Position> {
        self.owner_at_once(number, bonus)
    }

    #[inline(always)]
    fn server<'a>(&'a self, servers: &'a Servers, at: Position) -> Option<(&'a ServerSlot, u32)> {
        servers.slot_and_weight(at)
    }

    #[inline(always)]
    fn numbers(&self, position: Position, bonus: u64) -> Option<Cut> {
        let width = u64::from(self.weight);
        Some(Cut { start: bonus + u64::from(position) * width, width })
    }
}

impl Uneven {
    fn new(servers: &Servers, bonus: u64, total: u64) -> Self {
        let mut end = bonus;
        let share = |weight: u32| {
            end += u64::from(weight);
            Share { end, weight }
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
        Uneven { shares, cutpoints, shift }
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
}

impl Find for Uneven {
    #[inline(always)]
    fn owner_at_once(&self, number: u64, _: u64) -> Option<Position> {
        let (low, high) = self.block(number)?;
        (high - low <= 1).then(|| self.owner_of_two(low, number))
    }

    fn owner(&self, number: u64, _: u64) -> Option<Position> {
        let (low, high) = self.block(number)?;
        Some(match high - low {
            0 | 1 => self.owner_of_two(low, number),
            _ => self.search(low, high, number),
        })
    }

    #[inline(always)]
    fn server<'a>(&'a self, _: &'a Servers, at: Position) -> Option<(&'a ServerSlot, u32)> {
        let (slot, share) = self.shares.get(at as usize)?;
        Some((slot, share.weight))
    }

    #[inline(always)]
    fn prefetch(&self, number: u64) {
        if self.shares.len() < MANY {
            return;
        }
        let low = self.cutpoints.get((number >> self.shift) as usize);
        if let Some((slot, _)) = low.and_then(|low| self.shares.get(*low as usize)) {
            prefetch(slot);
        }
    }

    #[inline(always)]
    fn numbers(&self, position: Position, _: u64) -> Option<Cut> {
        let (_, share) = self.shares.get(position as usize)?;
        let width = u64::from(share.weight);
        Some(Cut { start: share.end.saturating_sub(width), width })
    }
}

impl WeightedTable {
    /// Compiles the table. O(n); allocates 28 to 40 bytes per server, nothing if all weights are equal.
    pub(in crate::sched) fn new(servers: &Servers, bonus: u64) -> Self {
        let total = bonus + servers.weights().map(u64::from).sum::<u64>();
        let shares = match Even::new(servers, total) {
            Some(even) => Shares::Even(even),
            None => Shares::Uneven(Uneven::new(servers, bonus, total)),
        };
        WeightedTable { shares, bonus, total }
    }

    /// Two servers that are available and not tried, by two random numbers; two different ones if `DIFFERENT`.
    /// `None` if there is no server, or no second one. The same numbers lead to the same servers as long as the
    /// same servers are available.
    #[inline(always)]
    pub(in crate::sched) fn two<const DIFFERENT: bool>(
        &self,
        servers: &Servers,
        tried: &[ServerId],
        random: (u64, u64),
    ) -> Option<(Candidate, Option<Candidate>)> {
        match &self.shares {
            Shares::Even(even) => self.two_of::<DIFFERENT>(even, servers, tried, random),
            Shares::Uneven(uneven) => self.two_of::<DIFFERENT>(uneven, servers, tried, random),
        }
    }

    #[inline(always)]
    fn two_of<const DIFFERENT: bool>(
        &self,
        owners: &impl Find,
        servers: &Servers,
        tried: &[ServerId],
        (first, second): (u64, u64),
    ) -> Option<(Candidate, Option<Candidate>)> {
        if DIFFERENT {
            // The first server's weight is not known yet: about here.
            owners.prefetch(reduce(second, self.total));
        }
        let one = self.choose(owners, servers, tried, first, None)?;
        let except = DIFFERENT.then_some(one.position);
        Some((one, self.choose(owners, servers, tried, second, except)))
    }

    /// A server other than `except`.
    #[inline(always)]
    fn choose(
        &self,
        owners: &impl Find,
        servers: &Servers,
        tried: &[ServerId],
        random: u64,
        except: Option<Position>,
    ) -> Option<Candidate> {
        // The usual end, in few instructions: the first number's owner is available.
        let owner = self.first_owner(owners, servers, random, except);
        if let Some(owner) = owner.filter(|_| tried.is_empty()) {
            // Soon read, if it is picked.
            servers.prefetch_endpoint(owner.position);
            return Some(owner);
        }
        let position = self.choose_again(owners, servers, tried, random, except)?;
        candidate(owners, servers, position)
    }

    /// The owner of the first number, if the number has one, which is found at once, and which is
    /// available.
    #[inline(always)]
    fn first_owner(
        &self,
        owners: &impl Find,
        servers: &Servers,
        random: u64,
        except: Option<Position>,
    ) -> Option<Candidate> {
        let cut = self.cut(owners, except);
        let number = reduce(random, self.total.saturating_sub(cut.width));
        if number < self.bonus {
            return None;
        }
        let position = owners.owner_at_once(cut.skip(number), self.bonus)?;
        candidate(owners, servers, position).filter(Candidate::is_available)
    }

    /// All of [`choose`](Self::choose), from the same number on. Its result fits a register.
    #[inline(never)]
    fn choose_again(
        &self,
        owners: &impl Find,
        servers: &Servers,
        tried: &[ServerId],
        mut random: u64,
        except: Option<Position>,
    ) -> Option<Position> {
        let cut = self.cut(owners, except);
        let values = self.total.saturating_sub(cut.width);
        if values == 0 {
            return None;
        }
        for _ in 0..most_rejections(servers.len() as usize) {
            let number = reduce(random, values);
            if number < self.bonus {
                return others(servers, tried, except).next().map(|server| server.position);
            }
            let position = owners.owner(cut.skip(number), self.bonus)?;
            if servers.available(position, tried).is_some() {
                return Some(position);
            }
            random = mix(random, 0);
        }
        self.walk(servers, tried, random, except)
    }

    /// The numbers of this server, which nothing may choose.
    #[inline(always)]
    fn cut(&self, owners: &impl Find, except: Option<Position>) -> Cut {
        let numbers = except.and_then(|position| owners.numbers(position, self.bonus));
        numbers.unwrap_or(Cut { start: self.total, width: 0 })
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

/// The server with recent counts.
#[inline(always)]
fn candidate(owners: &impl Find, servers: &Servers, position: Position) -> Option<Candidate> {
    let (slot, weight) = owners.server(servers, position)?;
    Some(Candidate { position, weight, counts: slot.counts_relaxed() })
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
