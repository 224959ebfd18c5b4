//! Reads the rows to print, in a second pass over the tables.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_array::{RecordBatch, UInt32Array};
use arrow_select::take::take_record_batch;
use serde::Serialize;
use serde_json::{Map, Value};
use wasmill_engine::{Error, Result};

use super::buckets::Tally;
use super::columns::Columns;
use super::digest::{Digester, Pair, same_cell};
use crate::codes::COMPARISON;
use crate::rows::TableRows;
use wasmill_formats::row_to_json;

/// A row with the same key and other values.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChangedRow {
    /// The columns of the key.
    pub key: Map<String, Value>,
    /// The cells that differ.
    pub cells: Vec<Cell>,
}

/// A cell that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cell {
    /// Its column.
    pub column: String,
    /// Its value in the first table.
    pub left: Value,
    /// Its value in the second table.
    pub right: Value,
}

/// The rows to print.
#[derive(Debug, Default)]
pub(super) struct Samples {
    pub(super) only_left: Vec<Value>,
    pub(super) only_right: Vec<Value>,
    pub(super) changed: Vec<ChangedRow>,
}

/// Rows by their digests, each a batch of its own.
type Found = HashMap<Pair, RecordBatch>;

pub(super) fn collect(tables: &[Arc<TableRows>; 2], columns: &Columns, tally: &Tally) -> Result<Samples> {
    let mut sides = Vec::with_capacity(2);
    for (side, table) in tables.iter().enumerate() {
        let changed = tally.changed_samples.iter().map(|(key, left, right)| (*key, if side == 0 { *left } else { *right }));
        let wanted: Vec<Pair> = tally.only_samples[side].iter().copied().chain(changed).collect();
        sides.push(find(table, columns, &wanted)?);
    }
    let rows = |side: usize| -> Result<Vec<Value>> {
        tally.only_samples[side].iter().map(|pair| json(row(&sides[side], pair)?).map(Value::Object)).collect()
    };
    let changed = tally.changed_samples.iter().map(|(key, left, right)| {
        let (left, right) = (row(&sides[0], &(*key, *left))?, row(&sides[1], &(*key, *right))?);
        changed_row(left, right, columns)
    });
    Ok(Samples { only_left: rows(0)?, only_right: rows(1)?, changed: changed.collect::<Result<_>>()? })
}

fn row<'a>(found: &'a Found, pair: &Pair) -> Result<&'a RecordBatch> {
    found
        .get(pair)
        .ok_or_else(|| Error::environment("a table's files changed while it was compared").code(COMPARISON).hint("compare again"))
}

/// Reads a table until all wanted rows are found.
fn find(table: &Arc<TableRows>, columns: &Columns, wanted: &[Pair]) -> Result<Found> {
    let mut missing: HashSet<Pair> = wanted.iter().copied().collect();
    let mut found = Found::new();
    if missing.is_empty() {
        return Ok(found);
    }
    let digester = Digester::new(table.schema(), columns)?;
    table.each(|records| {
        for (row, pair) in digester.digests(&records)?.into_iter().enumerate() {
            if missing.remove(&pair) {
                // A copy: a slice would keep its whole batch.
                let one = take_record_batch(&records, &UInt32Array::from(vec![row as u32]));
                found.insert(pair, one.map_err(|error| Error::bug(format!("a row can't be taken: {error}")))?);
            }
        }
        Ok(!missing.is_empty())
    })?;
    Ok(found)
}

fn json(record: &RecordBatch) -> Result<Map<String, Value>> {
    let text = row_to_json(record, 0)?;
    serde_json::from_str(&text).map_err(|error| Error::bug(format!("a row became JSON that can't be read: {error}")))
}

fn changed_row(left: &RecordBatch, right: &RecordBatch, columns: &Columns) -> Result<ChangedRow> {
    let (ours, theirs) = (json(left)?, json(right)?);
    let value = |row: &Map<String, Value>, column: &String| row.get(column).cloned().unwrap_or_default();
    let key = columns.key.iter().map(|column| (column.clone(), value(&ours, column))).collect();
    let mut cells = Vec::new();
    for (index, column) in columns.compared.iter().enumerate() {
        if !same_cell(left.column(index), right.column(index))? {
            cells.push(Cell { column: column.clone(), left: value(&ours, column), right: value(&theirs, column) });
        }
    }
    Ok(ChangedRow { key, cells })
}
