//! CSV, beside the crate `csv`: where both take all of a file, each field is the same.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use wasmill_formats::Format;

use crate::campaign::Target;
use crate::files::{Outcome, read, written};
use crate::json::{integer, text};
use crate::random::Random;

pub struct Csv;

const HEADER: &[u8] = b"a,b,c\n";

fn schema() -> SchemaRef {
    let of = |name: &str, data_type| Field::new(name, data_type, true);
    Arc::new(Schema::new(vec![of("a", DataType::Utf8), of("b", DataType::Int64), of("c", DataType::Utf8)]))
}

impl Target for Csv {
    const NAME: &'static str = "csv";
    const DICTIONARY: &'static [&'static str] = &[
        ",", "\"", "\"\"", "\n", "\r\n", "\r", "\"a\nb\"", "\"x,y\"", ",,", "a,b,c", "1", "-5", "\u{feff}", "é", "😀", " ", "\t", "\0",
        "\"\"\"\"", "\"a\"b", "\\\"",
    ];

    fn check(input: &[u8]) -> Result<String, String> {
        // Any header, for which there is nothing to compare.
        let any = read(Format::Csv, &schema(), input).summary();
        let bytes = [HEADER, input].concat();
        let outcome = read(Format::Csv, &schema(), &bytes);
        if let Some(error) = &outcome.error {
            return Err(format!("bytes behind a header can't end the run: {error}"));
        }
        // A carriage return alone ends a record for that crate.
        let odd = input.iter().enumerate().any(|(at, byte)| *byte == b'\r' && input.get(at + 1) != Some(&b'\n'));
        if !odd {
            agrees(&bytes, &outcome)?;
        }
        Ok(format!("{any}; {}", outcome.summary()))
    }

    fn generate(random: &mut Random) -> Result<Vec<u8>, String> {
        let rows = random.below(12) as usize;
        let some = |random: &mut Random| (random.below(4) > 0).then(|| text(random));
        let a: StringArray = (0..rows).map(|_| some(random)).collect();
        let b: Int64Array = (0..rows).map(|_| (random.below(4) > 0).then(|| integer(random))).collect();
        let c: StringArray = (0..rows).map(|_| some(random)).collect();
        written(Format::Csv, &RecordBatch::try_new(schema(), vec![Arc::new(a), Arc::new(b), Arc::new(c)]).unwrap())
    }

    fn memory(bytes: usize) -> usize {
        (8 << 20) + 200 * bytes
    }
}

/// Where nothing is rejected and that crate finds records of one length, they are the same.
fn agrees(bytes: &[u8], outcome: &Outcome) -> Result<(), String> {
    let mut reader = ::csv::ReaderBuilder::new().has_headers(true).flexible(true).from_reader(bytes);
    let records: Vec<::csv::ByteRecord> =
        reader.byte_records().map(|record| record.map_err(|error| error.to_string())).collect::<Result<_, _>>()?;
    // Quotes within fields, and one that is never closed, are what the two read in ways of their own.
    let quotes = bytes.iter().filter(|byte| **byte == b'"').count();
    let stands_oddly = |pair: &[u8]| pair[0] == b'"' && !b",\"\n\r".contains(&pair[1]) || pair[1] == b'"' && !b",\"\n".contains(&pair[0]);
    let quoted_oddly = quotes % 2 == 1 || bytes.windows(2).any(stands_oddly);
    let has_odd_quotes = quoted_oddly && !outcome.rejects.is_empty();
    if records.iter().any(|record| record.len() != 3) {
        return match outcome.rejects.is_empty() && !quoted_oddly {
            true => Err("records of another number of fields were taken".to_owned()),
            false => Ok(()),
        };
    }
    if has_odd_quotes || !outcome.rejects.is_empty() {
        return rejects_have_reasons(&records, outcome, quoted_oddly);
    }
    if outcome.rows() != records.len() {
        return Err(format!("{} rows, and that crate finds {}", outcome.rows(), records.len()));
    }
    let mut records = records.iter();
    for (batch, _) in &outcome.batches {
        for row in 0..batch.num_rows() {
            let record = records.next().unwrap();
            for (column, name) in [(0, "a"), (2, "c")] {
                let texts = batch.column(column).as_string::<i32>();
                // A field of nothing is null, or an empty text where it was quoted.
                let found = if texts.is_null(row) { "" } else { texts.value(row) };
                if record[column] != *found.as_bytes() {
                    return Err(format!("`{name}` is {:?}, and read as {found:?}", String::from_utf8_lossy(&record[column])));
                }
            }
            let numbers = batch.column(1).as_primitive::<Int64Type>();
            let written = std::str::from_utf8(&record[1]).unwrap();
            if let Ok(number) = written.parse::<i64>()
                && numbers.value(row) != number
            {
                return Err(format!("`b` is {number}, and read as {}", numbers.value(row)));
            }
            if written.is_empty() != numbers.is_null(row) {
                return Err(format!("`b` is {written:?}, and read as {:?}", numbers.slice(row, 1)));
            }
        }
    }
    Ok(())
}

/// With records of the right number of fields and quotes only around fields, only a text that is no number or not UTF-8 is rejected.
fn rejects_have_reasons(records: &[::csv::ByteRecord], outcome: &Outcome, quoted_oddly: bool) -> Result<(), String> {
    let is_wrong = |record: &&::csv::ByteRecord| {
        let number = std::str::from_utf8(&record[1]).ok().is_some_and(|text| text.is_empty() || text.parse::<i64>().is_ok());
        !number || record.iter().any(|field| std::str::from_utf8(field).is_err())
    };
    let wrong = records.iter().filter(is_wrong).count();
    match !quoted_oddly && outcome.rejects.len() > wrong {
        true => Err(format!("{:?}, and {wrong} records have something wrong with them", outcome.rejects)),
        false => Ok(()),
    }
}
