//! Balancers over real HTTP servers on loopback. Every wait is bounded by [`common::soon`], and no test
//! asserts on time.

mod backend;
mod cancel;
mod common;
mod discovery;
mod failures;
mod grpc;
mod loads;
mod reload;
mod shares;
mod thresholds;
