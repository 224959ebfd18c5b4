//! Writes CSV. Nulls are empty fields and empty texts are `""`, so that both come back.

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use csv_core::{Terminator, Writer, WriterBuilder};
use wasmill_error::Result;

use crate::encode::TextEncoder;
use crate::json::Cells;

const QUOTE: u8 = b'"';

/// How CSV is written.
#[derive(Debug, Clone)]
pub struct CsvWriteOptions {
    /// The delimiter between fields.
    pub delimiter: u8,
    /// Whether the first row names the columns.
    pub header: bool,
}

impl Default for CsvWriteOptions {
    fn default() -> Self {
        Self { delimiter: b',', header: true }
    }
}

/// Rows to CSV text: scalars as in JSON without the quotes, lists, structs and maps as JSON.
pub struct CsvEncoder {
    options: CsvWriteOptions,
    names: Vec<String>,
    /// Decides which fields need quotes. It does not write whole records: short fields would take
    /// twice the time (docs/decisions/decoding.md).
    rules: Writer,
    cell: Vec<u8>,
}

impl CsvEncoder {
    /// An encoder of rows of `schema`.
    pub fn new(schema: &Schema, options: CsvWriteOptions) -> Self {
        let names = schema.fields().iter().map(|field| field.name().clone()).collect();
        let rules = WriterBuilder::new().delimiter(options.delimiter).quote(QUOTE).terminator(Terminator::Any(b'\n')).build();
        Self { options, names, rules, cell: Vec::new() }
    }

    fn put(&self, field: &[u8], text: &mut Vec<u8>) {
        // csv-core quotes neither. An empty text is not null, and many readers trim spaces outside of quotes.
        let spaced = field.first() == Some(&b' ') || field.last() == Some(&b' ');
        if !field.is_empty() && !spaced && !self.rules.should_quote(field) {
            return text.extend_from_slice(field);
        }
        text.push(QUOTE);
        let start = text.len();
        // Of quotes alone, all are doubled.
        text.resize(start + 2 * field.len(), 0);
        let (_, _, written) = csv_core::quote(field, &mut text[start..], QUOTE, QUOTE, true);
        text.truncate(start + written);
        text.push(QUOTE);
    }
}

impl TextEncoder for CsvEncoder {
    fn begin(&mut self, text: &mut Vec<u8>) {
        if !self.options.header {
            return;
        }
        for (index, name) in self.names.iter().enumerate() {
            if index > 0 {
                text.push(self.options.delimiter);
            }
            self.put(name.as_bytes(), text);
        }
        text.push(b'\n');
    }

    fn rows(&mut self, records: &RecordBatch, text: &mut Vec<u8>) -> Result<()> {
        let columns = records.columns().iter().map(|column| Cells::of(column.as_ref())).collect::<Result<Vec<_>>>()?;
        for row in 0..records.num_rows() {
            for (index, column) in columns.iter().enumerate() {
                if index > 0 {
                    text.push(self.options.delimiter);
                }
                if column.is_null(row) {
                    // A row of one null would be an empty line, which readers skip.
                    if columns.len() == 1 {
                        text.extend_from_slice(b"\"\"");
                    }
                    continue;
                }
                let mut cell = std::mem::take(&mut self.cell);
                cell.clear();
                column.put_bare(row, &mut cell);
                self.put(&cell, text);
                self.cell = cell;
            }
            text.push(b'\n');
        }
        Ok(())
    }

    fn end(&mut self, _text: &mut Vec<u8>) {}
}
