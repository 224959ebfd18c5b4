//! The contract in `wit/` as Rust types, and the check that a component implements it.

use wasmill_boundary::text::shown;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::error::HostError;

#[allow(missing_docs, clippy::all, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::undocumented_unsafe_blocks)]
mod bindings {
    wasmtime::component::bindgen!({ path: "../../wit", world: "transform-plugin" });
}

pub(crate) use bindings::exports::wasmill::plugin::transform::{Description, Guest, Needs, Output, Port, Refusal, Reject};
pub(crate) use bindings::wasmill::plugin::logging::Level;
pub(crate) use bindings::wasmill::plugin::types::{ColumnSource, Encoding};
pub(crate) use bindings::{TransformPlugin, TransformPluginPre};

/// The version of the contract that this host implements.
pub(crate) const VERSION: &str = "0.1.0";

const TRANSFORM: &str = "wasmill:plugin/transform";
const OURS: &str = "wasmill:plugin/";

/// Takes `package/interface@version` apart.
pub(crate) fn split_version(name: &str) -> (&str, Option<&str>) {
    match name.split_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (name, None),
    }
}

/// Whether a component built against `version` can run on this host: the same minor version, while
/// there is no 1.0.
pub(crate) fn is_compatible(version: Option<&str>) -> bool {
    version.is_some_and(|version| version.starts_with("0.1."))
}

/// Checks that the component exports `transform` in a version that this host implements.
pub(crate) fn check_exports(name: &str, component: &Component, engine: &Engine) -> Result<(), HostError> {
    let component_type = component.component_type();
    let exports: Vec<&str> = component_type.exports(engine).map(|(export, _)| export).collect();
    for export in &exports {
        let (interface, version) = split_version(export);
        if interface == TRANSFORM {
            if is_compatible(version) {
                return Ok(());
            }
            return Err(HostError::not_a_plugin(
                name,
                format!(
                    "it speaks version {} of the plugin contract, and this host speaks {VERSION}: rebuild it with an SDK of that version",
                    shown(version.unwrap_or("?"))
                ),
            ));
        }
    }
    let found = match exports.as_slice() {
        [] => "nothing".to_owned(),
        some => some.iter().take(5).map(|export| format!("`{}`", shown(export))).collect::<Vec<_>>().join(", "),
    };
    Err(HostError::not_a_plugin(name, format!("it exports {found}, and a plugin exports `{TRANSFORM}@{VERSION}`")))
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
