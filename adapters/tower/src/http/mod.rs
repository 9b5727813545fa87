//! Requests and responses of the `http` crate.

mod body;
mod client;
mod flow;
mod grpc;
mod replay;
mod status;

pub use body::BalancedBody;
pub use client::{OneClient, ToServer};
pub use flow::{ClientAddress, HttpFlow};
pub use grpc::GrpcStatus;
pub use replay::{Idempotent, idempotent_or_empty};
pub use status::{HttpStatus, Tunnel};
