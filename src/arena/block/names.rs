//! Which service and which server a slot of a block belongs to, and which owners have it in their configs.
//!
//! Names are read and written by the owner that has the claim alone; the orderings only keep what it wrote
//! before its death from being half there.
//!
//! | location  | operation                  | ordering | partner                              |
//! |-----------|----------------------------|----------|--------------------------------------|
//! | `kind`    | store in `write`           | Release  | load in `read`; after the other words |
//! | `kind`    | load in `read`             | Acquire  | store in `write`                     |
//! | others    | loads and stores           | Relaxed  | tied to `kind`                       |
//! | `holders` | additions and removals     | SeqCst   | load in `is_held`                    |
//! | `states`  | exchanges and loads        | SeqCst   | each other                           |
//! | `start`, `weight`, totals | loads, stores and additions | Relaxed | none: nothing depends on them |

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use crate::arena::id::ServiceId;
use crate::config::{Family, MAX_WEIGHT, Protocol, ServerState, ServiceKey};
use crate::sync::{AtomicU64, Ordering};

/// An address or a firewall mark, in words. All zeros: none.
#[repr(C)]
#[derive(Default)]
struct Name {
    address: [AtomicU64; 2],
    /// kind:8, protocol:8, port:16, scope of the address or firewall mark:32.
    kind: AtomicU64,
}

/// A service's name.
#[repr(C)]
#[derive(Default)]
pub(crate) struct ServiceName {
    name: Name,
    holders: AtomicU64,
    connections: AtomicU64,
    refused: AtomicU64,
}

/// A server's name.
#[repr(C)]
#[derive(Default)]
pub(crate) struct ServerName {
    name: Name,
    /// Its service's id.
    service: AtomicU64,
    holders: AtomicU64,
    /// In which state each of those who may hold it does: two bits each in the lower half. Above them the most
    /// connections that it may have on trial, and 1.
    states: AtomicU64,
    /// When its slow start began, and 1 ms; 0 = never.
    start: AtomicU64,
    /// A [`RunTimeWeight`].
    weight: AtomicU64,
    connections: AtomicU64,
}

/// A weight that was set at run time, for all owners whose configs have another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RunTimeWeight {
    /// The configured one that it replaces.
    pub(crate) configured: u32,
    pub(crate) weight: u32,
}

impl RunTimeWeight {
    const BITS: u32 = 31;
    const IS_SET: u64 = 1 << 63;

    fn word(self) -> u64 {
        let bits = |weight: u32| u64::from(weight.min(MAX_WEIGHT));
        Self::IS_SET | bits(self.configured) << Self::BITS | bits(self.weight)
    }

    fn of_word(word: u64) -> Option<Self> {
        let weight = |bits: u64| bits as u32 & MAX_WEIGHT;
        let (configured, weight) = (weight(word >> Self::BITS), weight(word));
        (word & Self::IS_SET != 0).then_some(RunTimeWeight { configured, weight })
    }
}

// A weight is a mask of its bits.
const _: () = assert!(MAX_WEIGHT == (1 << RunTimeWeight::BITS) - 1);

const TRIAL: u32 = 32;
const MOST_HOLDERS: u32 = TRIAL / 2;
const DRAINING: u64 = 1;
const DOWN: u64 = 2;

const INET: u64 = 1;
const INET6: u64 = 2;
const MARK: u64 = 3;
const MARK6: u64 = 4;

/// The words of a [`Name`].
type Words = [u64; 3];

fn words(address: SocketAddr, protocol: u8) -> Words {
    let rest = |kind: u64, scope: u32| {
        kind | u64::from(protocol) << 8 | u64::from(address.port()) << 16 | u64::from(scope) << 32
    };
    match address {
        SocketAddr::V4(address) => [0, address.ip().to_bits().into(), rest(INET, 0)],
        SocketAddr::V6(address) => {
            let bits = address.ip().to_bits();
            [(bits >> 64) as u64, bits as u64, rest(INET6, address.scope_id())]
        }
    }
}

/// The address and the protocol; `None` for other words.
fn address([high, low, rest]: Words) -> Option<(SocketAddr, u8)> {
    let (protocol, port, scope) = ((rest >> 8) as u8, (rest >> 16) as u16, (rest >> 32) as u32);
    let address = match rest & 0xff {
        INET => SocketAddr::new(IpAddr::V4(Ipv4Addr::from_bits(low as u32)), port),
        INET6 => {
            let ip = Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(low));
            SocketAddr::V6(SocketAddrV6::new(ip, port, 0, scope))
        }
        _ => return None,
    };
    Some((address, protocol))
}

fn words_of_key(key: &ServiceKey) -> Words {
    match *key {
        ServiceKey::Address { protocol, address } => words(address, protocol.number()),
        ServiceKey::FirewallMark { mark, family } => {
            let kind = if family == Family::Inet { MARK } else { MARK6 };
            [0, 0, kind | u64::from(mark) << 32]
        }
    }
}

fn key_of_words(words: Words) -> Option<ServiceKey> {
    let mark = (words[2] >> 32) as u32;
    match words[2] & 0xff {
        MARK => Some(ServiceKey::FirewallMark { mark, family: Family::Inet }),
        MARK6 => Some(ServiceKey::FirewallMark { mark, family: Family::Inet6 }),
        _ => {
            let (address, protocol) = address(words)?;
            Some(ServiceKey::Address { protocol: Protocol::from_number(protocol)?, address })
        }
    }
}

/// A hash of a service's key, the same in every process; not 0.
pub(crate) fn digest(key: &ServiceKey) -> u64 {
    // FNV-1a, word by word.
    let hash = words_of_key(key).into_iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, word| {
        (hash ^ word).wrapping_mul(0x0100_0000_01b3)
    });
    hash.max(1)
}

impl Name {
    fn read(&self) -> Words {
        // Acquire: pairs with the store in `write`.
        let kind = self.kind.load(Ordering::Acquire);
        // Relaxed: before `kind` was stored.
        [self.address[0].load(Ordering::Relaxed), self.address[1].load(Ordering::Relaxed), kind]
    }

    fn write(&self, [high, low, kind]: Words) {
        // Relaxed: before the store below.
        self.address[0].store(high, Ordering::Relaxed);
        self.address[1].store(low, Ordering::Relaxed);
        // Release: pairs with the load in `read`.
        self.kind.store(kind, Ordering::Release);
    }
}

macro_rules! holders {
    ($name:ident) => {
        impl $name {
            /// The owner with this number has it in its config.
            pub(crate) fn hold(&self, owner: u32) {
                // SeqCst: pairs with the load in `is_held`.
                self.holders.fetch_or(1 << owner, Ordering::SeqCst);
            }

            /// The owner with this number has it no more.
            pub(crate) fn release(&self, owner: u32) {
                // SeqCst: pairs with the load in `is_held`.
                self.holders.fetch_and(!(1 << owner), Ordering::SeqCst);
            }

            /// True if one of these owners has it in its config.
            pub(crate) fn is_held(&self, by: u64) -> bool {
                // SeqCst: pairs with the changes of the word.
                self.holders.load(Ordering::SeqCst) & by != 0
            }

            /// Counts so many connections in the total of all owners.
            pub(crate) fn add_connections(&self, count: u64) {
                // Relaxed: no partner.
                self.connections.fetch_add(count, Ordering::Relaxed);
            }

            pub(crate) fn connections(&self) -> u64 {
                // Relaxed: no partner.
                self.connections.load(Ordering::Relaxed)
            }
        }
    };
}

holders!(ServiceName);
holders!(ServerName);

impl ServiceName {
    /// The service; `None` if the slot is free.
    pub(crate) fn get(&self) -> Option<ServiceKey> {
        key_of_words(self.name.read())
    }

    /// Those of these owners that have it in their configs.
    pub(crate) fn holders(&self, of: u64) -> u64 {
        // SeqCst: pairs with the changes of the word.
        self.holders.load(Ordering::SeqCst) & of
    }

    /// As [`add_connections`](Self::add_connections), of refusals.
    pub(crate) fn add_refused(&self, count: u64) {
        // Relaxed: no partner.
        self.refused.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self) -> u64 {
        // Relaxed: no partner.
        self.refused.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, key: &ServiceKey) {
        // Relaxed: no partner.
        self.connections.store(0, Ordering::Relaxed);
        self.refused.store(0, Ordering::Relaxed);
        self.name.write(words_of_key(key));
    }

    pub(crate) fn clear(&self) {
        self.name.write([0; 3]);
    }
}

impl ServerName {
    /// The server's service and address; `None` if the slot is free.
    pub(crate) fn get(&self) -> Option<(ServiceId, SocketAddr)> {
        let (address, _) = address(self.name.read())?;
        // Relaxed: before the name was stored.
        Some((ServiceId::from_word(self.service.load(Ordering::Relaxed)), address))
    }

    /// Records that this one, by number, holds the server in this state.
    pub(crate) fn set_state(&self, by: u32, state: ServerState) {
        let shift = 2 * by.min(MOST_HOLDERS - 1);
        let bits = match state {
            ServerState::Up => 0,
            ServerState::Draining => DRAINING,
            ServerState::Down => DOWN,
        };
        let with = |states: u64| Some(states & !(3 << shift) | bits << shift);
        // SeqCst: pairs with the load in `states`.
        let _ = self.states.fetch_update(Ordering::SeqCst, Ordering::SeqCst, with);
    }

    /// The states in which these, by number, hold the server.
    pub(crate) fn states<const N: usize>(&self) -> [ServerState; N] {
        // SeqCst: pairs with the exchanges in `set_state`.
        let states = self.states.load(Ordering::SeqCst);
        std::array::from_fn(|by| match states >> (2 * by.min(MOST_HOLDERS as usize - 1)) & 3 {
            DOWN => ServerState::Down,
            DRAINING => ServerState::Draining,
            _ => ServerState::Up,
        })
    }

    /// The most connections that the server may have after an ejection, if it is on trial.
    pub(crate) fn trial(&self) -> Option<u32> {
        // SeqCst: pairs with the exchanges in `set_trial`.
        ((self.states.load(Ordering::SeqCst) >> TRIAL) as u32).checked_sub(1)
    }

    pub(crate) fn set_trial(&self, upper: Option<u32>) {
        let upper = upper.map_or(0, |upper| upper.saturating_add(1));
        let with = |states: u64| Some(states & ((1 << TRIAL) - 1) | u64::from(upper) << TRIAL);
        // SeqCst: pairs with the load in `trial`.
        let _ = self.states.fetch_update(Ordering::SeqCst, Ordering::SeqCst, with);
    }

    /// When the server's slow start began, in milliseconds of the owners' clock.
    pub(crate) fn start(&self) -> Option<u64> {
        // Relaxed: no partner.
        self.start.load(Ordering::Relaxed).checked_sub(1)
    }

    pub(crate) fn set_start(&self, now: u64) {
        // Relaxed: no partner.
        self.start.store(now.saturating_add(1), Ordering::Relaxed);
    }

    pub(crate) fn run_time_weight(&self) -> Option<RunTimeWeight> {
        // Relaxed: no partner.
        RunTimeWeight::of_word(self.weight.load(Ordering::Relaxed))
    }

    pub(crate) fn set_run_time_weight(&self, weight: Option<RunTimeWeight>) {
        // Relaxed: no partner.
        self.weight.store(weight.map_or(0, RunTimeWeight::word), Ordering::Relaxed);
    }

    pub(crate) fn set(&self, service: ServiceId, address: SocketAddr) {
        // SeqCst: pairs with the load in `states`.
        self.states.store(0, Ordering::SeqCst);
        for word in [&self.start, &self.weight, &self.connections] {
            // Relaxed: no partner.
            word.store(0, Ordering::Relaxed);
        }
        // Relaxed: before the name is stored.
        self.service.store(service.word(), Ordering::Relaxed);
        self.name.write(words(address, 0));
    }

    pub(crate) fn clear(&self) {
        self.name.write([0; 3]);
    }
}

#[cfg(test)]
mod tests {
    use super::{RunTimeWeight, ServerName, ServiceName};
    use crate::arena::id::ServiceId;
    use crate::config::MAX_WEIGHT;

    #[test]
    fn weights_are_what_was_set() {
        let server = ServerName::default();
        assert_eq!(server.run_time_weight(), None);
        for (configured, weight) in [(0, 0), (1, 0), (0, 1), (MAX_WEIGHT, MAX_WEIGHT)] {
            let set = Some(RunTimeWeight { configured, weight });
            server.set_run_time_weight(set);
            assert_eq!(server.run_time_weight(), set);
        }
        server.set_run_time_weight(None);
        assert_eq!(server.run_time_weight(), None);
    }

    #[test]
    fn names_are_what_was_written() {
        let (service, server) = (ServiceName::default(), ServerName::default());
        assert_eq!((service.get(), server.get()), (None, None));
        for key in [
            "tcp 10.0.0.1:80",
            "udp [2001:db8::1]:53",
            "sctp 0.0.0.0:0",
            "fwmark 7",
            "fwmark 4294967295 inet6",
        ] {
            let key = key.parse().expect("a key");
            service.set(&key);
            assert_eq!(service.get(), Some(key));
        }
        let id = ServiceId { slot: 3, generation: 0x9e37_79b1 };
        for address in ["10.0.0.1:0", "255.255.255.255:65535", "[::1]:80", "[fe80::1%7]:1"] {
            let address = address.parse().expect("an address");
            server.set(id, address);
            assert_eq!(server.get(), Some((id, address)));
        }
        service.clear();
        server.clear();
        assert_eq!((service.get(), server.get()), (None, None));
    }
}
