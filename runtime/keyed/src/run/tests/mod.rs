//! Runs: what is written comes back, and nothing else does.

mod damage;
#[path = "../../../tests/support/store.rs"]
mod memory_store;

use std::sync::Arc;

use arrow_array::builder::{Int64Builder, ListBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, BinaryArray, RecordBatch};
use arrow_buffer::{BooleanBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use proptest::prelude::*;

pub use self::memory_store::MemoryStore;
use super::block::Parts;
use super::*;
use crate::key::key_group;

/// An entry in plain Rust. A state row is a number and a list of texts.
pub type StateRow = (Option<i64>, Vec<String>);
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    pub end: i64,
    pub key_group: u8,
    pub key: Vec<u8>,
    pub complete: bool,
    pub rows: Vec<StateRow>,
}

impl Entry {
    pub fn new(end: i64, key: &[u8], complete: bool, rows: Vec<StateRow>) -> Self {
        Self { end, key_group: key_group(key), key: key.to_vec(), complete, rows }
    }
}

pub fn state_schema() -> SchemaRef {
    let item = Field::new("item", DataType::Utf8, true);
    Arc::new(Schema::new(vec![Field::new("number", DataType::Int64, true), Field::new("texts", DataType::List(Arc::new(item)), false)]))
}

pub fn block(entries: &[Entry]) -> Block {
    let rows = || entries.iter().flat_map(|entry| &entry.rows);
    let mut numbers = Int64Builder::new();
    let mut texts = ListBuilder::new(StringBuilder::new());
    for (number, list) in rows() {
        numbers.append_option(*number);
        texts.append_value(list.iter().map(Some));
    }
    let columns: Vec<ArrayRef> = vec![Arc::new(numbers.finish()), Arc::new(texts.finish())];
    Block::new(Parts {
        ends: entries.iter().map(|entry| entry.end).collect(),
        key_groups: entries.iter().map(|entry| entry.key_group).collect(),
        keys: BinaryArray::from_iter_values(entries.iter().map(|entry| &entry.key)),
        complete: entries.iter().map(|entry| entry.complete).collect::<BooleanBuffer>(),
        offsets: OffsetBuffer::from_lengths(entries.iter().map(|entry| entry.rows.len())),
        states: RecordBatch::try_new(state_schema(), columns).unwrap(),
    })
}

/// The entries of a run; those that were cut are one again.
pub fn entries(run: &Run) -> Result<Vec<Entry>> {
    let mut all: Vec<Entry> = Vec::new();
    for index in 0..run.blocks() {
        let block = run.block(index)?;
        let (numbers, texts) = (block.states().column(0).as_primitive::<Int64Type>(), block.states().column(1).as_list::<i32>());
        let row = |row: usize| {
            let list = texts.value(row);
            let list = list.as_string::<i32>().iter().map(|text| text.unwrap().to_owned()).collect();
            (numbers.is_valid(row).then(|| numbers.value(row)), list)
        };
        for entry in 0..block.len() {
            let Place { end, key_group, key } = block.place(entry);
            let complete = block.complete().value(entry);
            let next = Entry { end, key_group, key: key.to_vec(), complete, rows: block.rows(entry).map(row).collect() };
            match all.last_mut() {
                Some(last) if (last.end, &last.key) == (next.end, &next.key) => last.rows.extend(next.rows),
                _ => all.push(next),
            }
        }
    }
    Ok(all)
}

pub fn run_in_memory(all: &[Entry], block_entries: usize) -> Arc<Run> {
    let mut writer = RunWriter::in_memory(state_schema());
    all.chunks(block_entries.max(1)).for_each(|entries| writer.push(block(entries)).unwrap());
    Arc::new(writer.finish().unwrap())
}

pub fn run_in_file(all: &[Entry], block_entries: usize) -> (Arc<Run>, Arc<[u8]>) {
    let to = MemoryStore::default();
    let run = store(&run_in_memory(all, block_entries), &to).unwrap();
    let bytes = Arc::clone(&to.files.lock().unwrap()[0]);
    (run, bytes)
}

pub fn open(bytes: &[u8]) -> Result<Run> {
    Run::open(Arc::new(BytesFile::new("stage/7.run".to_owned(), bytes)), state_schema(), None)
}

fn state_row() -> impl Strategy<Value = StateRow> {
    (prop::option::of(-5..5i64), prop::collection::vec("[a-c]{0,3}", 0..3))
}

/// Sorted entries with unique places.
pub fn sorted_entries(most: usize) -> impl Strategy<Value = Vec<Entry>> {
    let key = prop::collection::vec(0..4u8, 0..4);
    let entry = ((0..4i64).prop_map(|end| end * 10), key, any::<bool>(), prop::collection::vec(state_row(), 0..4));
    prop::collection::vec(entry, 0..most).prop_map(|entries| {
        let mut entries: Vec<Entry> = entries.into_iter().map(|(end, key, complete, rows)| Entry::new(end, &key, complete, rows)).collect();
        entries.sort();
        entries.dedup_by(|one, next| (one.end, &one.key) == (next.end, &next.key));
        entries
    })
}

proptest! {
    #[test]
    fn what_is_written_comes_back(all in sorted_entries(40), block_entries in 1..20usize) {
        let memory = run_in_memory(&all, block_entries);
        prop_assert_eq!(&entries(&memory).unwrap(), &all);
        let (file, bytes) = run_in_file(&all, block_entries);
        prop_assert_eq!(&entries(&file).unwrap(), &all);
        let reopened = open(&bytes).unwrap();
        prop_assert_eq!(&entries(&reopened).unwrap(), &all);
        prop_assert_eq!(reopened.checksum(), file.checksum());
        for run in [&*file, &reopened] {
            prop_assert_eq!((run.entries(), run.windows(), run.last_end()), (all.len() as u64, memory.windows(), memory.last_end()));
        }
    }
}

#[test]
fn blocks_of_a_file_are_small_and_large_keys_are_cut() {
    let long = "x".repeat(600);
    let rows: Vec<StateRow> = (0..10_000).map(|number| (Some(number), if number % 2 == 0 { vec![long.clone()] } else { vec![] })).collect();
    let mut all: Vec<Entry> = (0..9_000_i64).map(|key| Entry::new(5, &key.to_be_bytes(), false, vec![(Some(key), vec![])])).collect();
    all.push(Entry::new(5, b"many rows", true, rows.clone()));
    all.push(Entry::new(5, b"no rows", true, vec![]));
    all.push(Entry::new(5, b"a large row", true, vec![(None, vec![long.repeat(1_000)])]));
    all.sort();
    let (run, bytes) = run_in_file(&all, all.len());
    assert_eq!(entries(&run).unwrap(), all);
    assert!(run.blocks() > 15, "{} blocks", run.blocks());
    for index in 0..run.blocks() {
        let block = run.block(index).unwrap();
        assert!(block.len() <= BLOCK_ROWS && block.states().num_rows() <= BLOCK_ROWS);
        assert!(block.content_bytes() <= BLOCK_BYTES || block.states().num_rows() == 1);
    }
    assert!(bytes.len() < 300_000, "{} bytes", bytes.len());
    assert_eq!(run.rows(), 9_000 + 10_000 + 1);
}

#[test]
fn a_stage_without_state_columns_has_runs_too() {
    let schema: SchemaRef = Arc::new(Schema::empty());
    let mut writer = RunWriter::in_file(Arc::clone(&schema), &MemoryStore::default()).unwrap();
    let keys: Vec<&[u8]> = vec![b"a", b"b"];
    let mut order: Vec<(u8, &[u8])> = keys.iter().map(|&key| (key_group(key), key)).collect();
    order.sort();
    let states =
        RecordBatch::try_new_with_options(schema, vec![], &arrow_array::RecordBatchOptions::new().with_row_count(Some(3))).unwrap();
    writer
        .push(Block::new(Parts {
            ends: vec![1, 1].into(),
            key_groups: order.iter().map(|of| of.0).collect(),
            keys: BinaryArray::from_iter_values(order.iter().map(|of| of.1)),
            complete: BooleanBuffer::new_unset(2),
            offsets: OffsetBuffer::from_lengths([2, 1]),
            states,
        }))
        .unwrap();
    let run = writer.finish().unwrap();
    assert_eq!((run.block(0).unwrap().rows(0), run.rows()), (0..2, 3));
}

#[test]
fn states_that_no_run_can_hold_are_refused() {
    let of = |data_type| Schema::new(vec![Field::new("a", data_type, true)]);
    assert!(check_state_schema(&of(DataType::Float64)).is_ok());
    let error = check_state_schema(&of(DataType::Utf8View)).unwrap_err();
    assert_eq!(error.kind(), Some(crate::codes::STATE_TYPE));
    let mut deep = DataType::Int8;
    (0..20).for_each(|_| deep = DataType::List(Arc::new(Field::new("item", deep.clone(), true))));
    assert!(check_state_schema(&of(deep)).is_err());
}

#[test]
fn every_type_that_a_run_can_hold_comes_back() {
    use DataType::*;
    let units = [
        arrow_schema::TimeUnit::Second,
        arrow_schema::TimeUnit::Millisecond,
        arrow_schema::TimeUnit::Microsecond,
        arrow_schema::TimeUnit::Nanosecond,
    ];
    let mut types =
        vec![Null, Boolean, Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64, Float16, Float32, Float64, Date32, Date64];
    types.extend([
        Utf8,
        LargeUtf8,
        Binary,
        LargeBinary,
        FixedSizeBinary(3),
        Decimal32(5, 1),
        Decimal64(10, 2),
        Decimal128(20, 3),
        Decimal256(50, 4),
    ]);
    types.extend(units.map(|unit| Timestamp(unit, Some("UTC".into()))));
    types.extend(units.map(Duration));
    types.extend([Time32(units[0]), Time32(units[1]), Time64(units[2]), Time64(units[3]), Timestamp(units[2], None)]);
    let item = |of: &DataType| Arc::new(Field::new("item", of.clone(), true));
    types.extend([List(item(&Utf8)), LargeList(item(&Int64)), Struct(vec![item(&Int8)].into())]);
    let entries = Struct(vec![Field::new("key", Utf8, false), Field::new("value", Int64, true)].into());
    types.push(Map(Arc::new(Field::new("entries", entries, false)), false));
    let fields: Vec<Field> = types.iter().enumerate().map(|(i, of)| Field::new(format!("c{i}"), of.clone(), true)).collect();
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    // Nulls and default values: what a column holds is arrow's matter, which buffers it has is ours.
    let values = |of: &DataType| {
        let none = arrow_array::new_null_array(of, 2);
        let zeros = arrow_data::ArrayData::new_null(of, 1).into_builder().nulls(None).build().unwrap();
        arrow_select::concat::concat(&[&none, &arrow_array::make_array(zeros)]).unwrap()
    };
    let states = RecordBatch::try_new(Arc::clone(&schema), types.iter().map(values).collect()).unwrap();
    let block = Block::new(Parts {
        ends: vec![3].into(),
        key_groups: vec![key_group(b"k")].into(),
        keys: BinaryArray::from_iter_values([b"k"]),
        complete: BooleanBuffer::new_set(1),
        offsets: OffsetBuffer::from_lengths([3]),
        states: states.clone(),
    });
    let mut writer = RunWriter::in_file(schema, &MemoryStore::default()).unwrap();
    writer.push(block).unwrap();
    assert_eq!(writer.finish().unwrap().block(0).unwrap().states(), &states);
}

/// A run as version 1 wrote it: such runs are in states, and every later version has to read them.
#[test]
fn version_1_is_read() {
    let all = vec![Entry::new(10, b"a", false, vec![(Some(1), vec!["x".into()]), (None, vec![])]), Entry::new(20, b"", true, vec![])];
    let bytes: Vec<u8> = include_str!("version_1.hex").split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    assert_eq!(entries(&open(&bytes).unwrap()).unwrap(), all);
    let (_, now) = run_in_file(&all, 2);
    let footer = |bytes: &[u8]| u64::from_le_bytes(bytes[bytes.len() - 32..][..8].try_into().unwrap());
    assert_eq!((footer(&now), &now[..16], &now[now.len() - 8..]), (footer(&bytes), &bytes[..16], &bytes[bytes.len() - 8..]));
}

#[test]
fn a_block_that_is_held_is_not_read_again() {
    let all: Vec<Entry> = (0..10).map(|end| Entry::new(end, b"key", false, vec![])).collect();
    let (run, _) = run_in_file(&all, 3);
    let block = run.block(1).unwrap();
    assert!(Arc::ptr_eq(&block, &run.block(1).unwrap()));
    assert!(!Arc::ptr_eq(&block, &run.block(2).unwrap()));
    let gone = Arc::downgrade(&block);
    drop(block);
    assert!(gone.upgrade().is_none(), "nobody holds it any more");
    assert_eq!(run.block(1).unwrap().ends(), [3, 4, 5]);
}
