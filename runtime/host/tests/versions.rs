//! Versions of the contract that differ in their last number run with each other: 0.2.0 and a 0.2.1 that has more.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../../tests/hostile/encode.rs"]
mod encode;

use std::sync::Arc;

use arrow_array::{Int64Array, RecordBatch};
use serde_json::json;
use wasmill_host::{FaultKind, Host, HostError, OnFault};
use wasmtime::component::{Component, Linker, Val};
use wasmtime::{Engine, Store, StoreContextMut};

const CONTRACT: &str = include_str!("../../../wit/wasmill.wit");
const PASS_ON: &str = include_str!("../examples/pass_on.wat");

/// The contract as a later version may have it: with a function more in an interface of the host's.
fn next_contract() -> String {
    let next = CONTRACT.replace("package wasmill:plugin@0.2.0;", "package wasmill:plugin@0.2.1;");
    let more = "\n  /// Writes out what was logged.\n  @since(version = 0.2.1)\n  flush: func();\n}\n\n/// What a plugin is.";
    let changed = next.replace("\n}\n\n/// What a plugin is.", more);
    assert_ne!(changed, next, "the contract has no interface before `about`");
    changed
}

/// The smallest plugin, which also logs when it is asked for what it is, and calls what 0.2.1 has more while it processes.
fn plugin(contract: &str, version: &str, flushes: bool) -> Vec<u8> {
    let log = "(module\n  (import \"wasmill:plugin/logging@0.2.0\" \"log\" (func $log (param i32 i32 i32)))";
    let flush = "\n  (import \"wasmill:plugin/logging@0.2.0\" \"flush\" (func $flush))";
    let module = PASS_ON.replace("(module", &format!("{log}{}", if flushes { flush } else { "" }));
    let module = module.replace(";; in describe", "(call $log (i32.const 1) (i32.const 1024) (i32.const 7))");
    let module = if flushes { module.replace(";; in process", "(call $flush)") } else { module };
    encode::component(&module.replace("@0.2.0", &format!("@{version}")), contract, "transform-plugin").unwrap()
}

fn rows() -> RecordBatch {
    RecordBatch::try_from_iter([("ind", Arc::new(Int64Array::from(vec![1, 2, 3])) as _)]).unwrap()
}

fn load(wasm: &[u8]) -> Result<wasmill_host::Plugin, HostError> {
    Host::builder().build().unwrap().load_bytes("plugin.wasm", wasm)
}

#[test]
fn a_plugin_of_the_next_version_runs_in_this_host() {
    let plugin = load(&plugin(&next_contract(), "0.2.1", false)).unwrap();
    assert!(plugin.exports().iter().all(|export| export.ends_with("@0.2.1")), "{:?}", plugin.exports());
    let transform = plugin.open(&json!({})).transform(rows().schema()).unwrap();
    let processed = transform.instance().unwrap().process(&rows()).unwrap();
    assert_eq!(processed.outputs[0].records.column(0), rows().column(0));
}

#[test]
fn what_the_next_version_has_more_is_a_fault_when_it_is_called() {
    let plugin = load(&plugin(&next_contract(), "0.2.1", true)).unwrap();
    let transform = plugin.open(&json!({})).on_fault(OnFault::Stop).transform(rows().schema()).unwrap();
    let error = transform.instance().unwrap().process(&rows()).unwrap_err();
    let HostError::Fault { kind, message, .. } = error else { panic!("{error}") };
    assert_eq!(kind, FaultKind::Forbidden);
    assert_eq!(message, "it requested wasmill:plugin/logging#flush, and a plugin has no access to that");
}

/// A host of the next version is one that defines its imports and looks up its exports under that version.
#[test]
fn a_plugin_of_this_version_runs_in_a_host_of_the_next() {
    let engine = Engine::default();
    let component = Component::new(&engine, plugin(CONTRACT, "0.2.0", false)).unwrap();
    let mut linker: Linker<Vec<String>> = Linker::new(&engine);
    linker.instance("wasmill:plugin/types@0.2.1").unwrap();
    let mut logging = linker.instance("wasmill:plugin/logging@0.2.1").unwrap();
    logging
        .func_new("log", |mut store: StoreContextMut<'_, Vec<String>>, _, arguments, _| {
            let [Val::Enum(_), Val::String(line)] = arguments else { panic!("{arguments:?}") };
            store.data_mut().push(line.clone());
            Ok(())
        })
        .unwrap();
    logging.func_new("flush", |_, _, _, _| Ok(())).unwrap();
    let mut store = Store::new(&engine, Vec::new());
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let function = |store: &mut Store<Vec<String>>, interface: &str, name: &str| {
        let interface = instance.get_export_index(&mut *store, None, interface).unwrap();
        let index = instance.get_export_index(&mut *store, Some(&interface), name).unwrap();
        instance.get_func(&mut *store, index).unwrap()
    };
    function(&mut store, "wasmill:plugin/transform@0.2.1", "process");
    let describe = function(&mut store, "wasmill:plugin/about@0.2.1", "describe");
    let mut results = [Val::Bool(false)];
    describe.call(&mut store, &[], &mut results).unwrap();
    let [Val::Record(fields)] = &results else { panic!("{results:?}") };
    assert_eq!(fields[0], ("name".to_owned(), Val::String("pass-on".to_owned())));
    assert_eq!(store.data(), &["pass-on"]);
}
