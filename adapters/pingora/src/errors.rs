//! Refusals and unusable servers as pingora's errors.

use pingora_core::{BError, Error, ErrorType};
use vsched::{Pick, Refused};

/// Answered with 503: no server can take the request now.
pub(crate) fn refused(service: &str, reason: Refused) -> BError {
    Error::explain(ErrorType::HTTPStatus(503), format!("service {service}: {reason}")).into_in()
}

/// Answered with 503: the service is not configured.
pub(crate) fn no_service(text: impl std::fmt::Display) -> BError {
    Error::explain(ErrorType::HTTPStatus(503), format!("{text}")).into_in()
}

/// Answered with 500: the config is for a kernel, not for a proxy.
pub(crate) fn not_proxied(service: &str, pick: &Pick) -> BError {
    let (server, method) = (pick.address(), pick.forwarding());
    let text = format!(
        "service {service}: server {server}: forwarding method {method:?}: a proxy needs Masq \
         (-m in rules, forwarding = \"masq\" in TOML)"
    );
    Error::explain(ErrorType::HTTPStatus(500), text).into_in()
}
