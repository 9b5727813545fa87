//! Which kernel's rules apply.

/// Which of two generations of kernels to follow. They differ in the connection overhead of lc and wlc,
/// and in when a threshold marks a server as overloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(remote = "Self"))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "KernelRules", transform = super::schema::plain))]
#[non_exhaustive]
pub enum KernelRules {
    /// Linux up to 6.1.176 and 6.12.101: overhead 256 active + inactive.
    A,
    /// Linux from 6.1.187, 6.12.107 and all of 7.x: overhead 256 active + total.
    #[default]
    B,
}
