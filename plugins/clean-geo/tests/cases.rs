//! The cases beside the plugin, run natively.

#[test]
fn cases() {
    let count = wasmill_plugin::testing::cases::<clean_geo::CleanGeo>(concat!(env!("CARGO_MANIFEST_DIR"), "/cases"));
    assert!(count >= 10, "only {count} cases were found");
}
