//! Parquet files with damage in their footer, headers and pages: an error, or valid rows. Nothing in the format guards its pages, so that other values may come out of them.

use std::sync::Arc;

use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Decimal128Array, Int64Array, ListArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use wasmill_formats::Format;

use crate::campaign::Target;
use crate::files::{read, written};
use crate::json::{integer, text};
use crate::random::Random;

pub struct Parquet;

fn schema() -> SchemaRef {
    let of = |name: &str, data_type| Field::new(name, data_type, true);
    Arc::new(Schema::new(vec![
        of("a", DataType::Int64),
        of("b", DataType::Utf8),
        of("t", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
        of("d", DataType::Decimal128(20, 3)),
        of("e", DataType::new_list(DataType::Int64, true)),
    ]))
}

impl Target for Parquet {
    const NAME: &'static str = "parquet";
    const DICTIONARY: &'static [&'static str] =
        &["PAR1", "a", "b", "list", "element", "ARROW:schema", "\u{1}", "\u{15}\u{2}", "\u{19}", "\0\0\0\0", "\u{7f}\u{7f}\u{7f}\u{7f}"];

    fn check(input: &[u8]) -> Result<String, String> {
        let outcome = read(Format::Parquet, &schema(), input);
        // A run that goes on has said what it could not read.
        match outcome.error.as_deref().is_some_and(str::is_empty) {
            true => Err("an error without a word".to_owned()),
            false => Ok(outcome.summary()),
        }
    }

    fn generate(random: &mut Random) -> Result<Vec<u8>, String> {
        let rows = 1 + random.below(30) as usize;
        fn some<T>(random: &mut Random, value: impl FnOnce(&mut Random) -> T) -> Option<T> {
            (random.below(4) > 0).then(|| value(random))
        }
        let a: Int64Array = (0..rows).map(|_| some(random, integer)).collect();
        let b: StringArray = (0..rows).map(|_| some(random, text)).collect();
        let t: TimestampMicrosecondArray = (0..rows).map(|_| some(random, integer)).collect();
        let d: Decimal128Array = (0..rows).map(|_| some(random, |random| i128::from(integer(random)))).collect();
        let lists = (0..rows).map(|_| some(random, |random| (0..random.below(4)).map(|_| some(random, integer)).collect::<Vec<_>>()));
        let e = ListArray::from_iter_primitive::<Int64Type, _, _>(lists.collect::<Vec<_>>());
        let columns: Vec<ArrayRef> = vec![
            Arc::new(a),
            Arc::new(b),
            Arc::new(t.with_timezone("UTC")),
            Arc::new(d.with_precision_and_scale(20, 3).unwrap()),
            Arc::new(e),
        ];
        written(Format::Parquet, &RecordBatch::try_new(schema(), columns).unwrap())
    }

    fn memory(bytes: usize) -> usize {
        // Of a file of some KiB, whatever it claims to hold.
        (256 << 20) + 1_000 * bytes
    }
}
