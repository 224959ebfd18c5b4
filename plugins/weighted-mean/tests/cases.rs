//! The cases next to the plugin, run natively.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use wasmill_plugin::PerGroup;
use wasmill_plugin::testing;
use weighted_mean::WeightedMean;

#[test]
fn cases() {
    let count = testing::aggregate_cases::<PerGroup<WeightedMean>>(concat!(env!("CARGO_MANIFEST_DIR"), "/cases"));
    assert!(count >= 10, "only {count} cases were found");
}
