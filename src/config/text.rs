//! The serde form of a virtual service: names instead of bits, defaults omitted.

mod observed;
mod root;

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;

use serde::de::{Error, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::config::SchedulerKind;
use crate::config::{
    Affinity, DEFAULT_MH_TABLE_INDEX, Ejection, Forwarding, Name, Netmask, Persistence, RealServer,
    SchedulerFlags, ServiceKey, Sharing, SlowStart, Ties, Tunnel, VirtualService,
};
use crate::error::Quoted;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServiceText<Servers = Vec<RealServer>> {
    key: ServiceKey,
    #[serde(default = "default_scheduler")]
    scheduler: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    flags: Vec<String>,
    #[serde(default = "default_table", skip_serializing_if = "is_default_table")]
    mh_table_index: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    persistence: Option<Persistence>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    persistence_engine: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    one_packet: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    affinity: Affinity,
    #[serde(default, skip_serializing_if = "is_default")]
    sharing: Sharing,
    #[serde(default, skip_serializing_if = "is_default")]
    ties: Ties,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ejection: Option<Ejection>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    slow_start: Option<SlowStart>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    spill_over: Option<u32>,
    #[serde(default, skip_serializing_if = "is_default")]
    panic_threshold: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<Name>,
    #[serde(default)]
    servers: Servers,
}

pub(super) use observed::microseconds;

pub(super) fn one() -> u32 {
    1
}

pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

const NO_SCHEDULER: &str = "none";

fn default_scheduler() -> String {
    SchedulerKind::Wlc.name().to_owned()
}

fn default_table() -> u8 {
    DEFAULT_MH_TABLE_INDEX
}

fn is_default_table(index: &u8) -> bool {
    *index == DEFAULT_MH_TABLE_INDEX
}

impl<Servers> From<VirtualService<Servers>> for ServiceText<Servers> {
    fn from(from: VirtualService<Servers>) -> Self {
        ServiceText {
            key: from.key,
            scheduler: from.scheduler.map_or(NO_SCHEDULER, SchedulerKind::name).to_owned(),
            flags: from.flags.names(from.scheduler).map(str::to_owned).collect(),
            mh_table_index: from.mh_table_index,
            persistence: from.persistence,
            persistence_engine: from.persistence_engine,
            one_packet: from.one_packet,
            affinity: from.affinity,
            sharing: from.sharing,
            ties: from.ties,
            ejection: from.ejection,
            slow_start: from.slow_start,
            spill_over: from.spill_over,
            panic_threshold: from.panic_threshold,
            name: from.name,
            servers: from.servers,
        }
    }
}

impl TryFrom<ServiceText> for VirtualService {
    type Error = String;

    fn try_from(from: ServiceText) -> Result<Self, String> {
        let scheduler = match from.scheduler.as_str() {
            NO_SCHEDULER => None,
            name => Some(
                name.parse::<SchedulerKind>()
                    .map_err(|error| format!("service {}: {error}", from.key))?,
            ),
        };
        let mut flags = SchedulerFlags::default();
        for name in &from.flags {
            let flag = SchedulerFlags::named(name, scheduler).ok_or_else(|| {
                format!(
                    "service {}: flags: unknown flag `{}` for scheduler {}",
                    from.key,
                    Quoted(name),
                    from.scheduler
                )
            })?;
            flags = flags.union(flag);
        }
        Ok(VirtualService {
            key: from.key,
            scheduler,
            flags,
            mh_table_index: from.mh_table_index,
            persistence: from.persistence,
            persistence_engine: from.persistence_engine,
            one_packet: from.one_packet,
            affinity: from.affinity,
            sharing: from.sharing,
            ties: from.ties,
            ejection: from.ejection,
            slow_start: from.slow_start,
            spill_over: from.spill_over,
            panic_threshold: from.panic_threshold,
            name: from.name,
            servers: from.servers,
        })
    }
}

/// A server's address; the error quotes the text, unlike serde's own.
pub(super) fn server_address<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<SocketAddr, D::Error> {
    if !deserializer.is_human_readable() {
        return SocketAddr::deserialize(deserializer);
    }
    let text = Cow::<str>::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        D::Error::custom(format_args!(
            "server address `{}`: expected a numeric `ADDRESS:PORT`, IPv6 as `[ADDRESS]:PORT`",
            Quoted(&text)
        ))
    })
}

// Not an untagged enum, whose errors do not say what is wrong.
impl<'de> Deserialize<'de> for Netmask {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NetmaskVisitor)
    }
}

struct NetmaskVisitor;

impl Visitor<'_> for NetmaskVisitor {
    type Value = Netmask;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an IPv4 mask such as \"255.255.255.0\" or an IPv6 prefix length, 1 to 128")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Netmask, E> {
        text.parse().map(Netmask::Inet).map_err(|_| {
            let text = format!("string \"{}\"", Quoted(text));
            E::invalid_value(Unexpected::Other(&text), &self)
        })
    }

    fn visit_u64<E: Error>(self, prefix: u64) -> Result<Netmask, E> {
        u8::try_from(prefix)
            .map(Netmask::Inet6)
            .map_err(|_| E::invalid_value(Unexpected::Unsigned(prefix), &self))
    }

    fn visit_i64<E: Error>(self, prefix: i64) -> Result<Netmask, E> {
        u64::try_from(prefix)
            .map_err(|_| E::invalid_value(Unexpected::Signed(prefix), &self))
            .and_then(|prefix| self.visit_u64(prefix))
    }
}

// Not derived, because the derived form rejects a bare `"tunnel"` with "expected newtype variant".
impl<'de> Deserialize<'de> for Forwarding {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ForwardingVisitor)
    }
}

struct ForwardingVisitor;

impl<'de> Visitor<'de> for ForwardingVisitor {
    type Value = Forwarding;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a forwarding method or one tunnel")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Forwarding, E> {
        match name {
            "masq" => Ok(Forwarding::Masq),
            "route" => Ok(Forwarding::Route),
            "local" => Ok(Forwarding::Local),
            "bypass" => Ok(Forwarding::Bypass),
            "tunnel" => Err(E::custom(
                "forwarding `tunnel` needs a type: {\"tunnel\": {\"type\": \"ipip\"}}",
            )),
            _ => {
                let name = Quoted(name).to_string();
                Err(E::unknown_variant(&name, &["masq", "route", "tunnel", "local", "bypass"]))
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Forwarding, A::Error> {
        let unknown = |field: &str| {
            let field = Quoted(field).to_string();
            A::Error::unknown_field(&field, &["tunnel"])
        };
        match map.next_key::<Cow<str>>()?.as_deref() {
            Some("tunnel") => {}
            Some(other) => return Err(unknown(other)),
            None => return Err(A::Error::missing_field("tunnel")),
        }
        let tunnel = map.next_value::<Tunnel>()?;
        match map.next_key::<Cow<str>>()?.as_deref() {
            Some("tunnel") => Err(A::Error::duplicate_field("tunnel")),
            Some(other) => Err(unknown(other)),
            None => Ok(Forwarding::Tunnel(tunnel)),
        }
    }
}

/// A 64-bit number. Formats whose integers end at 2^63 - 1, such as TOML, get a larger one as a text of
/// decimal digits; both forms are read.
pub(super) mod wide {
    use super::{Deserializer, Error, Unexpected, Visitor, fmt};

    pub(in crate::config) fn serialize<S: serde::Serializer>(
        number: &u64,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() && i64::try_from(*number).is_err() {
            serializer.collect_str(number)
        } else {
            serializer.serialize_u64(*number)
        }
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<u64, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(Wide)
        } else {
            serde::Deserialize::deserialize(deserializer)
        }
    }

    struct Wide;

    impl Visitor<'_> for Wide {
        type Value = u64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number from 0 to 18446744073709551615, or a text of its digits")
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<u64, E> {
            Ok(number)
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<u64, E> {
            u64::try_from(number).map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let number = text.parse().ok().filter(|_| digits);
            number.ok_or_else(|| {
                let text = format!("string \"{}\"", super::Quoted(text));
                E::invalid_value(Unexpected::Other(&text), &self)
            })
        }
    }
}
