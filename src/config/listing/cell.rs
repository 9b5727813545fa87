//! The cells of a listing: names and numbers.

use std::fmt;

use crate::config::inet::Address;
use crate::config::{Family, Protocol, ServiceKey};

/// `TCP  10.0.0.1:80` or `FWM  7 IPv6`. Marks above 2147483647 print as negative numbers.
pub(super) fn service_name(key: &ServiceKey) -> String {
    match key {
        ServiceKey::Address { protocol, address } => {
            let protocol = match protocol {
                Protocol::Tcp => "TCP",
                Protocol::Udp => "UDP",
                Protocol::Sctp => "SCTP",
            };
            format!("{protocol:<4} {}", Address(*address))
        }
        ServiceKey::FirewallMark { mark, family } => {
            let family = match family {
                Family::Inet => "",
                Family::Inet6 => " IPv6",
            };
            format!("FWM  {}{family}", *mark as i32)
        }
    }
}

/// A number in a statistics or rates view, shortened or exact.
pub(super) struct Figure {
    pub(super) value: u64,
    pub(super) exact: bool,
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const KILO: u64 = 1000;
        let value = self.value;
        if self.exact || value < 100_000_000 {
            // An exact number of nine digits or more keeps one blank before it.
            return write!(f, " {value:>8}");
        }
        let (unit, letter) = match value {
            0..1_000_000_000 => (KILO, 'K'),
            1_000_000_000..100_000_000_000 => (KILO.pow(2), 'M'),
            100_000_000_000..100_000_000_000_000 => (KILO.pow(3), 'G'),
            _ => (KILO.pow(4), 'T'),
        };
        write!(f, "{:>8}{letter}", value / unit)
    }
}

#[cfg(test)]
#[path = "cell_tests.rs"]
mod tests;
