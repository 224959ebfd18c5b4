//! Rows of groups, in and out, and the rows that an update rejects.

use arrow_array::{Array, ArrayRef};
use arrow_schema::Fields;

use crate::bindings::wasmill::plugin::types;
use crate::{Refusal, Reject, contract, ipc};

/// The groups that rows belong to.
#[derive(Debug, Clone, Copy)]
pub struct Groups<'a> {
    of_rows: &'a [u32],
    count: usize,
}

impl<'a> Groups<'a> {
    /// Checks that every group is one of `0..count`.
    pub(crate) fn new(of_rows: &'a [u32], count: u32, rows: usize) -> Result<Self, Refusal> {
        if of_rows.len() != rows || of_rows.iter().any(|&group| group >= count) {
            return Err(Refusal::new(format!("the host sent {rows} rows with {} groups out of {count}", of_rows.len())));
        }
        Ok(Self { of_rows, count: count as usize })
    }

    /// How many groups there are from now on. It never decreases until the groups are taken.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The group of a row.
    ///
    /// # Panics
    /// If there is no such row.
    #[inline]
    pub fn of(&self, row: usize) -> usize {
        self.of_rows[row] as usize
    }

    /// For each row its group, below [`count`](Self::count).
    pub fn of_rows(&self) -> impl ExactSizeIterator<Item = usize> + 'a {
        self.of_rows.iter().map(|&group| group as usize)
    }
}

/// The rows that an update rejects.
#[derive(Debug)]
pub struct Rejects {
    rows: usize,
    rejects: Vec<(u32, Reject)>,
    beyond: Option<usize>,
}

impl Rejects {
    pub(crate) fn new(rows: usize) -> Self {
        Self { rows, rejects: Vec::new(), beyond: None }
    }

    /// Rejects a row. The first reason given for a row counts.
    pub fn reject(&mut self, row: usize, reject: Reject) {
        if row < self.rows { self.rejects.push((row as u32, reject)) } else { self.beyond = self.beyond.or(Some(row)) }
    }

    pub(crate) fn finish(mut self) -> Result<types::Updated, Refusal> {
        if let Some(row) = self.beyond {
            return Err(Refusal::new(format!("update rejects row {row} of a batch of {}", self.rows)));
        }
        self.rejects.sort_by_key(|(row, _)| *row);
        self.rejects.dedup_by_key(|(row, _)| *row);
        let rejects = self.rejects.into_iter().map(|(row, reject)| contract::reject(row, reject));
        Ok(types::Updated { rejects: rejects.collect(), extra: Vec::new() })
    }
}

/// Rows that belong to groups: states or results.
#[derive(Debug, Clone)]
pub struct GroupedRows {
    columns: Vec<ArrayRef>,
    groups: Option<Vec<u32>>,
}

impl GroupedRows {
    /// One row for each group, in the order of their numbers; the columns are those of the plan, in its order.
    pub fn one_each(columns: Vec<ArrayRef>) -> Self {
        Self { columns, groups: None }
    }

    /// Rows with their groups, which never decrease; a group may have any number of rows.
    pub fn of(groups: Vec<u32>, columns: Vec<ArrayRef>) -> Self {
        Self { columns, groups: Some(groups) }
    }

    /// The columns, and the groups of the rows; `None`: one row each.
    #[doc(hidden)]
    pub fn into_parts(self) -> (Vec<ArrayRef>, Option<Vec<u32>>) {
        (self.columns, self.groups)
    }

    /// As it crosses, checked against the plan.
    pub(crate) fn finish(self, function: &str, fields: &Fields, count: u32) -> Result<types::Grouped, Refusal> {
        let rows = self.groups.as_ref().map_or(count as usize, Vec::len);
        if self.columns.len() != fields.len() {
            let message = format!("{function} returns {} columns, and the plan has {}", self.columns.len(), fields.len());
            return Err(Refusal::new(message));
        }
        for (column, field) in self.columns.iter().zip(fields) {
            let name = field.name();
            if column.data_type() != field.data_type() {
                let message = format!("{function} returns column {name} as {}, and the plan has {}", column.data_type(), field.data_type());
                return Err(Refusal::new(message));
            }
            if column.len() != rows {
                return Err(Refusal::new(format!("{function} returns {} values of column {name} for {rows} rows", column.len())));
            }
            if column.null_count() > 0 && !field.is_nullable() {
                return Err(Refusal::new(format!("{function} returns nulls in column {name}, which the plan does not allow")));
            }
        }
        let table = types::MadeTable::ArrowIpc(ipc::encode_table(&self.columns, rows)?);
        Ok(types::Grouped { table, groups: self.groups, extra: Vec::new() })
    }
}
