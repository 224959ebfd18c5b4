//! Every decoder of plugin bytes, given bytes at random and good bytes with damage: it answers, never panics, and what it accepts is valid.
//!
//! `WASMILL_FUZZ=1000000` sets the number of cases of each test, `WASMILL_FUZZ=endless` goes on until it is stopped.

use std::sync::Arc;

use arrow_array::builder::{Int64Builder, ListBuilder, MapBuilder, StringBuilder};
use arrow_array::{Array as _, ArrayRef, BooleanArray, Decimal128Array, Int64Array, RecordBatch, StringArray, StructArray};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use wasmill_host::boundary::budget::Budget;
use wasmill_host::boundary::columns::{self, FieldText, MadeCells, MadeColumn, MadeTable, Places, Spreading, TextForm};
use wasmill_host::boundary::{DecodeError, ipc};

/// What the host says when arrow panicked inside a decoder. The checks before arrow are meant to leave it no reason to.
const BELT: &str = "the bytes break an assumption of the decoder";

fn check<S: Strategy>(cases: u32, strategy: &S, test: impl Fn(S::Value) -> Result<(), TestCaseError>)
where
    S::Value: Clone,
{
    let (cases, endless) = match std::env::var("WASMILL_FUZZ").as_deref() {
        Ok("endless") => (100_000, true),
        Ok(cases) => (cases.parse().expect("WASMILL_FUZZ is a number or `endless`"), false),
        Err(_) => (cases, false),
    };
    loop {
        let config = Config { cases, failure_persistence: None, ..Config::default() };
        let mut runner = if endless { TestRunner::new(config) } else { TestRunner::new_with_rng(config, seeded()) };
        if let Err(error) = runner.run(strategy, &test) {
            panic!("{error}");
        }
        if !endless {
            return;
        }
    }
}

/// The same cases in every run of the tests; endless runs draw new ones.
fn seeded() -> proptest::test_runner::TestRng {
    proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha)
}

fn table() -> RecordBatch {
    let mut lists = ListBuilder::new(StringBuilder::new());
    lists.append_value([Some("a"), None]);
    lists.append_null();
    lists.append_value([Some("ccc")]);
    let mut maps = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    for key in ["x", "y", "z"] {
        maps.keys().append_value(key);
        maps.values().append_value(1);
        maps.append(true).unwrap();
    }
    let point = StructArray::new(
        Fields::from(vec![Field::new("x", DataType::Int64, true)]),
        vec![Arc::new(Int64Array::from(vec![Some(1), None, Some(3)])) as ArrayRef],
        Some(vec![true, true, false].into()),
    );
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("ind", Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]))),
        ("title", Arc::new(StringArray::from(vec![Some("one"), Some("zwei"), None]))),
        ("video", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
        ("price", Arc::new(Decimal128Array::from(vec![Some(125), None, Some(-1)]).with_precision_and_scale(10, 2).unwrap())),
        ("tags", Arc::new(lists.finish())),
        ("counts", Arc::new(maps.finish())),
        ("point", Arc::new(point)),
    ];
    let fields: Vec<Field> = columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, array)| array).collect()).unwrap()
}

/// A place in a text of any length, and what to do there.
#[derive(Debug, Clone)]
enum Damage {
    Set(u16, u8),
    Word(u16, i64),
    Cut(u16),
    Remove(u16, u8),
    Repeat(u16, u8),
}

fn damage() -> impl Strategy<Value = Vec<Damage>> {
    let word = prop_oneof![Just(-1), Just(0), Just(1), Just(i64::MAX), Just(i64::MIN), -16_i64..4096, any::<i64>()];
    let one = prop_oneof![
        4 => (any::<u16>(), any::<u8>()).prop_map(|(place, byte)| Damage::Set(place, byte)),
        4 => (any::<u16>(), word).prop_map(|(place, word)| Damage::Word(place, word)),
        1 => any::<u16>().prop_map(Damage::Cut),
        1 => (any::<u16>(), any::<u8>()).prop_map(|(place, length)| Damage::Remove(place, length)),
        1 => (any::<u16>(), any::<u8>()).prop_map(|(place, length)| Damage::Repeat(place, length)),
    ];
    prop::collection::vec(one, 1..4)
}

fn damaged(mut bytes: Vec<u8>, damage: &[Damage]) -> Vec<u8> {
    for damage in damage {
        if bytes.is_empty() {
            break;
        }
        let place = |at: u16| usize::from(at) % bytes.len();
        let end = |at: u16, length: u8| (place(at) + usize::from(length)).min(bytes.len());
        match *damage {
            Damage::Set(at, byte) => {
                let at = place(at);
                bytes[at] = byte;
            }
            Damage::Word(at, word) => {
                // Lengths and offsets lie at multiples of eight.
                let at = place(at) & !7;
                let room = (bytes.len() - at).min(8);
                bytes[at..at + room].copy_from_slice(&word.to_le_bytes()[..room]);
            }
            Damage::Cut(at) => bytes.truncate(place(at)),
            Damage::Remove(at, length) => {
                let range = place(at)..end(at, length);
                bytes.drain(range);
            }
            Damage::Repeat(at, length) => {
                let part = bytes[place(at)..end(at, length)].to_vec();
                let at = place(at);
                bytes.splice(at..at, part);
            }
        }
    }
    bytes
}

fn arrow_table(table: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    ipc::encode_table(table, &mut bytes).unwrap();
    bytes
}

/// Whatever was accepted can be used: printed, compared, sent on.
fn check_accepted(batch: &RecordBatch, schema: &SchemaRef) -> Result<(), TestCaseError> {
    prop_assert_eq!(batch.num_rows(), 3);
    prop_assert_eq!(&batch.schema(), schema);
    for column in batch.columns() {
        prop_assert!(column.to_data().validate_full().is_ok());
    }
    prop_assert!(ipc::encode_table(batch, &mut Vec::new()).is_ok());
    let _ = columns::encode(batch, TextForm::Joined);
    let printed = format!("{batch:?}");
    prop_assert!(printed.len() < 1 << 20);
    Ok(())
}

fn check_table(bytes: Vec<u8>) -> Result<(), TestCaseError> {
    let schema = table().schema();
    match ipc::decode_table(bytes, &schema, 3) {
        Err(error) => prop_assert_ne!(error.to_string(), BELT),
        Ok(batch) => check_accepted(&batch, &schema)?,
    }
    Ok(())
}

fn check_schema(bytes: &[u8]) -> Result<(), TestCaseError> {
    match ipc::decode_schema(bytes) {
        Err(error) => prop_assert_ne!(error.to_string(), BELT),
        Ok(schema) => {
            let again = ipc::decode_schema(&ipc::encode_schema(&schema));
            prop_assert_eq!(again.map(|again| again.fields().clone()), Ok(schema.fields().clone()));
        }
    }
    Ok(())
}

#[test]
fn good_bytes_are_accepted() {
    assert_eq!(ipc::decode_table(arrow_table(&table()), &table().schema(), 3).unwrap(), table());
    assert_eq!(ipc::decode_schema(&ipc::encode_schema(&table().schema())).unwrap().fields(), table().schema().fields());
    let fields = columns::write_schema(&table().schema());
    assert_eq!(columns::read_schema(&fields).unwrap().fields(), table().schema().fields());
    assert_eq!(decode_made(&made()).unwrap(), table());
}

#[test]
fn random_bytes() {
    check(2000, &prop::collection::vec(any::<u8>(), 0..400), |bytes| {
        check_table(bytes.clone())?;
        check_schema(&bytes)
    });
}

#[test]
fn damaged_tables() {
    let good = arrow_table(&table());
    check(6000, &damage(), |damage| check_table(damaged(good.clone(), &damage)));
}

#[test]
fn damaged_schemas() {
    let good = ipc::encode_schema(&table().schema());
    check(4000, &damage(), |damage| check_schema(&damaged(good.clone(), &damage)));
}

/// The table as a plugin may return it in the encoding `columns`: a column in each form.
fn made() -> MadeTable {
    let json = |text: &str| MadeCells::Json(text.to_owned());
    let column = |cells: MadeCells, valid: &str| MadeColumn { cells, valid: valid.to_owned() };
    MadeTable {
        separator: "|".to_owned(),
        columns: vec![
            column(json("[1,null,3]"), ""),
            column(MadeCells::Text("one|zwei|".to_owned()), "110"),
            column(MadeCells::Mask("110".to_owned()), "101"),
            column(json("[\"1.25\",null,\"-0.01\"]"), ""),
            column(json("[[\"a\",null],null,[\"ccc\"]]"), ""),
            column(json("[{\"x\":1},{\"y\":1},{\"z\":1}]"), ""),
            column(json("[{\"x\":1},{\"x\":null},null]"), ""),
        ],
    }
}

fn decode_made(made: &MadeTable) -> Result<RecordBatch, DecodeError> {
    // The places of a batch of three rows whose column 1 has two distinct texts and a null.
    let places: Vec<u8> = [1_u32, 2, 0].into_iter().flat_map(u32::to_le_bytes).collect();
    let places = |column| (column == 1).then_some(Places { bytes: &places, count: 3 });
    let spreading = Spreading { places: &places, rows: &|| vec![0, 1, 2] };
    columns::decode(made, &table().schema(), 3, Some(&spreading), &Budget::new(1 << 20))
}

/// The text of a column in the form that this number stands for.
fn reshaped(text: String, form: u8) -> MadeCells {
    match form % 5 {
        0 => MadeCells::Text(text),
        1 => MadeCells::Texts(text.split('|').map(str::to_owned).collect()),
        2 => MadeCells::Json(text),
        3 => MadeCells::Mask(text),
        _ => MadeCells::Spread(u32::from(form % 3), text),
    }
}

#[test]
fn damaged_columns() {
    let one = (0..7_usize, any::<bool>(), damage(), prop::option::weighted(0.3, any::<u8>()));
    check(6000, &one, |(index, of_valid, damage, form)| {
        let mut made = made();
        let damaged = |text: &str| String::from_utf8_lossy(&damaged(text.as_bytes().to_vec(), &damage)).into_owned();
        let column = &mut made.columns[index];
        let (MadeCells::Text(text) | MadeCells::Json(text) | MadeCells::Mask(text)) = &column.cells else { return Ok(()) };
        match (of_valid, form) {
            (true, _) => column.valid = damaged(&column.valid),
            (false, Some(form)) => column.cells = reshaped(damaged(text), form),
            (false, None) => {
                let text = damaged(text);
                column.cells = match &column.cells {
                    MadeCells::Text(_) => MadeCells::Text(text),
                    MadeCells::Mask(_) => MadeCells::Mask(text),
                    _ => MadeCells::Json(text),
                };
            }
        }
        match decode_made(&made) {
            Err(error) => prop_assert_ne!(error.to_string(), BELT),
            Ok(batch) => check_accepted(&batch, &table().schema())?,
        }
        Ok(())
    });
}

#[test]
fn random_columns() {
    let column = (any::<u8>(), "[\\[\\]{}01a|,\":. \\-nul]{0,24}", "[01x]{0,4}");
    let made = (prop::collection::vec(column, 6..9), "[|,]{0,2}");
    check(4000, &made, |(columns, separator)| {
        let column = |(form, text, valid)| MadeColumn { cells: reshaped(text, form), valid };
        let made = MadeTable { separator, columns: columns.into_iter().map(column).collect() };
        match decode_made(&made) {
            Err(error) => prop_assert_ne!(error.to_string(), BELT),
            Ok(batch) => check_accepted(&batch, &table().schema())?,
        }
        Ok(())
    });
}

#[test]
fn names_that_can_not_be_spelt_are_refused() {
    let odd = DataType::Struct(Fields::from(vec![Field::new("\u{7f}", DataType::Int64, true)]));
    let fields = columns::write_schema(&Schema::new(vec![Field::new("point", odd, true)]));
    assert!(columns::read_schema(&fields).is_err());
}

#[test]
fn random_types() {
    let text = "[A-Z][a-z0-9]{2,9}(\\(([A-Z][a-z0-9]{2,9}|[0-9]{1,3}|\"[a-z]{0,3}\")(, ?[A-Za-z0-9\"µ:]{1,12}){0,3}\\)){0,2}";
    check(4000, &text, |text: String| {
        let field = FieldText { name: "a".to_owned(), data_type: text, nullable: true, metadata: Vec::new() };
        match columns::read_schema(&[field]) {
            Err(error) => prop_assert_ne!(error.to_string(), BELT),
            Ok(schema) => {
                let again = columns::read_schema(&columns::write_schema(&schema));
                prop_assert_eq!(again.map(|again| again.fields().clone()), Ok(schema.fields().clone()));
            }
        }
        Ok(())
    });
}
