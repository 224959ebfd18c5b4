//! `wit-bindgen`'s output for the contract. Plugin authors never name it;
//! [`transform!`](crate::transform!) does for them.
#![allow(missing_docs, clippy::undocumented_unsafe_blocks, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

wit_bindgen::generate!({
    path: "../../../wit",
    world: "transform-plugin",
    pub_export_macro: true,
    runtime_path: "wasmill_plugin::wit_bindgen::rt",
    default_bindings_module: "wasmill_plugin::bindings",
});
