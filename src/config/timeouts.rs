//! Connection timeouts.

/// Connection timeouts in seconds, 1 to 2678400; `None` leaves the kernel's timeout unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(remote = "Self", deny_unknown_fields, default))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Timeouts", transform = super::schema::timeouts))]
#[non_exhaustive]
pub struct Timeouts {
    /// Established TCP connections (kernel default 900).
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub tcp: Option<u32>,
    /// TCP connections after a FIN (kernel default 120).
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub tcp_fin: Option<u32>,
    /// UDP (kernel default 300).
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub udp: Option<u32>,
}

impl Timeouts {
    /// Returns the timeouts with this one for established TCP connections.
    ///
    /// ```
    /// use vsched::config::Timeouts;
    /// let timeouts = Timeouts::default().with_tcp(1800).with_udp(60);
    /// assert_eq!(timeouts.tcp_fin, None, "as it is in the kernel");
    /// ```
    pub const fn with_tcp(mut self, seconds: u32) -> Self {
        self.tcp = Some(seconds);
        self
    }

    /// Returns the timeouts with this one for TCP connections after a FIN.
    pub const fn with_tcp_fin(mut self, seconds: u32) -> Self {
        self.tcp_fin = Some(seconds);
        self
    }

    /// Returns the timeouts with this one for UDP.
    pub const fn with_udp(mut self, seconds: u32) -> Self {
        self.udp = Some(seconds);
        self
    }

    #[cfg(feature = "serde")]
    pub(super) fn is_default(&self) -> bool {
        *self == Timeouts::default()
    }
}
