//! Decodes records of CSV straight into columns.

use std::borrow::Cow;
use std::collections::HashMap;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, SchemaRef};
use memchr::memchr;
use wasmill_error::{Error, Result};

use crate::RecordDecoder;
use crate::codes::{MISSING, TWICE};
use crate::columns::{BadRecord, Column, Object, Step};
use crate::json::decode_cell;
use crate::reading::without_reading;

/// How CSV is written.
#[derive(Debug, Clone)]
pub struct CsvOptions {
    /// The delimiter between fields.
    pub delimiter: u8,
    /// The quote around fields that need one.
    pub quote: u8,
    /// Fields that mean null.
    pub null: Vec<String>,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self { delimiter: b',', quote: b'"', null: vec![String::new()] }
    }
}

/// Decodes records of CSV into batches of one schema.
pub struct CsvDecoder {
    schema: SchemaRef,
    options: CsvOptions,
    root: Object,
    rows: usize,
    /// For each field of a record, the column that it goes to.
    targets: Vec<Option<usize>>,
    /// Columns that no field goes to.
    absent: Vec<usize>,
}

impl CsvDecoder {
    /// A decoder of files whose fields have the given names, in order.
    ///
    /// # Errors
    /// Configuration errors: a column's type can't be read from text; the file has none of the
    /// columns; a column is missing that may not be null; or the header names a column twice.
    pub fn new(schema: SchemaRef, header: &[String], options: CsvOptions) -> Result<Self> {
        let root = Object::new(schema.fields())?;
        let mut columns: HashMap<&str, usize> =
            schema.fields().iter().enumerate().map(|(index, field)| (field.name().as_str(), index)).collect();
        let wanted = columns.clone();
        let mut targets = Vec::with_capacity(header.len());
        for name in header {
            let target = columns.remove(name.as_str());
            if target.is_none() && wanted.contains_key(name.as_str()) {
                return Err(Error::configuration(format!("the header names the column {name:?} twice")).code(TWICE));
            }
            targets.push(target);
        }
        let mut absent: Vec<usize> = columns.into_values().collect();
        absent.sort_unstable();
        let needed = absent.iter().map(|&index| schema.field(index)).find(|field| !field.is_nullable());
        let all_absent = absent.len() == schema.fields().len() && !absent.is_empty();
        let missing = needed.or_else(|| all_absent.then(|| schema.field(0)));
        if let Some(field) = missing {
            let error =
                Error::configuration(format!("the header has no column {:?}; it has {}", field.name(), header.join(", "))).code(MISSING);
            return Err(error.hint("is `csv.delimiter` right, and does the file have a header (`csv.header`)?"));
        }
        Ok(Self { schema: without_reading(&schema), options, root, rows: 0, targets, absent })
    }

    fn decode(&mut self, record: &str) -> Step {
        let mut count = 0;
        for field in fields(record, self.options.delimiter, self.options.quote) {
            let (text, quoted) = field?;
            if let Some(Some(target)) = self.targets.get(count)
                && let Some(column) = self.root.columns.get_mut(*target)
            {
                append(column, &text, quoted, &self.options.null).map_err(|bad| bad.within(column.field.name()))?;
            }
            count += 1;
        }
        if count != self.targets.len() {
            let message = format!("the record has {count} fields where the header has {}", self.targets.len());
            return Err(BadRecord::new("field-count", message));
        }
        for &index in &self.absent {
            self.root.columns[index].append_null()?;
        }
        Ok(())
    }
}

fn append(column: &mut Column, text: &str, quoted: bool, null: &[String]) -> Step {
    let data_type = column.field.data_type();
    // Where a text may be empty, quotes distinguish an empty text from a null. Elsewhere they are
    // ignored, because many writers put them around everything.
    let may_be_null = !quoted || !matches!(data_type, DataType::Utf8 | DataType::Binary);
    if may_be_null && null.iter().any(|null| null == text) {
        return column.append_null();
    }
    match data_type {
        DataType::List(_) | DataType::Struct(_) | DataType::Map(..) => decode_cell(text, column),
        _ if column.holds_json() => decode_cell(text, column),
        _ => column.append_text(text),
    }
}

impl RecordDecoder for CsvDecoder {
    fn push(&mut self, record: &str) -> Step {
        let decoded = self.decode(record);
        match decoded {
            Ok(()) => self.rows += 1,
            Err(_) => self.root.truncate(self.rows),
        }
        decoded
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn cells(&self) -> usize {
        self.rows * self.root.leaves()
    }

    fn finish(&mut self) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(std::mem::take(&mut self.rows)));
        RecordBatch::try_new_with_options(self.schema.clone(), self.root.finish()?, &options)
            .map_err(|error| Error::bug(format!("decoded columns do not fit into a batch: {error}")).caused_by(error))
    }
}

/// The fields of a record, each with whether it was quoted.
///
/// A field that begins with a quote ends with one; inside, a doubled quote is one quote. Elsewhere
/// a quote is an ordinary character.
pub fn fields(record: &str, delimiter: u8, quote: u8) -> impl Iterator<Item = Step<(Cow<'_, str>, bool)>> {
    let mut rest = Some(record);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        if text.as_bytes().first() != Some(&quote) {
            let field = match memchr(delimiter, text.as_bytes()) {
                Some(end) => {
                    rest = Some(&text[end + 1..]);
                    &text[..end]
                }
                None => text,
            };
            return Some(Ok((Cow::Borrowed(field), false)));
        }
        Some(quoted_field(&text[1..], quote).and_then(|(field, after)| {
            match after.as_bytes().first() {
                None => {}
                Some(&byte) if byte == delimiter => rest = Some(&after[1..]),
                Some(_) => return Err(BadRecord::new("malformed-csv", "text follows the quote that ends a field")),
            }
            Ok((field, true))
        }))
    })
}

/// A field after its opening quote, and what follows its closing one.
fn quoted_field(text: &str, quote: u8) -> Step<(Cow<'_, str>, &str)> {
    let mut field = Cow::Borrowed("");
    let mut rest = text;
    loop {
        let Some(end) = memchr(quote, rest.as_bytes()) else {
            return Err(BadRecord::new("malformed-csv", "a field's quote is never closed"));
        };
        let doubled = rest.as_bytes().get(end + 1) == Some(&quote);
        let part = &rest[..end + usize::from(doubled)];
        field = if field.is_empty() && !doubled { Cow::Borrowed(part) } else { Cow::Owned(field.into_owned() + part) };
        rest = &rest[end + 1 + usize::from(doubled)..];
        if !doubled {
            return Ok((field, rest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(record: &str) -> Result<Vec<(String, bool)>, String> {
        fields(record, b',', b'"').map(|field| field.map(|(text, quoted)| (text.into_owned(), quoted)).map_err(|bad| bad.message)).collect()
    }

    #[test]
    fn fields_and_quotes() {
        let plain = |text: &str| (text.to_owned(), false);
        let quoted = |text: &str| (text.to_owned(), true);
        assert_eq!(split("a,,5\" b"), Ok(vec![plain("a"), plain(""), plain("5\" b")]));
        assert_eq!(split("\"a,\"\"b\"\"\",\"\",\"\"\"\""), Ok(vec![quoted("a,\"b\""), quoted(""), quoted("\"")]));
        assert_eq!(split("a,"), Ok(vec![plain("a"), plain("")]));
        assert_eq!(split("\"a\"b,c"), Err("text follows the quote that ends a field".to_owned()));
        assert_eq!(split("\"a"), Err("a field's quote is never closed".to_owned()));
    }
}
