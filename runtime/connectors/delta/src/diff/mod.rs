//! Compares the rows of two tables, as multisets or by a key, in memory that hardly grows with them.
//!
//! Both tables are read once, at the same time. Of each row two digests of 16 bytes are kept: of
//! its key and of all of it. Two different rows share one with a chance of 2^-128. They go to 256
//! temporary files by the digest's first byte, which are compared one after the other. So memory is
//! about a quarter of a byte per row (64 bytes for a row in each table, over 256 files) besides
//! some 50 MB. The temporary folder holds 32 bytes per row and table. For a billion rows that is
//! 250 MB of memory and 64 GB of disk. Rows to print are read in a second pass.
//!
//! Not compared: the order of rows and of columns, files, partitioning, whether a column may be null. NaN is equal to NaN, and 0.0 to -0.0.

mod buckets;
mod columns;
mod digest;
mod samples;

use std::sync::Arc;

use serde::Serialize;
use wasmill_engine::{Error, Result};

use self::buckets::{Buckets, Tally};
pub use self::columns::ColumnDifference;
use self::columns::Columns;
use self::digest::Digester;
pub use self::samples::{Cell, ChangedRow};
use super::address::TableAddress;
use super::rows::TableRows;
use wasmill_objects::RetryTime;

/// What to compare, and how much of it to print.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DiffOptions {
    /// The key columns; empty means whole rows.
    pub key: Vec<String>,
    /// Columns that are left out.
    pub ignore: Vec<String>,
    /// How many rows of each kind are shown.
    pub limit: usize,
    /// The version of each table; the latest where there is none.
    pub versions: [Option<u64>; 2],
}

/// One of the tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Side {
    /// Its address.
    pub table: String,
    /// The version that was read.
    pub version: u64,
    /// Its rows.
    pub rows: u64,
}

/// How two tables differ. Rows are compared by the columns that both have with the same type.
#[derive(Debug, Serialize)]
pub struct Difference {
    /// Whether they do not.
    pub equal: bool,
    /// The first table.
    pub left: Side,
    /// The second one.
    pub right: Side,
    /// Columns that only one has, or whose types differ.
    pub columns: Vec<ColumnDifference>,
    /// Rows that both have.
    pub rows_in_both: u64,
    /// Rows that only the first has; with a key, those whose key the second lacks.
    pub rows_only_left: u64,
    /// Rows that only the second has.
    pub rows_only_right: u64,
    /// Rows with the same key and other values.
    pub rows_changed: u64,
    /// Keys that occur more than once in one of the tables.
    pub keys_repeated: u64,
    /// Some rows that only the first has.
    pub only_left: Vec<serde_json::Value>,
    /// Some rows that only the second has.
    pub only_right: Vec<serde_json::Value>,
    /// Some rows that changed.
    pub changed: Vec<ChangedRow>,
}

/// Compares two tables. Changes nothing.
///
/// # Errors
/// Configuration: a column of the options is not there, or the tables have none in common. Environment: a table can't be read, or the temporary
/// folder can't be written.
pub fn diff(left: &TableAddress, right: &TableAddress, options: &DiffOptions) -> Result<Difference> {
    let addresses = [left, right];
    let mut opened = Vec::with_capacity(2);
    for (address, version) in addresses.into_iter().zip(options.versions) {
        let log = address.log(RetryTime::RUN)?;
        let Some(state) = log.open(None)? else { return Err(address.no_table()) };
        opened.push((log, version.unwrap_or(state.version)));
    }
    let [(left_log, left_version), (right_log, right_version)] = &opened[..] else {
        return Err(Error::bug("two tables are compared"));
    };
    let schemas = [
        TableRows::open(left_log, Some(*left_version), None)?.schema().clone(),
        TableRows::open(right_log, Some(*right_version), None)?.schema().clone(),
    ];
    let columns = Columns::new(&schemas, options)?;
    let tables = [
        Arc::new(TableRows::open(left_log, Some(*left_version), Some(&columns.compared))?),
        Arc::new(TableRows::open(right_log, Some(*right_version), Some(&columns.compared))?),
    ];
    let sides = read_both(&tables, &columns)?;
    let tally = compare(sides, options.limit)?;
    let samples = samples::collect(&tables, &columns, &tally)?;
    let side = |index: usize| Side { table: addresses[index].uri.clone(), version: tables[index].version(), rows: tally.rows[index] };
    let rows_differ = tally.only != [0, 0] || tally.changed > 0;
    Ok(Difference {
        equal: !rows_differ && columns.differences.is_empty(),
        left: side(0),
        right: side(1),
        rows_in_both: tally.equal,
        rows_only_left: tally.only[0],
        rows_only_right: tally.only[1],
        rows_changed: tally.changed,
        keys_repeated: if options.key.is_empty() { 0 } else { tally.repeated },
        columns: columns.differences,
        only_left: samples.only_left,
        only_right: samples.only_right,
        changed: samples.changed,
    })
}

/// The digests of both tables, read at the same time.
fn read_both(tables: &[Arc<TableRows>; 2], columns: &Columns) -> Result<[Buckets; 2]> {
    let [left, right] = tables;
    std::thread::scope(|scope| {
        let other = scope.spawn(|| read(left, columns));
        let right = read(right, columns);
        let left = other.join().unwrap_or_else(|_| Err(Error::bug("reading a table broke")));
        Ok([left?, right?])
    })
}

fn read(table: &Arc<TableRows>, columns: &Columns) -> Result<Buckets> {
    let digester = Digester::new(table.schema(), columns)?;
    let mut buckets = Buckets::new();
    table.each(|records| {
        for pair in digester.digests(&records)? {
            buckets.put(pair)?;
        }
        Ok(true)
    })?;
    Ok(buckets)
}

fn compare([mut left, mut right]: [Buckets; 2], limit: usize) -> Result<Tally> {
    let mut tally = Tally { limit, ..Tally::default() };
    for index in 0..Buckets::COUNT {
        tally.add(&left.take(index)?, &right.take(index)?);
    }
    Ok(tally)
}
