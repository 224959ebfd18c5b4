//! The contract in `wit/` as Rust types, and the check that a component implements it.

use wasmill_boundary::text::shown;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::error::HostError;

#[allow(missing_docs, clippy::all, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::undocumented_unsafe_blocks)]
mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        // No plugin has to export all of it: the interfaces are looked up one by one.
        inline: "
            package wasmill:host;
            world plugin {
                import wasmill:plugin/logging@0.2.0;
                export wasmill:plugin/about@0.2.0;
                export wasmill:plugin/transform@0.2.0;
                export wasmill:plugin/aggregate@0.2.0;
            }
        ",
        world: "wasmill:host/plugin",
    });
}

pub(crate) use bindings::exports::wasmill::plugin::{about, aggregate, transform};
pub(crate) use bindings::wasmill::plugin::logging::Level;
pub(crate) use bindings::wasmill::plugin::types::{
    Answer, Batch, Cells, Column, ColumnSource, ColumnTable, Crossing, Description, Dictionary, Distinct, Encoding, Field, Grouped,
    MadeCells, MadeColumns, MadeTable, Needs, OpenedAggregate, OpenedTransform, Opening, Output, Port, Refusal, Reject, Schema, Table,
    TextForm, Updated,
};

/// The version of the contract that this host speaks.
pub(crate) const VERSION: &str = "0.2.0";

/// The versions that are compatible with it begin like this: a change of the minor number breaks, while there is no 1.0.
const COMPATIBLE: &str = "0.2.";

const ABOUT: &str = "wasmill:plugin/about";
const TRANSFORM: &str = "wasmill:plugin/transform";
const AGGREGATE: &str = "wasmill:plugin/aggregate";
const OURS: &str = "wasmill:plugin/";

/// Takes `package/interface@version` apart.
pub(crate) fn split_version(name: &str) -> (&str, Option<&str>) {
    match name.split_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (name, None),
    }
}

/// Whether a component that was built against `version` can run in this host.
fn is_compatible(version: Option<&str>) -> bool {
    version.is_some_and(|version| version.starts_with(COMPATIBLE))
}

/// The interfaces of work that a plugin exports; at least one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interfaces {
    pub transform: bool,
    pub aggregate: bool,
}

/// Checks that the component exports what a plugin has to, in a version that this host speaks.
pub(crate) fn check_exports(name: &str, component: &Component, engine: &Engine) -> Result<Interfaces, HostError> {
    let component_type = component.component_type();
    let exports: Vec<&str> = component_type.exports(engine).map(|(export, _)| export).collect();
    for export in &exports {
        let (interface, version) = split_version(export);
        if interface.starts_with(OURS) && !is_compatible(version) {
            return Err(HostError::not_a_plugin(
                name,
                format!(
                    "it speaks version {} of the plugin contract, and this host speaks {VERSION}: rebuild it with an SDK of that version",
                    shown(version.unwrap_or("?"))
                ),
            ));
        }
    }
    let has = |wanted: &str| exports.iter().any(|export| split_version(export).0 == wanted);
    let interfaces = Interfaces { transform: has(TRANSFORM), aggregate: has(AGGREGATE) };
    if has(ABOUT) && (interfaces.transform || interfaces.aggregate) {
        return Ok(interfaces);
    }
    let found = match exports.as_slice() {
        [] => "nothing".to_owned(),
        some => some.iter().take(5).map(|export| format!("`{}`", shown(export))).collect::<Vec<_>>().join(", "),
    };
    let message = format!(
        "it exports {found}, and a plugin exports `{ABOUT}@{VERSION}` and one or both of `{TRANSFORM}@{VERSION}` and `{AGGREGATE}@{VERSION}`"
    );
    Err(HostError::not_a_plugin(name, message))
}

/// Checks one import; the host offers its own interfaces and an empty WASI 0.2.
pub(crate) fn check_import(name: &str, import: &str) -> Result<(), HostError> {
    let (interface, version) = split_version(import);
    if matches!(interface, "wasmill:plugin/logging" | "wasmill:plugin/types") {
        if is_compatible(version) {
            return Ok(());
        }
        return Err(HostError::not_a_plugin(
            name,
            format!("it imports `{}`, and this host speaks version {VERSION} of the plugin contract", shown(import)),
        ));
    }
    if interface.starts_with("wasi:") && version.is_some_and(|version| version.starts_with("0.2.")) {
        return Ok(());
    }
    let hint = if interface.starts_with(OURS) || interface.starts_with("wasi:") { " in this version" } else { "" };
    Err(HostError::not_a_plugin(name, format!("it imports `{}`, which the host does not offer{hint}", shown(import))))
}
