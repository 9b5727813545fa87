//! Names of services and servers: labels for people and metrics.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::config::ServiceKey;
use crate::error::{KeyError, NameError};

/// Name of a service or a server, such as `web` or `pod-17.shop@eu`: 1 to 253 ASCII letters, digits and
/// `-_./@`, at least one of them a letter.
///
/// So it is never mistaken for a service's key or a server's address, and stands wherever those do in a
/// text: in [`Director::service`](crate::Director::service) and in the C functions. The names of a
/// config's services differ, and so do those of a service's servers. A name is no identity: renaming a
/// service or a server keeps its state. Cheap to clone.
///
/// ```
/// use vsched::config::Name;
/// let name: Name = "web.shop".parse()?;
/// assert_eq!(name.as_str(), "web.shop");
/// assert_eq!(
///     "tcp 192.168.4.5:80".parse::<Name>().unwrap_err().to_string(),
///     "name `tcp 192.168.4.5:80`: expected 1 to 253 ASCII letters, digits and -_./@, one of them a letter",
/// );
/// # Ok::<(), vsched::error::NameError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

impl Name {
    /// The most characters of a name: what a domain name can have.
    pub const MAX: usize = 253;

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// True if this text may be a name.
pub(crate) fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./@".contains(&byte);
    (1..=Name::MAX).contains(&text.len())
        && text.bytes().all(allowed)
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// A service as a text refers to it.
pub(crate) enum ServiceRef<'t> {
    Key(ServiceKey),
    Name(&'t str),
}

impl<'t> ServiceRef<'t> {
    /// # Errors
    /// The text is neither a key nor a name.
    pub(crate) fn read(text: &'t str) -> Result<Self, KeyError> {
        if is_name(text) { Ok(ServiceRef::Name(text)) } else { text.parse().map(ServiceRef::Key) }
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if is_name(text) { Ok(Name(text.into())) } else { Err(NameError::new(text)) }
    }
}

impl TryFrom<&str> for Name {
    type Error = NameError;

    fn try_from(text: &str) -> Result<Self, NameError> {
        text.parse()
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, text: &str) -> bool {
        &*self.0 == text
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Equal names hash as their texts do, so a map by name is searched by text.
impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
