//! Serves a component's imports: the log, an empty WASI, and a trap with a clear name for
//! everything else of WASI.

use wasmill_boundary::text::{MAX_LINE_BYTES, shown};
use wasmtime::Engine;
use wasmtime::component::types::{ComponentInstance, ComponentItem};
use wasmtime::component::{Component, Linker, LinkerInstance, WasmStr};

use crate::contract::{self, Level};
use crate::error::HostError;
use crate::log::LogLevel;
use crate::store::StoreData;
use crate::wasi;

/// A plugin requested something that a sandbox doesn't have.
#[derive(Debug, Clone, thiserror::Error)]
#[error("it requested {what}, and a plugin has no access to that")]
pub(crate) struct Forbidden {
    pub what: String,
}

impl Forbidden {
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into() }
    }
}

/// Creates a linker for exactly what this component imports. Rejects imports that the host doesn't
/// offer, by name.
pub(crate) fn linker(name: &str, component: &Component, engine: &Engine) -> Result<Linker<StoreData>, HostError> {
    let mut linker = Linker::new(engine);
    let component_type = component.component_type();
    for (import, item) in component_type.imports(engine) {
        contract::check_import(name, import)?;
        let ComponentItem::ComponentInstance(instance_type) = item.ty else {
            return Err(HostError::not_a_plugin(name, format!("it imports `{}`, which is no interface", shown(import))));
        };
        let mut instance =
            linker.instance(import).map_err(|error| HostError::bug(format!("cannot link `{}`: {error:#}", shown(import))))?;
        define(&mut instance, import, &instance_type, engine)
            .map_err(|error| HostError::not_a_plugin(name, format!("its import `{}` is unusual: {error:#}", shown(import))))?;
    }
    Ok(linker)
}

fn define(
    instance: &mut LinkerInstance<'_, StoreData>,
    import: &str,
    instance_type: &ComponentInstance,
    engine: &Engine,
) -> wasmtime::Result<()> {
    let (interface, _) = contract::split_version(import);
    for (item_name, item) in instance_type.exports(engine) {
        match item.ty {
            ComponentItem::ComponentFunc(_) => {
                if interface == "wasmill:plugin/logging" && item_name == "log" {
                    log(instance)?;
                } else if !wasi::define(instance, interface, item_name)? {
                    forbid(instance, interface, item_name)?;
                }
            }
            ComponentItem::Resource(_) => {
                instance.resource(item_name, wasi::resource_type(item_name), |_, _| Ok(()))?;
            }
            // Types carry nothing to define.
            ComponentItem::Type(_) => {}
            other => wasmtime::bail!("it holds {other:?}"),
        }
    }
    Ok(())
}

fn log(instance: &mut LinkerInstance<'_, StoreData>) -> wasmtime::Result<()> {
    instance.func_wrap("log", |mut store, (level, message): (Level, WasmStr)| {
        // Only the start of the message is copied: a line is short, whatever length the plugin
        // claims.
        let message = message.to_str(&store)?.chars().take(MAX_LINE_BYTES + 1).collect::<String>();
        let level = match level {
            Level::Debug => LogLevel::Debug,
            Level::Info => LogLevel::Info,
            Level::Warn => LogLevel::Warn,
            Level::Error => LogLevel::Error,
        };
        store.data_mut().log.line(level, &message);
        Ok(())
    })
}

fn forbid(instance: &mut LinkerInstance<'_, StoreData>, interface: &str, function: &str) -> wasmtime::Result<()> {
    let what = format!("{interface}#{function}");
    instance.func_new(function, move |_, _, _, _| Err(Forbidden::new(what.clone()).into()))
}
