//! The row of a group that sorts first or last: least and greatest texts, and values by another value.

use arrow_array::{ArrayRef, new_null_array};
use arrow_row::RowConverter;
use arrow_schema::DataType;
use wasmill_engine::{Error, Result};

use super::store::{canonical, converter};
use super::{CallAccumulator, CallState, bug, without_nulls};

/// Per group one row of values, of which the first decides, then the next.
pub(in crate::aggregate) struct Best {
    converter: RowConverter,
    types: Vec<DataType>,
    /// The row of each group, as bytes that sort as the values do. Empty: none.
    rows: Vec<Vec<u8>>,
    held_bytes: usize,
    is_greatest: bool,
}

impl Best {
    /// # Errors
    /// A type is no [stored](super::stored_type) one.
    pub fn new(types: &[DataType], is_greatest: bool) -> Result<Self> {
        Ok(Self { converter: converter(types)?, types: types.to_vec(), rows: Vec::new(), held_bytes: 0, is_greatest })
    }

    fn take(&mut self) -> Result<Vec<ArrayRef>> {
        let rows = std::mem::take(&mut self.rows);
        self.held_bytes = 0;
        let nulls: Vec<ArrayRef> = self.types.iter().map(|data_type| new_null_array(data_type, 1)).collect();
        let none = self.converter.convert_columns(&nulls).map_err(bug)?;
        let parser = self.converter.parser();
        let rows = rows.iter().map(|row| if row.is_empty() { none.row(0) } else { parser.parse(row) });
        self.converter.convert_rows(rows).map_err(bug)
    }
}

impl CallAccumulator for Best {
    fn resize(&mut self, count: usize) {
        self.rows.resize_with(count, Vec::new);
    }

    fn update(&mut self, values: &[ArrayRef], groups: &[u32]) -> Result<()> {
        let (values, groups) = without_nulls(values, groups)?;
        let values: Vec<ArrayRef> = values.iter().map(|values| canonical(values, false)).collect();
        let rows = self.converter.convert_columns(&values).map_err(bug)?;
        for (row, &group) in rows.iter().zip(groups.as_ref()) {
            let held = &mut self.rows[group as usize];
            let is_better = held.is_empty() || if self.is_greatest { row.data() > held.as_slice() } else { row.data() < held.as_slice() };
            if is_better {
                let before = held.capacity();
                held.clear();
                held.extend_from_slice(row.data());
                self.held_bytes += held.capacity() - before;
            }
        }
        Ok(())
    }

    fn merge(&mut self, states: &[ArrayRef], groups: &[u32]) -> Result<()> {
        self.update(states, groups)
    }

    fn take_state(&mut self) -> Result<CallState> {
        Ok(CallState::per_group(self.take()?))
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        self.take()?.pop().ok_or_else(|| Error::bug("a row has no values"))
    }

    fn memory_bytes(&self) -> usize {
        self.rows.capacity() * size_of::<Vec<u8>>() + self.held_bytes
    }
}
