//! `wit-bindgen`'s output for the contract, a world for each interface that a plugin may export: a component has those that its macros
//! export. Plugin authors never name it; [`transform!`](crate::transform!) and its neighbours do for them.
#![allow(missing_docs, clippy::undocumented_unsafe_blocks, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

wit_bindgen::generate!({
    path: "../../../wit",
    inline: "
        package wasmill:sdk;
        world about {
            import wasmill:plugin/logging@0.2.0;
            export wasmill:plugin/about@0.2.0;
        }
    ",
    world: "wasmill:sdk/about",
    features: ["aggregate"],
    generate_all,
    generate_unused_types: true,
    pub_export_macro: true,
    export_macro_name: "export_about",
    runtime_path: "wasmill_plugin::wit_bindgen::rt",
    default_bindings_module: "wasmill_plugin::bindings",
});

pub mod transform {
    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "package wasmill:sdk; world transform { export wasmill:plugin/transform@0.2.0; }",
        world: "wasmill:sdk/transform",
        // The worlds of a component are merged: all of them have to see the same types.
        features: ["aggregate"],
        with: { "wasmill:plugin/types@0.2.0": crate::bindings::wasmill::plugin::types },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_transform",
        runtime_path: "wasmill_plugin::wit_bindgen::rt",
        default_bindings_module: "wasmill_plugin::bindings::transform",
    });
}

pub mod aggregate {
    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "package wasmill:sdk; world aggregate { export wasmill:plugin/aggregate@0.2.0; }",
        world: "wasmill:sdk/aggregate",
        features: ["aggregate"],
        with: { "wasmill:plugin/types@0.2.0": crate::bindings::wasmill::plugin::types },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_aggregate",
        runtime_path: "wasmill_plugin::wit_bindgen::rt",
        default_bindings_module: "wasmill_plugin::bindings::aggregate",
    });
}
