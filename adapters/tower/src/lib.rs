#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod balance;
mod changes;
mod classify;
mod endpoints;
mod error;
mod exchange;
mod flow;
mod future;
#[cfg(feature = "http")]
mod http;
mod layer;
mod retry;
mod service_cell;
mod telemetry;

pub use balance::Balance;
pub use changes::{Changed, Changes};
pub use classify::{Classify, ErrorsFail, Verdict};
pub use endpoints::{Discovered, EndpointKey, Endpoints, Fixed, PerServer, UserData};
pub use error::Error;
pub use exchange::Exchange;
pub use flow::{FlowOf, SameFlow, key_of};
pub use future::ResponseFuture;
#[cfg(feature = "http")]
pub use http::{
    BalancedBody, ClientAddress, GrpcStatus, HttpFlow, HttpStatus, Idempotent, OneClient, ToServer,
    Tunnel, idempotent_or_empty,
};
pub use layer::BalanceLayer;
pub use retry::{NoReplay, Replay, RetryBudget};
pub use vsched;
