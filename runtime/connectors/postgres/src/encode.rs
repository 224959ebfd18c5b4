//! Batches into the rows of the server's binary COPY format, straight from Arrow's columns.

use arrow_array::RecordBatch;
use wasmill_engine::{Error, Result, RowReject};

use super::layout::Layout;
use super::values::{Column, Refusal};

/// The beginning of a COPY: signature, flags, no extension.
pub(super) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// The end of a COPY.
pub(super) const TRAILER: &[u8] = &[0xff, 0xff];

/// The most bytes of one row. The server takes a gigabyte at most, and keeps JSON of at most a quarter of it.
const MAX_ROW_BYTES: usize = 256 << 20;

/// The most bytes of a row's key. An entry of an index has to fit three times into a page of 8 KiB.
const MAX_KEY_BYTES: usize = 2_000;

/// The result of encoding a batch.
pub(super) struct Encoded {
    /// How many rows were appended.
    pub(super) rows: u64,
    /// The rows that the table can't hold, in order.
    pub(super) rejects: Vec<RowReject>,
}

/// Encodes the rows of one lane.
pub(super) struct RowEncoder {
    /// For an upsert: the number after the columns of the next row, which identifies the last row
    /// of a key. The lane is in the upper bits.
    ordinal: Option<i64>,
}

impl RowEncoder {
    /// An encoder for a lane.
    pub(super) fn new(layout: &Layout, lane: usize) -> Self {
        Self { ordinal: layout.upserts.then_some((lane as i64) << 40) }
    }

    /// Appends the rows that the table can hold.
    pub(super) fn encode(&mut self, layout: &Layout, records: &RecordBatch, out: &mut Vec<u8>) -> Result<Encoded> {
        if records.num_columns() != layout.columns.len() {
            return Err(Error::bug(format!("a batch of {} columns came to a table of {}", records.num_columns(), layout.columns.len())));
        }
        let columns = records.columns().iter().zip(&layout.columns).map(|(array, column)| Column::of(array, &column.pg_type));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let fields = (columns.len() + usize::from(self.ordinal.is_some())) as i16;
        let (mut rows, mut rejects) = (0, Vec::new());
        for row in 0..records.num_rows() {
            let start = out.len();
            out.extend_from_slice(&fields.to_be_bytes());
            match put_row(layout, &columns, row, out) {
                Ok(()) => {
                    if let Some(ordinal) = &mut self.ordinal {
                        out.extend_from_slice(&8_i32.to_be_bytes());
                        out.extend_from_slice(&ordinal.to_be_bytes());
                        *ordinal += 1;
                    }
                    rows += 1;
                }
                Err((column, refusal)) => {
                    out.truncate(start);
                    rejects.push(RowReject {
                        row: row as u32,
                        code: refusal.code.to_owned(),
                        column: column.map(|column| layout.columns[column].name.clone()),
                        message: refusal.message,
                    });
                }
            }
        }
        Ok(Encoded { rows, rejects })
    }
}

fn put_row(layout: &Layout, columns: &[Column], row: usize, out: &mut Vec<u8>) -> Result<(), (Option<usize>, Refusal)> {
    let start = out.len();
    let mut key_bytes = 0;
    for (index, column) in columns.iter().enumerate() {
        let target = &layout.columns[index];
        if column.is_null(row) {
            if target.not_null {
                let why = if target.is_key { "is part of the key" } else { "is NOT NULL in the table" };
                return Err((Some(index), Refusal { code: "null-value", message: format!("the value is null, and the column {why}") }));
            }
            out.extend_from_slice(&(-1_i32).to_be_bytes());
            continue;
        }
        let before = out.len();
        column.put(row, out).map_err(|refusal| (Some(index), refusal))?;
        if target.is_key {
            key_bytes += out.len() - before;
        }
    }
    if key_bytes > MAX_KEY_BYTES {
        let message = format!("the key has {key_bytes} bytes, and an index takes {MAX_KEY_BYTES}");
        return Err((layout.columns.iter().position(|column| column.is_key), Refusal { code: "too-long", message }));
    }
    if out.len() - start > MAX_ROW_BYTES {
        let message = format!("the row has {} bytes, and PostgreSQL takes {MAX_ROW_BYTES}", out.len() - start);
        return Err((None, Refusal { code: "too-long", message }));
    }
    Ok(())
}
