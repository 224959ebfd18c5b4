//! Rows that a plugin never sees, because they have a null where it takes none.

use arrow_array::{Array as _, BooleanArray, RecordBatch};
use arrow_buffer::BooleanBufferBuilder;

use crate::answer::RowReject;
use crate::needs::InputPlan;

/// The reject code of a record with a null where the plugin takes none.
const NULL_CODE: &str = "unexpected-null";

/// Rows with a null in a column in which the plugin takes none.
pub(crate) struct NullRows {
    pub rows: BooleanArray,
    pub rejects: Vec<RowReject>,
}

/// `None`: there are no such rows.
pub(crate) fn null_rows(plan: &InputPlan, records: &RecordBatch) -> Option<NullRows> {
    let suspects: Vec<(usize, arrow_buffer::NullBuffer)> = plan
        .null_free
        .iter()
        .filter_map(|&index| Some((index, records.column(index).logical_nulls()?)))
        .filter(|(_, nulls)| nulls.null_count() > 0)
        .collect();
    if suspects.is_empty() {
        return None;
    }
    let mut rows = BooleanBufferBuilder::new(records.num_rows());
    rows.append_n(records.num_rows(), false);
    let mut rejects = Vec::new();
    for (index, nulls) in suspects {
        let name = plan.input.field(index).name();
        for row in (0..records.num_rows()).filter(|&row| nulls.is_null(row)) {
            if rows.get_bit(row) {
                continue;
            }
            rows.set_bit(row, true);
            let message = format!("column `{name}` is null, and the plugin needs a value there");
            rejects.push(RowReject { row: row as u32, code: NULL_CODE.to_owned(), column: Some(name.clone()), message });
        }
    }
    Some(NullRows { rows: BooleanArray::new(rows.finish(), None), rejects })
}
