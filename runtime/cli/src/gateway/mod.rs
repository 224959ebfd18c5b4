//! Gateways: what a file says becomes routes, and a server that answers them.
//!
//! * `spec`: the contents of the file as types; its JSON Schema is generated from them.
//! * `load`: reads a file, and finds everything that is wrong with it.
//! * `kafka`, `kinesis`: what lies behind a route.

#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "kinesis")]
mod kinesis;
mod load;
mod routes;
mod spec;

pub use load::{Loaded, load};
pub use routes::routes;
pub use spec::{GatewaySpec, schema};
