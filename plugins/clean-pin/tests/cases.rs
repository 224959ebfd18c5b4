//! The cases next to the plugin, run natively, and what cases can't express: the order of columns,
//! what crosses, the schema.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use clean_pin::CleanPin;
use serde_json::json;
use wasmill_plugin::testing;

#[test]
fn cases() {
    let count = testing::cases::<CleanPin>(concat!(env!("CARGO_MANIFEST_DIR"), "/cases"));
    assert!(count >= 20, "only {count} cases were found");
}

#[test]
fn columns_come_in_the_order_of_the_table_and_only_what_is_looked_at_crosses() {
    let row = json!({ "index": 1, "title": "Blue bowls" });
    let outcome = testing::transform::<CleanPin>(json!({}), &[row]).unwrap();
    assert_eq!(
        column_names(&outcome),
        "ind unique_id title description follower_count poster_name tag_list is_image_or_video image_src save_location category"
    );
    let crossing = |config| testing::crossing_columns::<CleanPin>(&config).unwrap();
    assert_eq!(crossing(json!({})), ["index", "follower_count", "save_location"]);
    let bare = json!({ "standard_nulls": false, "wrapped_values": "keep", "save_location_prefix": "" });
    assert_eq!(crossing(bare), ["index", "follower_count"]);
}

fn column_names(outcome: &testing::Outcome) -> String {
    let schema = outcome.ports[0].records.schema();
    schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_configuration_schema_names_every_key_and_its_default() {
    let description = testing::describe::<CleanPin>();
    let summary = description["documentation"].as_str().unwrap().lines().next().unwrap();
    assert_eq!(summary, concat!(env!("CARGO_PKG_DESCRIPTION"), "."));
    let schema = &description["config_schema"];
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["properties"]["save_location_prefix"]["default"], "Local save in ");
    assert_eq!((&description["name"], &description["version"]), (&json!("clean-pin"), &json!(env!("CARGO_PKG_VERSION"))));
}
