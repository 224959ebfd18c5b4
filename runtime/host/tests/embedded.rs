//! The plugin of the crate's example.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../../tests/hostile/encode.rs"]
mod encode;

use std::sync::Arc;

use arrow_array::{Int64Array, RecordBatch};
use serde_json::json;
use wasmill_host::Host;

#[test]
fn the_smallest_plugin_passes_a_column_on() {
    let contract = include_str!("../../../wit/wasmill.wit");
    let wasm = encode::component(include_str!("../examples/pass_on.wat"), contract, "transform-plugin").unwrap();
    let plugin = Host::builder().build().unwrap().load_bytes("pass_on.wat", &wasm).unwrap();
    assert_eq!(plugin.imports(), ["wasmill:plugin/types@0.2.0"]);
    let batch = RecordBatch::try_from_iter([("ind", Arc::new(Int64Array::from(vec![1, 2, 3])) as _)]).unwrap();
    let transform = plugin.open(&json!({})).transform(batch.schema()).unwrap();
    let processed = transform.instance().unwrap().process(&batch).unwrap();
    assert_eq!(processed.outputs[0].records.column(0), batch.column(0));
}
