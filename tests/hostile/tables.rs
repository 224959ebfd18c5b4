//! Tables and schemas that are wrong in one way each.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_ipc::root_as_message;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, Field, Schema};
use serde_json::{Value, json};
use wasmill_host::boundary;

use crate::support::{hex, input, input_schema, schema_bytes, table_bytes};

/// A good table of the echo.
pub fn good_table(rows: usize) -> Value {
    table_bytes(&input(rows))
}

fn good_bytes() -> Vec<u8> {
    let mut bytes = Vec::new();
    boundary::ipc::encode_table(&input(10), &mut bytes).unwrap();
    bytes
}

/// Where the metadata begins in a message.
const PREFIX: usize = 8;

fn metadata_end(bytes: &[u8]) -> usize {
    PREFIX + u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize
}

/// Overwrites the offset (`part` 0) or the length (`part` 1) of a buffer.
fn with_buffer(index: usize, part: usize, value: i64) -> Vec<u8> {
    with_struct(index, part, value, |batch| batch.buffers().unwrap().bytes().as_ptr())
}

/// Overwrites the length (`part` 0) or the null count (`part` 1) of a column's node.
fn with_node(index: usize, part: usize, value: i64) -> Vec<u8> {
    with_struct(index, part, value, |batch| batch.nodes().unwrap().bytes().as_ptr())
}

fn with_struct(index: usize, part: usize, value: i64, start: impl Fn(arrow_ipc::RecordBatch<'_>) -> *const u8) -> Vec<u8> {
    let mut bytes = good_bytes();
    let metadata = &bytes[PREFIX..metadata_end(&bytes)];
    let batch = root_as_message(metadata).unwrap().header_as_record_batch().unwrap();
    let place = PREFIX + (start(batch) as usize - metadata.as_ptr() as usize) + 16 * index + 8 * part;
    bytes[place..place + 8].copy_from_slice(&value.to_le_bytes());
    bytes
}

/// Overwrites bytes of a buffer: 0 and 1 are mask and values of `ind`, 2 to 4 mask, offsets and bytes of `title`.
fn with_body(buffer: usize, at: usize, value: &[u8]) -> Vec<u8> {
    let mut bytes = good_bytes();
    let end = metadata_end(&bytes);
    let batch = root_as_message(&bytes[PREFIX..end]).unwrap().header_as_record_batch().unwrap();
    let place = end + batch.buffers().unwrap().get(buffer).offset() as usize + at;
    bytes[place..place + value.len()].copy_from_slice(value);
    bytes
}

fn answer(columns: Value) -> Value {
    json!({ "outputs": [{ "columns": columns }] })
}

/// Tables that `process` answers with, and schemas that `prepare` and `open` answer with.
pub fn bad_tables() -> Vec<(&'static str, Value)> {
    let mut attacks = bad_bytes();
    attacks.extend(bad_shapes());
    attacks.extend(bad_schemas());
    attacks
}

fn bad_bytes() -> Vec<(&'static str, Value)> {
    let good = good_bytes();
    let cut = |length: usize| hex(&good[..length]);
    let end = metadata_end(&good);
    let mut long_metadata = good.clone();
    long_metadata[4..8].copy_from_slice(&0x7fff_ffff_u32.to_le_bytes());
    let mut negative_metadata = good.clone();
    negative_metadata[4..8].copy_from_slice(&(-8_i32).to_le_bytes());
    let mut trailing = good.clone();
    trailing.extend_from_slice(&[0; 64]);
    let mut scrambled = good.clone();
    scrambled[PREFIX..PREFIX + 40].fill(0xff);
    vec![
        ("ipc-garbage", answer(json!({ "text": "this is no Arrow message at all" }))),
        ("ipc-nothing", answer(json!({ "text": "" }))),
        ("ipc-cut-in-the-body", answer(cut(good.len() - 16))),
        ("ipc-cut-in-the-metadata", answer(cut(end / 2))),
        ("ipc-metadata-longer-than-the-message", answer(hex(&long_metadata))),
        ("ipc-metadata-of-negative-length", answer(hex(&negative_metadata))),
        ("ipc-trailing-bytes", answer(hex(&trailing))),
        ("ipc-scrambled-metadata", answer(hex(&scrambled))),
        ("ipc-buffer-outside-of-the-body", answer(hex(&with_buffer(1, 0, 1 << 40)))),
        ("ipc-buffer-at-a-negative-offset", answer(hex(&with_buffer(1, 0, -8)))),
        ("ipc-buffer-that-is-too-short", answer(hex(&with_buffer(1, 1, 8)))),
        ("ipc-buffer-of-endless-length", answer(hex(&with_buffer(4, 1, i64::MAX)))),
        ("ipc-buffers-that-overlap", answer(hex(&with_buffer(0, 1, good.len() as i64 - end as i64)))),
        ("ipc-offsets-that-decrease", answer(hex(&with_body(3, 8, &0_i32.to_le_bytes())))),
        ("ipc-offsets-out-of-range", answer(hex(&with_body(3, 40, &i32::MAX.to_le_bytes())))),
        ("ipc-negative-offsets", answer(hex(&with_body(3, 0, &(-4_i32).to_le_bytes())))),
        ("ipc-invalid-utf-8", answer(hex(&with_body(4, 3, &[0xff, 0xfe])))),
        ("ipc-column-of-another-length", answer(hex(&with_node(1, 0, 9)))),
        ("ipc-column-of-endless-length", answer(hex(&with_node(0, 0, i64::MAX)))),
        ("ipc-column-of-negative-length", answer(hex(&with_node(0, 0, -1)))),
        ("ipc-more-nulls-than-rows", answer(hex(&with_node(0, 1, 11)))),
        ("ipc-nulls-without-a-mask", answer(hex(&with_node(0, 1, 5)))),
    ]
}

fn bad_shapes() -> Vec<(&'static str, Value)> {
    let table = |columns: Vec<(&str, ArrayRef)>| answer(table_bytes(&RecordBatch::try_from_iter(columns).unwrap()));
    let ind = || Arc::new(Int64Array::from_iter_values(0..10)) as ArrayRef;
    let title = || Arc::new(StringArray::from(vec!["x"; 10])) as ArrayRef;
    let mask = RecordBatch::try_new(
        Arc::new(Schema::new(vec![Field::new("title", DataType::Boolean, true)])),
        vec![Arc::new(BooleanArray::from(vec![None; 10]))],
    );
    let required = Schema::new(vec![Field::new("ind", DataType::Int64, false), Field::new("title", DataType::Utf8, true)]);
    let nulls = RecordBatch::try_from_iter([("ind", Arc::new(Int64Array::from(vec![None; 10])) as ArrayRef), ("title", title())]).unwrap();
    vec![
        ("table-of-fewer-rows", answer(good_table(9))),
        ("table-of-more-rows-than-origins", json!({ "outputs": [{ "columns": good_table(10), "origins": [0, 1] }] })),
        ("table-with-a-column-less", table(vec![("ind", ind())])),
        ("table-with-a-column-more", table(vec![("ind", ind()), ("title", title()), ("more", ind())])),
        ("table-of-other-types", table(vec![("ind", title()), ("title", Arc::new(Float64Array::from(vec![0.5; 10])))])),
        ("schema-instead-of-a-table", answer(schema_bytes(&input_schema()))),
        ("dictionary-instead-of-a-table", answer(hex(&dictionary_message()))),
        (
            "mask-with-nulls",
            json!({
                "ports": [{ "name": "out", "schema": schema_bytes(&input_schema()), "columns": ["input 0", "nulled 1"] }],
                "outputs": [{ "columns": table_bytes(&mask.unwrap()) }],
            }),
        ),
        (
            "nulls-in-a-column-that-has-none",
            json!({
                "ports": [{ "name": "out", "schema": schema_bytes(&required), "columns": ["computed", "computed"] }],
                "outputs": [{ "columns": table_bytes(&nulls) }],
            }),
        ),
    ]
}

/// The dictionary message of a stream, with an index in the batch after it that the dictionary does not have; the host takes neither.
fn dictionary_message() -> Vec<u8> {
    let keys: DictionaryArray<arrow_array::types::Int8Type> = vec!["a", "b"].into_iter().collect();
    let batch = RecordBatch::try_from_iter([("title", Arc::new(keys) as ArrayRef)]).unwrap();
    let mut stream = Vec::new();
    let mut writer = StreamWriter::try_new(&mut stream, &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    let schema_end = metadata_end(&stream);
    let dictionary = &stream[schema_end..];
    let end = metadata_end(dictionary);
    let body = root_as_message(&dictionary[PREFIX..end]).unwrap().bodyLength() as usize;
    dictionary[..end + body].to_vec()
}

fn bad_schemas() -> Vec<(&'static str, Value)> {
    let port = |schema: Value, columns: Value| json!({ "ports": [{ "name": "out", "schema": schema, "columns": columns }] });
    let of = |fields: Vec<Field>| schema_bytes(&Schema::new(fields));
    let dictionary = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8));
    let mut deep = DataType::Int64;
    for _ in 0..40 {
        deep = DataType::List(Arc::new(Field::new("item", deep, true)));
    }
    let ind = Field::new("ind", DataType::Int64, true);
    let good = schema_bytes(&input_schema());
    vec![
        ("needs-of-garbage", json!({ "needs": { "text": "garbage" } })),
        ("needs-of-another-number", json!({ "crosses": [true] })),
        ("needs-with-a-column-twice", json!({ "needs": of(vec![ind.clone(), ind.clone()]) })),
        ("needs-what-is-not-there", json!({ "needs": of(vec![Field::new("secret", DataType::Utf8, true)]), "crosses": [true] })),
        ("peek-at-numbers", json!({ "crosses": [["1"], true] })),
        ("peek-for-too-much", json!({ "crosses": [true, vec!["x"; 1001]] })),
        ("no-ports", json!({ "ports": [] })),
        ("port-schema-of-garbage", port(json!({ "text": "garbage" }), json!(["computed"]))),
        ("port-with-a-dictionary", port(of(vec![Field::new("title", dictionary, true)]), json!(["computed"]))),
        ("port-of-a-type-that-does-not-cross", port(of(vec![Field::new("t", DataType::LargeUtf8, true)]), json!(["computed"]))),
        ("port-of-types-too-deep", port(of(vec![Field::new("deep", deep, true)]), json!(["computed"]))),
        ("port-of-an-impossible-decimal", port(of(vec![Field::new("d", DataType::Decimal128(200, 5), true)]), json!(["computed"]))),
        ("port-with-sources-missing", port(good.clone(), json!(["computed"]))),
        ("port-from-no-such-column", port(of(vec![ind.clone()]), json!(["input 9"]))),
        ("port-with-nulls-from-no-such-column", port(of(vec![ind.clone()]), json!(["except 9 x"]))),
        ("port-with-numbers-that-are-texts", port(of(vec![ind.clone()]), json!(["except 0 1"]))),
        ("port-that-forbids-nulls-that-it-makes", port(of(vec![Field::new("title", DataType::Utf8, false)]), json!(["except 1 x"]))),
        (
            "port-with-too-many-texts-that-mean-null",
            port(of(vec![Field::new("title", DataType::Utf8, true)]), json!([format!("except 1 {}", "|".repeat(10_000))])),
        ),
        ("port-that-changes-a-type", port(of(vec![Field::new("title", DataType::Int64, true)]), json!(["input 1"]))),
        ("port-that-forbids-nulls-that-come", port(of(vec![Field::new("ind", DataType::Int64, false)]), json!(["input 0"]))),
        (
            "two-ports-of-one-name",
            json!({ "ports": [{ "name": "out", "schema": good, "columns": ["computed", "computed"] }, { "name": "out", "schema": good, "columns": ["computed", "computed"] }] }),
        ),
        ("port-name-with-escapes", json!({ "ports": [{ "name": "\u{1b}[2J", "schema": good, "columns": ["computed", "computed"] }] })),
    ]
}

/// A row that is sent out a hundred thousand times by forty columns.
pub fn repeated_rows() -> Value {
    let fields: Vec<Field> = (0..40).map(|column| Field::new(format!("copy_{column}"), DataType::Utf8, true)).collect();
    json!({
        "ports": [{ "name": "out", "schema": schema_bytes(&Schema::new(fields)), "columns": vec!["input 1"; 40] }],
        "outputs": [{ "many_origins": 100_000 }],
    })
}

/// Each of these ports repeats a row until it has nearly all the bytes that an answer may have.
pub fn many_ports_of_repeated_rows(ports: usize) -> Value {
    let fields: Vec<Field> = (0..20).map(|column| Field::new(format!("copy_{column}"), DataType::Utf8, true)).collect();
    let schema = schema_bytes(&Schema::new(fields));
    let port = |index: usize| json!({ "name": format!("out_{index}"), "schema": schema, "columns": vec!["input 1"; 20] });
    let output = |index: usize| json!({ "port": index, "many_origins": 20_000 });
    json!({ "ports": (0..ports).map(port).collect::<Vec<_>>(), "outputs": (0..ports).map(output).collect::<Vec<_>>() })
}

/// An answer in the encoding `columns`: computed columns `c0`, `c1` … of these types, by one port, in so many rows that all come from row 0.
pub fn made_answer(types: &[&str], rows: usize, separator: &str, columns: &Value) -> Value {
    let field = |(index, name): (usize, &&str)| json!({ "name": format!("c{index}"), "type": name });
    let needs = json!([{ "name": "ind", "type": "Int64" }, { "name": "title", "type": "Utf8" }]);
    json!({
        "fields": needs,
        "crosses": [true, true],
        "ports": [{
            "name": "out",
            "fields": types.iter().enumerate().map(field).collect::<Vec<_>>(),
            "columns": vec!["computed"; types.len()],
        }],
        "outputs": [{ "made": { "separator": separator, "columns": columns }, "many_origins": rows }],
    })
}

/// Bytes of columns for a port that computes none.
pub fn bytes_for_nothing() -> Value {
    json!({
        "ports": [{ "name": "out", "schema": schema_bytes(&input_schema()), "columns": ["input 0", "input 1"] }],
        "outputs": [{ "columns": { "zeros": 5 } }],
    })
}
