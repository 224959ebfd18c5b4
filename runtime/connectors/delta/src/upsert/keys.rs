//! The keys of an epoch, each with its last row.

use std::collections::HashMap;

use arrow_array::ArrayRef;
use arrow_row::{RowConverter, Rows, SortField};
use arrow_schema::{ArrowError, Schema};
use wasmill_engine::{Error, Result};

use crate::codes::KEY;

/// A row of one of several files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowPlace {
    pub(crate) file: u32,
    pub(crate) row: u32,
}

/// Keys as bytes that are equal for equal values of columns of the same types.
pub(crate) struct KeyBytes(RowConverter);

impl KeyBytes {
    /// For columns of these types.
    pub(crate) fn new(columns: &Schema) -> Result<Self> {
        let fields = columns.fields().iter().map(|field| SortField::new(field.data_type().clone())).collect();
        RowConverter::new(fields).map(Self).map_err(failed)
    }

    /// The keys of rows.
    pub(crate) fn of(&self, columns: &[ArrayRef]) -> Result<Rows> {
        self.0.convert_columns(columns).map_err(failed)
    }
}

fn failed(error: ArrowError) -> Error {
    Error::environment(format!("keys of rows can't be compared: {error}")).code(KEY)
}

/// The keys of an epoch. All of them are in memory.
pub(super) struct Keys {
    bytes: KeyBytes,
    last: HashMap<Box<[u8]>, RowPlace>,
}

impl Keys {
    /// None yet, of columns of these types.
    pub(super) fn new(columns: &Schema) -> Result<Self> {
        Ok(Self { bytes: KeyBytes::new(columns)?, last: HashMap::new() })
    }

    /// Adds rows, each at its place, which come after all those before. Returns the places of the rows that they supersede.
    pub(super) fn add(&mut self, columns: &[ArrayRef], places: impl Iterator<Item = Option<RowPlace>>) -> Result<Vec<RowPlace>> {
        let rows = self.bytes.of(columns)?;
        let mut superseded = Vec::new();
        for (key, place) in rows.iter().zip(places) {
            let Some(place) = place else { continue };
            match self.last.get_mut(key.as_ref()) {
                Some(last) => superseded.push(std::mem::replace(last, place)),
                None => drop(self.last.insert(key.as_ref().into(), place)),
            }
        }
        Ok(superseded)
    }

    /// For each row whether its key is among them.
    pub(super) fn have(&self, columns: &[ArrayRef]) -> Result<Vec<bool>> {
        let rows = self.bytes.of(columns)?;
        Ok(rows.iter().map(|key| self.last.contains_key(key.as_ref())).collect())
    }
}
