//! Statistics: ten numbers, in 64 bits, or mostly in 32 bits from kernels before 4.1.

use super::WireError;
use super::attribute::{Value, Writer, attributes};
use crate::config::{Rates, Statistics};

const NAMES: [&str; 10] = [
    "STATS.CONNS",
    "STATS.INPKTS",
    "STATS.OUTPKTS",
    "STATS.INBYTES",
    "STATS.OUTBYTES",
    "STATS.CPS",
    "STATS.INPPS",
    "STATS.OUTPPS",
    "STATS.INBPS",
    "STATS.OUTBPS",
];
/// Numbers that have 64 bits in both forms: the bytes.
const WIDE: [u16; 2] = [4, 5];

/// The statistics of one service or server. What the kernel does not send is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Figures {
    /// Totals; the kernel does not send `refused`.
    pub totals: Statistics,
    /// Rates.
    pub rates: Rates,
}

impl Figures {
    fn values(&self) -> [u64; 10] {
        let Figures { totals, rates } = self;
        [
            totals.connections,
            totals.packets_in,
            totals.packets_out,
            totals.bytes_in,
            totals.bytes_out,
            rates.connections,
            rates.packets_in,
            rates.packets_out,
            rates.bytes_in,
            rates.bytes_out,
        ]
    }

    fn from_values(values: [u64; 10]) -> Self {
        let [connections, packets_in, packets_out, bytes_in, bytes_out, c, pi, po, bi, bo] = values;
        let refused = 0;
        Figures {
            totals: Statistics {
                connections,
                packets_in,
                packets_out,
                bytes_in,
                bytes_out,
                refused,
            },
            rates: Rates {
                connections: c,
                packets_in: pi,
                packets_out: po,
                bytes_in: bi,
                bytes_out: bo,
            },
        }
    }

    /// Writes the 64-bit form, or the older form, in which a number that does not fit becomes the maximum.
    pub(super) fn encode(&self, wide: bool, writer: &mut Writer<'_>) -> Result<(), WireError> {
        for (kind, value) in (1..).zip(self.values()) {
            if wide || WIDE.contains(&kind) {
                writer.u64(kind, Some(value));
            } else {
                writer.u32(kind, Some(u32::try_from(value).unwrap_or(u32::MAX)));
            }
        }
        Ok(())
    }

    pub(super) fn decode(nest: Value<'_>, wide: bool) -> Result<Option<Self>, WireError> {
        let mut values = [0; 10];
        for attribute in attributes(nest.0, "STATS") {
            let (kind, value) = attribute?;
            let place = usize::from(kind).wrapping_sub(1);
            // Only padding follows the ten.
            let (Some(slot), Some(name)) = (values.get_mut(place), NAMES.get(place)) else {
                continue;
            };
            *slot = if wide || WIDE.contains(&kind) {
                value.first(name).map(u64::from_ne_bytes)?
            } else {
                value.first(name).map(u32::from_ne_bytes)?.into()
            };
        }
        Ok(Some(Figures::from_values(values)))
    }
}
