//! The cases beside the plugin, run natively.

#[test]
fn cases() {
    let count = wasmill_plugin::testing::cases::<clean_pin::CleanPin>(concat!(env!("CARGO_MANIFEST_DIR"), "/cases"));
    assert!(count >= 20, "only {count} cases were found");
}
