//! Every decoder of plugin bytes, given bytes at random and good bytes with damage: it answers, never panics, and what it accepts is valid.
//!
//! `WASMILL_FUZZ=1000000` sets the number of cases of each test, `WASMILL_FUZZ=endless` goes on until it is stopped.

use std::sync::Arc;

use arrow_array::builder::{Int64Builder, ListBuilder, MapBuilder, StringBuilder};
use arrow_array::{Array as _, ArrayRef, BooleanArray, Decimal128Array, Int64Array, RecordBatch, StringArray, StructArray};
use arrow_schema::{DataType, Field, Fields, Schema};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use wasmill_host::{Encoding, boundary};

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

fn check_table(encoding: Encoding, bytes: Vec<u8>) -> Result<(), TestCaseError> {
    let schema = table().schema();
    match boundary::decode_table(encoding, bytes, &schema, 3) {
        Err(error) => prop_assert_ne!(error.to_string(), BELT),
        Ok(batch) => {
            prop_assert_eq!(batch.num_rows(), 3);
            prop_assert_eq!(batch.schema(), schema);
            for column in batch.columns() {
                prop_assert!(column.to_data().validate_full().is_ok());
            }
            // Whatever was accepted can be used: printed, compared, sent on.
            prop_assert!(boundary::encode_table(Encoding::ArrowIpc, &batch).is_ok());
            let _ = boundary::encode_table(Encoding::JsonLines, &batch);
            let printed = format!("{batch:?}");
            prop_assert!(printed.len() < 1 << 20);
        }
    }
    Ok(())
}

fn check_schema(encoding: Encoding, bytes: &[u8]) -> Result<(), TestCaseError> {
    match boundary::decode_schema(encoding, bytes) {
        Err(error) => prop_assert_ne!(error.to_string(), BELT),
        Ok(schema) => {
            let again = boundary::decode_schema(encoding, &boundary::encode_schema(encoding, &schema));
            prop_assert_eq!(again.map(|again| again.fields().clone()), Ok(schema.fields().clone()));
        }
    }
    Ok(())
}

const BOTH: [Encoding; 2] = [Encoding::ArrowIpc, Encoding::JsonLines];

#[test]
fn good_bytes_are_accepted() {
    for encoding in BOTH {
        let bytes = boundary::encode_table(encoding, &table()).unwrap();
        assert_eq!(boundary::decode_table(encoding, bytes, &table().schema(), 3).unwrap(), table());
        let bytes = boundary::encode_schema(encoding, &table().schema());
        assert_eq!(boundary::decode_schema(encoding, &bytes).unwrap().fields(), table().schema().fields());
    }
}

#[test]
fn random_bytes() {
    check(2000, &prop::collection::vec(any::<u8>(), 0..400), |bytes| {
        for encoding in BOTH {
            check_table(encoding, bytes.clone())?;
            check_schema(encoding, &bytes)?;
        }
        Ok(())
    });
}

#[test]
fn damaged_tables() {
    for encoding in BOTH {
        let good = boundary::encode_table(encoding, &table()).unwrap();
        check(6000, &damage(), |damage| check_table(encoding, damaged(good.clone(), &damage)));
    }
}

#[test]
fn damaged_schemas() {
    for encoding in BOTH {
        let good = boundary::encode_schema(encoding, &table().schema());
        check(4000, &damage(), |damage| check_schema(encoding, &damaged(good.clone(), &damage)));
    }
}

#[test]
fn names_that_can_not_be_spelt_in_json_are_refused() {
    let odd = DataType::Struct(Fields::from(vec![Field::new("\u{7f}", DataType::Int64, true)]));
    let bytes = boundary::encode_schema(Encoding::JsonLines, &Schema::new(vec![Field::new("point", odd, true)]));
    assert!(boundary::decode_schema(Encoding::JsonLines, &bytes).is_err());
}

#[test]
fn random_types_in_json() {
    let text = "[A-Z][a-z0-9]{2,9}(\\(([A-Z][a-z0-9]{2,9}|[0-9]{1,3}|\"[a-z]{0,3}\")(, ?[A-Za-z0-9\"µ:]{1,12}){0,3}\\)){0,2}";
    check(4000, &text, |text: String| {
        let schema = serde_json::json!({ "fields": [{ "name": "a", "type": text }] });
        check_schema(Encoding::JsonLines, schema.to_string().as_bytes())
    });
}
