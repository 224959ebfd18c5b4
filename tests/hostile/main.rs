//! Plugins that attack their host, and the host's exact answers to them.
//!
//! Every attack is run, and its answer compared with `answers/<attack>.txt` (`BLESS=1` rewrites them). Then all of them run ten
//! rounds over, with memory measured and a well-behaved plugin at work beside them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod aggregates;
mod answers;
mod attacks;
mod columns;
mod components;
mod decoders;
mod memory;
mod rounds;
mod slow_compile;
mod support;
mod tables;
