//! Builds the hostile guest once, writes modes into it, and spells the configurations that tell it what to do.
#![allow(dead_code)]

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arrow_array::{Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use serde_json::{Value, json};
use wasmill_host::{Encoding, FaultPolicy, Host, Limits, Plugin, boundary};

const MARK: &[u8] = b"hostile-mode:";
const MODE_ROOM: usize = 256;

/// The guest as it was built: it echoes its input unless its configuration says otherwise.
pub fn guest() -> &'static [u8] {
    static GUEST: OnceLock<Vec<u8>> = OnceLock::new();
    GUEST.get_or_init(|| {
        let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("hostile-guest");
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
        let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["build", "--quiet", "--release", "--package", "hostile-guest", "--target", "wasm32-wasip2", "--target-dir"])
            .arg(&target)
            .current_dir(root)
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .status()
            .expect("cargo can be started");
        assert!(status.success(), "the hostile guest does not build");
        std::fs::read(target.join("wasm32-wasip2/release/hostile_guest.wasm")).expect("the guest was built")
    })
}

/// The guest with a mode written into it.
pub fn guest_in_mode(mode: &str) -> Vec<u8> {
    assert!(MARK.len() + mode.len() <= MODE_ROOM, "the mode is too long");
    let mut bytes = guest().to_vec();
    let places: Vec<usize> = (0..bytes.len() - MODE_ROOM)
        .filter(|&place| bytes[place..].starts_with(MARK) && bytes[place + MARK.len()..][..64] == [b' '; 64])
        .collect();
    let [place] = places.as_slice() else { panic!("the mode can be written to {} places", places.len()) };
    bytes[place + MARK.len()..][..mode.len()].copy_from_slice(mode.as_bytes());
    bytes
}

/// Limits small enough that a hundred attacks are over soon.
pub fn small_limits() -> Limits {
    Limits {
        call: Duration::from_millis(300),
        call_floor: Duration::from_millis(20),
        memory_bytes: 32 << 20,
        table_elements: 10_000,
        output_bytes: 8 << 20,
        output_rows: 100_000,
        log_bytes: 16 << 10,
    }
}

pub fn host() -> Host {
    Host::builder().load_limits(small_limits()).build().expect("a host")
}

/// The guest, loaded once for all tests of a process.
pub fn plugin() -> Plugin {
    static PLUGIN: OnceLock<Plugin> = OnceLock::new();
    PLUGIN.get_or_init(|| host().load_bytes("guest.wasm", guest()).expect("the guest loads")).clone()
}

pub fn json_plugin() -> Plugin {
    static PLUGIN: OnceLock<Plugin> = OnceLock::new();
    PLUGIN.get_or_init(|| host().load_bytes("guest.wasm", &guest_in_mode("json")).expect("the guest loads")).clone()
}

pub fn hex(bytes: &[u8]) -> Value {
    json!({ "hex": bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>() })
}

pub fn schema_bytes(encoding: Encoding, schema: &Schema) -> Value {
    hex(&boundary::encode_schema(encoding, schema))
}

pub fn table_bytes(encoding: Encoding, table: &RecordBatch) -> Value {
    hex(&boundary::encode_table(encoding, table).expect("the table can be encoded"))
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
    let columns = schema_bytes(encoding, schema);
    let count = schema.fields().len();
    json!({
        "needs": columns.clone(),
        "crosses": vec![true; count],
        "ports": [{ "name": "out", "schema": columns, "columns": vec!["computed"; count] }],
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

pub fn policy() -> FaultPolicy {
    FaultPolicy::default()
}
