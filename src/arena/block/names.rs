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

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use crate::arena::id::ServiceId;
use crate::config::{Family, Protocol, ServerState, ServiceKey};
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
}

/// A server's name.
#[repr(C)]
#[derive(Default)]
pub(crate) struct ServerName {
    name: Name,
    /// Its service's id.
    service: AtomicU64,
    holders: AtomicU64,
    /// In which state each of those who may hold it does: two bits each.
    states: AtomicU64,
}

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

    pub(crate) fn set(&self, key: &ServiceKey) {
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
        let shift = 2 * by.min(31);
        let bits = match state {
            ServerState::Up => 0,
            ServerState::Draining => DRAINING,
            ServerState::Down => DOWN,
        };
        let with = |states: u64| Some(states & !(3 << shift) | bits << shift);
        // SeqCst: pairs with the load in `state`.
        let _ = self.states.fetch_update(Ordering::SeqCst, Ordering::SeqCst, with);
    }

    /// The state in which the server is held, by all of them together.
    pub(crate) fn state(&self) -> ServerState {
        // SeqCst: pairs with the exchanges in `set_state`.
        let states = self.states.load(Ordering::SeqCst);
        let any = |bits: u64| (0..32).any(|by| states >> (2 * by) & 3 == bits);
        if any(DOWN) {
            ServerState::Down
        } else if any(DRAINING) {
            ServerState::Draining
        } else {
            ServerState::Up
        }
    }

    pub(crate) fn set(&self, service: ServiceId, address: SocketAddr) {
        // SeqCst: pairs with the load in `state`.
        self.states.store(0, Ordering::SeqCst);
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
    use super::{ServerName, ServiceName};
    use crate::arena::id::ServiceId;

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
