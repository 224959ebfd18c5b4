//! The cases next to the plugin, run natively.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use mode::Mode;
use wasmill_plugin::testing;

#[test]
fn cases() {
    let count = testing::aggregate_cases::<Mode>(concat!(env!("CARGO_MANIFEST_DIR"), "/cases"));
    assert!(count >= 10, "only {count} cases were found");
}
