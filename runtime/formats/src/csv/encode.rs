//! Writes CSV. Nulls are empty fields and empty texts are `""`, so that both come back.

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use wasmill_error::Result;

use crate::encode::TextEncoder;
use crate::json::Cells;

/// How CSV is written.
#[derive(Debug, Clone)]
pub struct CsvWriteOptions {
    /// What stands between fields.
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
    cell: Vec<u8>,
}

impl CsvEncoder {
    /// An encoder of rows of `schema`.
    pub fn new(schema: &Schema, options: CsvWriteOptions) -> Self {
        Self { options, names: schema.fields().iter().map(|field| field.name().clone()).collect(), cell: Vec::new() }
    }

    fn put(&self, field: &[u8], text: &mut Vec<u8>) {
        let special = |&byte: &u8| byte == self.options.delimiter || matches!(byte, b'"' | b'\n' | b'\r');
        // Spaces at the ends are quoted too: many readers trim them otherwise.
        let spaced = field.first() == Some(&b' ') || field.last() == Some(&b' ');
        if !field.is_empty() && !spaced && !field.iter().any(special) {
            return text.extend_from_slice(field);
        }
        text.push(b'"');
        for &byte in field {
            if byte == b'"' {
                text.push(b'"');
            }
            text.push(byte);
        }
        text.push(b'"');
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
