//! A server's load as one number, exact for the weights and counts measured here.

/// Loads count in steps of 2^-16 connections per unit of weight, so that different quotients of weights up
/// to 255 differ, and equal ones do not.
const FRACTION: u32 = 16;
/// Extra bits of the reciprocal: products up to 2^24 of connections and weight are exact.
const EXTRA: u32 = 24;
/// The greatest weight, see [`FRACTION`].
const MAX_WEIGHT: u32 = 255;

/// Bits for a server's number, in keys that have one.
pub const SERVER_BITS: u32 = 20;

/// One server's connections, and the factor that makes a load of them without a division.
#[derive(Clone, Copy)]
pub struct Load {
    reciprocal: u64,
    connections: u32,
}

impl Load {
    pub fn new(weight: u32, connections: u32) -> Load {
        assert!((1..=MAX_WEIGHT).contains(&weight), "weight {weight}");
        Load { reciprocal: (1_u64 << (FRACTION + EXTRA)).div_ceil(u64::from(weight)), connections }
    }

    pub fn add(&mut self) {
        self.connections += 1;
    }

    pub fn subtract(&mut self) {
        self.connections -= 1;
    }

    /// Connections / weight, below 2^44.
    #[inline(always)]
    pub fn key(self) -> u64 {
        (u64::from(self.connections) * self.reciprocal) >> EXTRA
    }

    /// The same, and the server's number below.
    #[inline(always)]
    pub fn key_with(self, server: u32) -> u64 {
        self.key() << SERVER_BITS | u64::from(server)
    }
}

#[cfg(test)]
mod tests {
    use super::Load;

    #[test]
    fn keys_are_ordered_as_the_quotients() {
        let counts = [0, 1, 2, 3, 7, 50, 51, 99, 100, 101, 1_000, 65_535];
        let weights = [1, 2, 3, 7, 49, 50, 97, 98, 99, 100, 254, 255];
        let pairs = || weights.into_iter().flat_map(|w| counts.map(|c| (c, w)));
        for (c1, w1) in pairs() {
            for (c2, w2) in pairs() {
                let keys = (Load::new(w1, c1).key(), Load::new(w2, c2).key());
                let products = (u64::from(c1) * u64::from(w2), u64::from(c2) * u64::from(w1));
                let same = keys.0.cmp(&keys.1) == products.0.cmp(&products.1);
                assert!(same, "{c1} / {w1} and {c2} / {w2}: {keys:?}");
            }
        }
    }
}
