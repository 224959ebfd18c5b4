//! Spells the configurations that tell the hostile guest what to do, and loads it.
#![allow(dead_code)]

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arrow_array::{Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use serde_json::{Value, json};
use wasmill_host::{Aggregate, Encoding, FaultBudget, Host, HostError, Limits, OnFault, Plugin, Transform, boundary};

#[path = "binary.rs"]
mod binary;
pub use binary::{guest, guest_in_mode};

/// Limits small enough that a hundred attacks are over soon.
pub fn small_limits() -> Limits {
    Limits::default()
        .with_call(Duration::from_millis(300))
        .with_call_floor(Duration::from_millis(20))
        .with_memory_bytes(32 << 20)
        .with_table_elements(10_000)
        .with_output_bytes(8 << 20)
        .with_output_rows(100_000)
        .with_log_bytes(16 << 10)
}

pub fn host() -> Host {
    Host::builder().load_limits(small_limits()).build().expect("a host")
}

/// The guest, loaded once for all tests of a process.
pub fn plugin() -> Plugin {
    static PLUGIN: OnceLock<Plugin> = OnceLock::new();
    PLUGIN.get_or_init(|| host().load_bytes("guest.wasm", guest()).expect("the guest loads")).clone()
}

/// The guest that speaks the encoding `columns`.
pub fn columns_plugin() -> Plugin {
    static PLUGIN: OnceLock<Plugin> = OnceLock::new();
    PLUGIN.get_or_init(|| host().load_bytes("guest.wasm", &guest_in_mode("columns")).expect("the guest loads")).clone()
}

/// The same, which takes texts one by one.
pub fn listing_plugin() -> Plugin {
    static PLUGIN: OnceLock<Plugin> = OnceLock::new();
    PLUGIN.get_or_init(|| host().load_bytes("guest.wasm", &guest_in_mode("columns;listed")).expect("the guest loads")).clone()
}

pub fn hex(bytes: &[u8]) -> Value {
    json!({ "hex": bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>() })
}

pub fn schema_bytes(schema: &Schema) -> Value {
    hex(&boundary::ipc::encode_schema(schema))
}

pub fn table_bytes(table: &RecordBatch) -> Value {
    let mut bytes = Vec::new();
    boundary::ipc::encode_table(table, &mut bytes).expect("the table can be encoded");
    hex(&bytes)
}

/// A schema as the guest writes it in the encoding `columns`.
pub fn fields(schema: &Schema) -> Value {
    let fields = boundary::columns::write_schema(schema).into_iter();
    fields.map(|field| json!({ "name": field.name, "type": field.data_type, "nullable": field.nullable })).collect()
}

/// The input of most tests: `ind: Int64`, `title: Utf8`.
pub fn input_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("ind", DataType::Int64, true), Field::new("title", DataType::Utf8, true)]))
}

/// Rows `0..rows`, titled `pin 0` and so on.
pub fn input(rows: usize) -> RecordBatch {
    let ind = Int64Array::from_iter_values(0..rows as i64);
    let title = StringArray::from_iter_values((0..rows).map(|row| format!("pin {row} of mine;")));
    RecordBatch::try_new(input_schema(), vec![Arc::new(ind), Arc::new(title)]).expect("the columns fit")
}

/// The configuration of an echo of these columns: all cross, all come back computed.
pub fn echo(encoding: Encoding, schema: &Schema) -> Value {
    let (needs, port, columns) = match encoding {
        Encoding::ArrowIpc => ("needs", "schema", schema_bytes(schema)),
        Encoding::Columns => ("fields", "fields", fields(schema)),
    };
    let count = schema.fields().len();
    json!({
        needs: columns.clone(),
        "crosses": vec![true; count],
        "ports": [{ "name": "out", port: columns, "columns": vec!["computed"; count] }],
    })
}

/// The echo of [`input`] in Arrow, with some members added or replaced.
pub fn echo_with(members: Value) -> Value {
    let mut config = echo(Encoding::ArrowIpc, &input_schema());
    merge(&mut config, members);
    config
}

pub fn merge(config: &mut Value, members: Value) {
    let (Value::Object(config), Value::Object(members)) = (config, members) else { panic!("objects are merged") };
    config.extend(members);
}

/// What faults lead to.
#[derive(Clone, Copy)]
pub struct Policy {
    on_fault: OnFault,
    faults: FaultBudget,
}

/// Guilty records are rejected.
pub fn policy() -> Policy {
    rejecting(FaultBudget::default())
}

/// Guilty records are rejected, up to a number.
pub fn rejecting(faults: FaultBudget) -> Policy {
    Policy { on_fault: OnFault::Reject, faults }
}

/// The first fault is an error.
pub fn stopping() -> Policy {
    Policy { on_fault: OnFault::Stop, ..policy() }
}

pub fn opened(plugin: &Plugin, config: &Value, input: SchemaRef, limits: Limits, policy: Policy) -> Result<Transform, HostError> {
    plugin.open(config).limits(limits).on_fault(policy.on_fault).fault_budget(policy.faults).transform(input)
}

/// An aggregate of [`input`] in the encoding `columns`: it adds up `ind` and counts rows. Some members of `aggregate` are added or replaced.
pub fn sums_with(members: Value) -> Value {
    let fields_of = |names: [&str; 2]| fields(&Schema::new(names.map(|name| Field::new(name, DataType::Int64, true)).to_vec()));
    let mut aggregate = json!({ "state_fields": fields_of(["sum", "rows"]), "output_fields": fields_of(["total", "count"]) });
    merge(&mut aggregate, members);
    json!({ "fields": fields(&input_schema()), "crosses": [true, true], "aggregate": aggregate })
}

pub fn aggregating(plugin: &Plugin, config: &Value, limits: Limits, policy: Policy) -> Result<Aggregate, HostError> {
    plugin.open(config).limits(limits).on_fault(policy.on_fault).fault_budget(policy.faults).aggregate(input_schema())
}
