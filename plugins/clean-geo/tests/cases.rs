//! The cases next to the plugin, run natively, and the order of columns, which cases can't express.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use clean_geo::CleanGeo;
use serde_json::json;
use wasmill_plugin::testing;

#[test]
fn cases() {
    let count = testing::cases::<CleanGeo>(concat!(env!("CARGO_MANIFEST_DIR"), "/cases"));
    assert!(count >= 10, "only {count} cases were found");
}

#[test]
fn columns_come_in_the_order_of_the_table() {
    let outcome = testing::transform::<CleanGeo>(json!({}), &[json!({ "ind": 1, "country": "Chad" })]).unwrap();
    let schema = outcome.ports[0].records.schema();
    let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names.join(" "), "ind country coordinates timestamp");
}
